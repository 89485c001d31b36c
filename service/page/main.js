// The page: what its parts do together.

import { copy, download } from "./files.js";
import { Live } from "./live.js";
import { bytes, duration, explain, Failure } from "./messages.js";
import { Microphone } from "./microphone.js";
import { Player } from "./player.js";
import { peaksOf, Recording } from "./recording.js";
import { loadedModel, transcribe } from "./server.js";
import { Transcript } from "./transcript.js";
import { Waveform } from "./waveform.js";

const $ = (id) => document.getElementById(id);
const { body } = document;
const limits = {
  bytes: Number(body.dataset.maxUploadBytes),
  seconds: Number(body.dataset.maxAudioS),
};

const player = new Player({ audio: $("audio"), button: $("play"), time: $("time") }, fail);
const waveform = new Waveform($("waveform"), (seconds) => player.seek(seconds));
const transcript = new Transcript($("words"), $("partial"), ({ start_s }) => player.playFrom(start_s));
player.accompany(waveform, transcript);

let result = null; // what can be copied and downloaded
let name = "speech"; // of the files it is downloaded as
let model = null;
let stopListening = null; // while the microphone is open
let task = null; // AbortController of what is under way
let again = null; // what "Try again" does

greet();

$("speak").addEventListener("click", () => (stopListening ? stopListening() : listen()));
$("file").addEventListener("change", ({ target }) => {
  if (target.files.length) read(target.files[0]);
  target.value = ""; // so that the same file can be chosen again
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
    if (stopListening) stopListening();
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
  $("limits").textContent = `; up to ${bytes(limits.bytes)} and ${duration(limits.seconds)}`;
  model = await loadedModel();
  if (!model) return;
  $("model").textContent = `Model: ${model.name}`;
  if (model.languages.length > 1) {
    $("language").replaceChildren(...model.languages.map((code) => new Option(code, code)));
    $("language-field").hidden = false;
  }
}

/** The language to ask for, where there is a choice. */
function chosenLanguage() {
  return $("language-field").hidden ? undefined : $("language").value;
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
  try {
    const answer = await transcribe(file, {
      language: chosenLanguage(),
      signal: working.signal,
      onUpload: (part) => (part < 1 ? showWork("Sending…", part) : showWork("Recognising…")),
    });
    end(working);
    transcript.clear(answer.language);
    transcript.add(answer.words);
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
  const language = chosenLanguage() ?? model?.languages[0];
  let microphone;
  let recording;
  let live;
  transcript.clear(language);
  stopListening = () => {};
  setListening(true);
  try {
    const onPiece = (piece) => {
      recording.add(piece);
      live.push(piece.slice(0));
      waveform.follow(recording.peaks);
    };
    const early = [];
    microphone = await Microphone.open(
      (piece) => (live ? onPiece(piece) : early.push(piece)),
      () => stopListening?.(),
    );
    recording = new Recording(microphone.rateHz);
    const failure = await new Promise((resolve) => {
      live = new Live({ rateHz: microphone.rateHz, language: chosenLanguage() }, {
        onPartial: ({ text, stable_chars }) => transcript.hint(text, stable_chars),
        onFinal: ({ text, words }) => {
          transcript.hint("", 0);
          transcript.add(words);
          say(text);
        },
        onEnd: resolve,
      });
      early.forEach(onPiece);
      $("player").hidden = $("result").hidden = false;
      stopListening = async () => {
        stopListening = () => {};
        showWork("Finishing…");
        await microphone.close();
        live.stop();
      };
      working.signal.addEventListener("abort", () => resolve(working.signal.reason));
    });
    await finish(recording, language, working, failure);
  } catch (failure) {
    fail(failure, working);
  } finally {
    stopListening = null;
    live?.close();
    setListening(false);
    await microphone?.close();
  }
}

/** Keep what was said, whatever ended it. */
async function finish(recording, language, working, failure) {
  setListening(false);
  transcript.hint("", 0);
  const { words } = transcript;
  name = "speech";
  show(
    {
      text: words.map(({ word }) => word).join(" "),
      duration_s: recording.durationS,
      language: language ?? null,
      model: model?.name ?? null,
      words,
    },
    recording.toWav(),
  );
  waveform.draw(recording.peaks);
  if (failure) fail(failure, working);
  else end(working);
}

/** Make room for what comes; whatever was under way ends. */
function begin(repeat) {
  task?.abort();
  task = new AbortController();
  again = repeat;
  result = null;
  hideProblem();
  $("work").hidden = true;
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
  player.load(blob, answer.duration_s);
  waveform.begin(answer.duration_s);
}

function end(working) {
  if (task !== working) return;
  task = null;
  $("work").hidden = true;
}

/** Tell what went wrong; what was cancelled did not. */
function fail(failure, working = null) {
  if (working) {
    if (task === working) end(working);
    if (working.signal.aborted) return;
  }
  if (!(failure instanceof Failure)) {
    failure = new Failure({ code: "page", message: failure.message ?? String(failure) });
  }
  $("problem-text").textContent = explain(failure);
  $("again").hidden = !failure.passes;
  $("problem").hidden = false;
}

function hideProblem() {
  $("problem").hidden = true;
  $("problem-text").textContent = "";
}

/** Show what is under way, and which part of it is done, if that is known. */
function showWork(text, part = null) {
  $("work").hidden = false;
  $("status").textContent = text;
  if (part === null) $("progress").removeAttribute("value");
  else $("progress").value = part;
}

function setListening(isListening) {
  body.classList.toggle("listening", isListening);
  $("speak").setAttribute("aria-pressed", String(isListening));
  $("speak-label").textContent = isListening ? "Stop" : "Speak";
}

/** Have a screen reader say it. */
function say(text) {
  if (!text) return;
  const line = document.createElement("p");
  line.textContent = text;
  $("said").append(line);
}
