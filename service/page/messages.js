// What went wrong, in plain words. Codes are those of the server, and a few of the page's own.

/** Anything that ends a transcription early. */
export class Failure extends Error {
  constructor({ code, message = "", found = null, limit = null, retryAfterS = null }) {
    super(message || code);
    Object.assign(this, { code, found, limit, retryAfterS });
  }

  /** Whether the same may well succeed a little later. */
  get passes() {
    return PASSING.has(this.code);
  }
}

const PASSING = new Set([
  "overloaded", "rate_limited", "not_ready", "deadline_exceeded", "connection_lost", "device_lost", "stream_idle",
  "upload_stalled",
]);

const SENTENCES = {
  upload_too_large: ({ found, limit }) =>
    `This file is too large${counted(found, bytes)}. Files may have ${bytes(limit)} at most.`,
  audio_too_long: ({ found, limit }) =>
    `This recording is too long${counted(found, duration)}. It may last ${duration(limit)} at most.`,
  upload_stalled: () => "The connection was too slow for this file. Please try again.",
  unsupported_audio: ({ message, limit }) =>
    limit === null
      ? "This file is not audio that can be read here. WAV, FLAC, MP3, Ogg, WebM and MP4 can."
      : `This recording cannot be read here: ${message}.`,
  truncated_audio: () => "This file breaks off: a part of it is missing. Is the copy complete?",
  empty_audio: () => "There is no sound in this file.",
  audio_too_short: () => "This recording is too short to hold a word.",
  unauthorized: () => "This server asks for a key. Enter yours above.",
  forbidden: ({ message }) => `The server does not allow this: ${message}.`,
  rate_limited: ({ retryAfterS }) =>
    "This key has used what it may for now. Please try again in " +
    `${retryAfterS ? duration(retryAfterS) : "a moment"}.`,
  overloaded: ({ retryAfterS }) =>
    "Too many are asking at once. Please try again in " +
    `${retryAfterS ? duration(retryAfterS) : "a moment"}.`,
  not_ready: () => "The server is starting or about to stop. Please try again in a moment.",
  model_unavailable: () => "The model for this language cannot be loaded now; the server's log says why.",
  deadline_exceeded: ({ limit }) =>
    `This took too long${limit ? `: the server gives ${duration(limit)}` : ""}. ` +
    "A shorter recording may do.",
  out_of_memory: () => "The server has not enough memory for this recording. Try a shorter one.",
  inference_failed: () => "The model failed on this recording. Nothing is wrong at your side.",
  device_lost: () => "The server's processor has failed; it must be started anew.",
  stream_idle: ({ message }) => `The server heard nothing for too long and hung up (${message}).`,
  internal_server_error: () => "Something went wrong in the server; its log says what.",

  connection_lost: () =>
    "The connection to the server was lost. What is on the page stays; please try again.",
  too_slow: () =>
    "The connection is too slow for live speech, so listening has ended. A file will still do.",
  microphone_refused: () =>
    "The microphone is not allowed on this page. Allow it in the browser's address bar, " +
    "then press Speak again.",
  microphone_missing: () => "No microphone was found. Connect one, or choose a file instead.",
  microphone_busy: () => "The microphone cannot be opened: perhaps another program holds it.",
  microphone_insecure: () =>
    "Browsers give the microphone only to pages opened over https, or on this very computer. " +
    "Choosing a file works here too.",
  not_playable: () => "This browser cannot play this file. Its text is here all the same.",
};

/** A sentence or two for whoever looks at the page. */
export function explain(failure) {
  const sentence = SENTENCES[failure.code];
  return sentence ? sentence(failure) : `That did not work: ${failure.message}.`;
}

/** A size, as people read it. */
export function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  for (const unit of ["kB", "MB"]) {
    count /= 1024;
    if (count < 1000) return `${rounded(count)} ${unit}`;
  }
  return `${rounded(count / 1024)} GB`;
}

/** A length of time, as people read it. */
export function duration(seconds) {
  if (seconds < 90) return plural(rounded(seconds), "second");
  if (seconds < 5400) return plural(rounded(seconds / 60), "minute");
  return plural(rounded(seconds / 3600), "hour");
}

/** A time in a recording: 1:02:03, or 2:03. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  if (whole >= 3600) parts.unshift(Math.floor(whole / 3600));
  return parts.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** A part of one, in percent. */
export function percent(part) {
  return `${Math.round(part * 100)} %`;
}

function counted(found, unit) {
  return Number.isFinite(found) ? `: ${unit(found)}` : "";
}

function rounded(value) {
  return Number(value.toPrecision(value < 10 ? 2 : 3));
}

function plural(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
