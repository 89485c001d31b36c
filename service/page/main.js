// The page: what its parts do together.

import { Dictation } from "./dictation.js";
import { copy, download } from "./files.js";
import { currentKey, keepKey } from "./key.js";
import { bytes, clock, duration, Failure, percent } from "./messages.js";
import { Player } from "./player.js";
import { peaksOf } from "./recording.js";
import { servedModels, transcribe } from "./server.js";
import { Transcript } from "./transcript.js";
import { $, hideProblem, hideWork, say, setListening, showProblem, showWork } from "./view.js";
import { Waveform } from "./waveform.js";

const LOADING_POLL_MS = 2000;

const { body } = document;
const limits = {
  bytes: Number(body.dataset.maxUploadBytes),
  seconds: Number(body.dataset.maxAudioS),
};

const player = new Player({ audio: $("audio"), button: $("play"), time: $("time") }, fail);
const waveform = new Waveform($("waveform"), (seconds) => player.seek(seconds));
const transcript = new Transcript($("words"), $("partial"), ({ word, start_s, confidence }) => {
  player.playFrom(start_s);
  $("chosen").textContent = `“${word}”: ${percent(confidence)} sure.`; // no title shows on a phone
});
player.accompany(waveform, transcript);

let result = null; // what can be copied and downloaded
let name = "speech"; // of the files it is downloaded as
let choices = []; // of what is spoken, and who understands it
let stopListening = null; // while the microphone is open
let task = null; // AbortController of what is under way
let again = null; // what "Try again" does

greet();

$("speak").addEventListener("click", () => (stopListening ? stop() : listen()));
$("file").addEventListener("change", ({ target }) => {
  if (target.files.length) read(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
});
$("locked").addEventListener("submit", (event) => {
  event.preventDefault();
  if (keepKey($("key").value.trim())) greet();
  else $("locked-text").textContent = "This cannot be a key.";
  $("key").value = "";
});
$("cancel").addEventListener("click", () => task?.abort());
$("dismiss").addEventListener("click", () => hideProblem());
$("again").addEventListener("click", () => again?.());
$("copy").addEventListener("click", async () => {
  await copy(result);
  say("Copied");
  $("copy").textContent = "Copied";
  setTimeout(() => ($("copy").textContent = "Copy"), 2000);
});
for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => download(result, name, button.dataset.format));
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (stopListening) stop();
    else if (task) task.abort();
    else hideProblem();
  }
  if (event.key === " " && event.target === body && !$("player").hidden) {
    event.preventDefault();
    player.toggle();
  }
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  body.classList.add("dropping");
});
document.addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) read(file);
});

async function greet() {
  $("limits").textContent = `(up to ${bytes(limits.bytes)}, ${duration(limits.seconds)})`;
  const { models, isLocked } = await servedModels();
  $("locked").hidden = !isLocked;
  if (isLocked) {
    $("model").textContent = "";
    $("locked-text").textContent = currentKey()
      ? "This key does not open this server."
      : "This server asks for a key.";
    $("key").focus();
    return;
  }
  if (!models.length) {
    $("model").textContent = "The model is being loaded…";
    setTimeout(greet, LOADING_POLL_MS);
    return;
  }
  const areSeveral = models.length > 1;
  $("model").textContent = `${areSeveral ? "Models" : "Model"}: ${models.map(({ name }) => name).join(", ")}`;
  choices = models.flatMap(({ name, languages }) =>
    languages.map((language) => ({ language, name, model: areSeveral ? name : undefined })),
  );
  if (choices.length > 1) {
    const labels = choices.map(({ language, model }) => (model ? `${language} (${model})` : language));
    $("language").replaceChildren(...labels.map((label, at) => new Option(label, at)));
    $("language-field").hidden = false;
  }
}

/** What to ask for, where there is a choice. */
function chosen() {
  return $("language-field").hidden ? {} : choices[$("language").value];
}

/** What is expected, chosen or not. */
function expected() {
  return choices[$("language").value || 0] ?? { language: null, name: null };
}

/** Transcribe a file. */
async function read(file) {
  if (stopListening) return;
  const working = begin(() => read(file));
  name = file.name;
  if (file.size > limits.bytes) {
    fail(new Failure({ code: "upload_too_large", found: file.size, limit: limits.bytes }), working);
    return;
  }
  showWork("Sending…", 0);
  transcript.clear(expected().language);
  try {
    const answer = await transcribe(file, {
      ...chosen(),
      signal: working.signal,
      onUpload: (part) => (part < 1 ? showWork("Sending…", part) : showWork("Recognising…")),
      onWords: (words) => {
        if (task !== working) return;
        $("result").hidden = false;
        transcript.add(words);
        showWork(`Recognising… ${clock(words.at(-1).end_s)}`);
      },
    });
    end(working);
    show(answer, file);
    say(answer.text);
    const peaks = await peaksOf(file);
    if (result === answer) waveform.draw(peaks);
  } catch (failure) {
    fail(failure, working);
  }
}

/** Transcribe what is said, until Stop is pressed. */
async function listen() {
  const working = begin(listen);
  const spoken = expected();
  transcript.clear(spoken.language);
  const dictation = new Dictation({
    onOpen: () => ($("player").hidden = $("result").hidden = false),
    onPiece: ({ peaks }) => waveform.follow(peaks),
    onPartial: ({ text, stable_chars }) => transcript.hint(text, stable_chars),
    onFinal: ({ text, words }) => {
      transcript.hint("", 0);
      transcript.add(words);
      say(text);
    },
  });
  stopListening = () => (dictation.recording ? dictation.stop() : working.abort());
  setListening(true);
  try {
    const failure = await dictation.run({ ...chosen(), signal: working.signal });
    keep(dictation.recording, spoken);
    if (failure) fail(failure, working);
    else end(working);
  } catch (failure) {
    fail(failure, working);
  } finally {
    stopListening = null;
    setListening(false);
  }
}

/** Have the rest of the text, and no more. */
function stop() {
  showWork("Finishing…");
  stopListening();
}

/** Keep what was said, whatever ended it. */
function keep(recording, { language, name: model }) {
  setListening(false);
  transcript.hint("", 0);
  const { words } = transcript;
  const text = words.map(({ word }) => word).join(" ");
  name = "speech";
  show(
    { text, duration_s: recording.durationS, language, model, words },
    recording.toWav(),
  );
  waveform.draw(recording.peaks);
}

/** Make room for what comes; whatever was under way ends. */
function begin(repeat) {
  task?.abort();
  task = new AbortController();
  again = repeat;
  result = null;
  hideProblem();
  hideWork();
  body.classList.add("used");
  $("player").hidden = $("result").hidden = true;
  $("nothing").hidden = $("legend").hidden = $("tools").hidden = true;
  $("said").replaceChildren();
  player.load(null);
  return task;
}

/** Show a result with what it was heard in. */
function show(answer, blob) {
  result = answer;
  const hasWords = answer.words.length > 0;
  $("player").hidden = $("result").hidden = false;
  $("tools").hidden = !hasWords;
  $("nothing").hidden = hasWords;
  $("legend").hidden = !transcript.hasDoubts;
  $("chosen").textContent = "Choose a word to see how sure.";
  player.load(blob, answer.duration_s);
  waveform.begin(answer.duration_s);
}

function end(working) {
  if (task !== working) return;
  task = null;
  hideWork();
}

/** Tell what went wrong; what was cancelled did not. */
function fail(failure, working = null) {
  if (working) {
    end(working);
    if (working.signal.aborted) return;
  }
  if (failure.code === "unauthorized") greet();
  showProblem(failure);
}
