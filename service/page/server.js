// The server's answers over HTTP. Addresses are relative, so a proxy may put the page anywhere.

import { Events } from "./events.js";
import { keyHeaders } from "./key.js";
import { Failure } from "./messages.js";

/**
 * Send a file and hear its words as they are recognised.
 *
 * @param {File} file
 * @param {{language?: string, model?: string, onUpload: (part: number) => void,
 *     onWords: (words: object[]) => void, signal: AbortSignal}} options
 *     onUpload is told which part of the file is sent, 0 to 1.
 * @returns {Promise<object>} what POST /transcribe answers, but for its timing.
 * @throws {Failure} or the signal's reason.
 */
export function transcribe(file, { language, model, onUpload, onWords, signal }) {
  const form = formOf({ language, model, stream: "true", "timestamp_granularities[]": "word" });
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much was sent
    request.open("POST", "v1/audio/transcriptions");
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onUpload(total ? loaded / total : 1);
    request.upload.onload = () => onUpload(1);
    const words = [];
    const events = new Events(({ type, error, ...event }) => {
      if (error) reject(new Failure(error));
      if (type === "transcript.text.delta") {
        const more = event.words.map(wordOf);
        words.push(...more);
        onWords(more);
      }
      if (type === "transcript.text.done") resolve(answerOf(event, words, request));
    });
    request.onprogress = () => request.status === 200 && events.read(request.responseText);
    request.onload = () => {
      if (request.status === 200) {
        events.read(request.responseText);
        reject(new Failure({ code: "connection_lost" })); // unless the last event came
      } else reject(failureOf(request, parsed(request.responseText)));
    };
    request.onerror = () => reject(new Failure({ code: "connection_lost" }));
    signal.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(form);
  });
}

/** The models, the default first, none while none is loaded; and whether another key is wanted. */
export async function servedModels() {
  try {
    const answer = await fetch("version", { headers: keyHeaders() });
    const { model, models } = await answer.json();
    return {
      models: model ? models : [],
      isLocked: answer.status === 401 || answer.status === 403,
    };
  } catch {
    return { models: [], isLocked: false };
  }
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value) form.append(name, value);
  return form;
}

function wordOf({ word, start, end, confidence }) {
  return { word, start_s: start, end_s: end, confidence };
}

function answerOf({ text, duration, language, model }, words, request) {
  const request_id = request.getResponseHeader("X-Request-ID");
  return { text, duration_s: duration, language: language ?? null, model, request_id, words };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function failureOf(request, body) {
  const error = body?.error ?? { code: "http_status", message: `status ${request.status}` };
  return new Failure({ ...error, retryAfterS: Number(request.getResponseHeader("Retry-After")) || null });
}
