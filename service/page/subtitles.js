// Words with times, as files that other programs read.

const LINE_CHARACTERS = 42;
const LINES = 2;
const PAUSE_S = 0.8;
const LONGEST_CUE_S = 6;
const SHORTEST_CUE_S = 1;
export const PARAGRAPH_PAUSE_S = 1.5;

/** Words in runs that longer pauses divide. */
export function paragraphs(words) {
  return divided(words, (run, word) => word.start_s - run.at(-1).end_s >= PARAGRAPH_PAUSE_S);
}

/** Plain text, a line for each paragraph. */
export function toTxt(words) {
  return paragraphs(words).map((run) => `${spoken(run)}\n`).join("");
}

/** SubRip. */
export function toSrt(words) {
  return cues(words)
    .map((cue, at) => `${at + 1}\n${span(cue, ",")}\n${cue.lines.join("\n")}\n`)
    .join("\n");
}

/** WebVTT. */
export function toVtt(words) {
  const blocks = cues(words).map((cue) => `${span(cue, ".")}\n${cue.lines.map(escaped).join("\n")}\n`);
  return ["WEBVTT\n", ...blocks].join("\n");
}

/**
 * Words as subtitles: at most two lines of 42 characters and six seconds, cut at pauses.
 *
 * @returns {{start_s: number, end_s: number, lines: string[]}[]} in order, without overlaps.
 */
export function cues(words) {
  const runs = divided(words, (run, word) => isOver(run, word));
  return runs.map((run, at) => {
    const start_s = run[0].start_s;
    const next_s = runs[at + 1]?.[0].start_s ?? Infinity;
    const wanted_s = Math.max(run.at(-1).end_s, start_s + SHORTEST_CUE_S);
    return { start_s, end_s: Math.min(wanted_s, next_s), lines: broken(run) };
  });
}

function divided(words, isNew) {
  const runs = [];
  for (const word of words) {
    if (!runs.length || isNew(runs.at(-1), word)) runs.push([]);
    runs.at(-1).push(word);
  }
  return runs;
}

function isOver(run, word) {
  return (
    word.start_s - run.at(-1).end_s >= PAUSE_S ||
    word.end_s - run[0].start_s > LONGEST_CUE_S ||
    broken([...run, word]).length > LINES
  );
}

/** Lines of at most 42 characters; only a longer word makes a longer line. */
function broken(run) {
  const lines = [];
  for (const { word } of run) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && longer.length <= LINE_CHARACTERS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function spoken(run) {
  return run.map(({ word }) => word).join(" ");
}

function span({ start_s, end_s }, point) {
  return `${stamp(start_s, point)} --> ${stamp(end_s, point)}`;
}

function stamp(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const parts = [ms / 3600000, (ms / 60000) % 60, (ms / 1000) % 60];
  const [h, m, s] = parts.map((part) => String(Math.floor(part)).padStart(2, "0"));
  return `${h}:${m}:${s}${point}${String(ms % 1000).padStart(3, "0")}`;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
