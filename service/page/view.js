// The parts of the page around the text: what is under way, what went wrong, what is said aloud.

import { explain, Failure } from "./messages.js";

export const $ = (id) => document.getElementById(id);

/** Show what is under way, and which part of it is done, if that is known. */
export function showWork(text, part = null) {
  $("work").hidden = false;
  $("status").textContent = text;
  if (part === null) $("progress").removeAttribute("value");
  else $("progress").value = part;
}

/** Nothing is under way. */
export function hideWork() {
  $("work").hidden = true;
  $("status").textContent = "";
}

/** Tell what went wrong. */
export function showProblem(error) {
  const failure =
    error instanceof Failure ? error : new Failure({ code: "page", message: error.message });
  $("problem-text").textContent = explain(failure);
  $("again").hidden = !failure.passes;
  $("problem").hidden = false;
}

/** Nothing is wrong any more. */
export function hideProblem() {
  $("problem").hidden = true;
  $("problem-text").textContent = "";
}

/** Show whether the microphone is open. */
export function setListening(isListening) {
  document.body.classList.toggle("listening", isListening);
  $("speak").setAttribute("aria-pressed", String(isListening));
  $("speak-label").textContent = isListening ? "Stop" : "Speak";
}

/** Have a screen reader say it. */
export function say(text) {
  if (!text) return;
  const line = document.createElement("p");
  line.textContent = text;
  $("said").append(line);
}
