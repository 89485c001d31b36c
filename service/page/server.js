// The server's answers over HTTP. Addresses are relative, so a proxy may put the page anywhere.

import { keyHeaders } from "./key.js";
import { Failure } from "./messages.js";

/**
 * Send a file and wait for its text.
 *
 * @param {File} file
 * @param {{language?: string, onUpload: (part: number) => void, signal: AbortSignal}} options
 *     onUpload is told which part of the file is sent, 0 to 1.
 * @returns {Promise<object>} the answer of POST /transcribe.
 * @throws {Failure} or the signal's reason.
 */
export function transcribe(file, { language, onUpload, signal }) {
  const form = new FormData();
  if (language) form.append("language", language);
  form.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not tell how much was sent
    request.open("POST", "transcribe");
    for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => onUpload(total ? loaded / total : 1);
    request.upload.onload = () => onUpload(1);
    request.onload = () => {
      const body = parsed(request.responseText);
      if (request.status === 200 && body) resolve(body);
      else reject(failureOf(request, body));
    };
    request.onerror = () => reject(new Failure({ code: "connection_lost" }));
    signal.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(form);
  });
}

/** The loaded model, or null while there is none; and whether the server wants another key. */
export async function loadedModel() {
  try {
    const answer = await fetch("version", { headers: keyHeaders() });
    const { model = null } = await answer.json();
    return { model, isLocked: answer.status === 401 || answer.status === 403 };
  } catch {
    return { model: null, isLocked: false };
  }
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
