// From the microphone to the server, and what comes back.

import { Live } from "./live.js";
import { Microphone } from "./microphone.js";
import { Recording } from "./recording.js";

/** One time somebody speaks. */
export class Dictation {
  /** What was spoken so far; null until the microphone is open. */
  recording = null;
  #listener;
  #microphone = null;
  #live = null;
  #early = []; // pieces from before there was somebody to send them to
  #isStopping = false;

  /**
   * @param {{onOpen: () => void, onPiece: (recording: Recording) => void,
   *     onPartial: (message: object) => void, onFinal: (message: object) => void}} listener
   */
  constructor(listener) {
    this.#listener = listener;
  }

  /**
   * Listen until it is stopped, or something ends it.
   *
   * @param {{language?: string, model?: string, signal: AbortSignal}} options
   * @returns {Promise<?Error>} what ended it, if it was not stopped.
   * @throws {Failure} there is no microphone to be had.
   */
  async run({ language, model, signal }) {
    const opening = Microphone.open((piece) => this.#take(piece), () => this.stop());
    this.#microphone = await unlessAborted(opening, signal);
    const { rateHz } = this.#microphone;
    this.recording = new Recording(rateHz);
    this.#listener.onOpen();
    const ending = new Promise((resolve) => {
      this.#live = new Live({ rateHz, language, model }, { ...this.#listener, onEnd: resolve });
      signal.addEventListener("abort", () => resolve(signal.reason));
    });
    this.#early.splice(0).forEach((piece) => this.#take(piece));
    try {
      return await ending;
    } finally {
      this.#live.close();
      await this.#microphone.close();
    }
  }

  /** Close the microphone and wait for the rest of the text; it ends `run`. */
  async stop() {
    if (!this.#live || this.#isStopping) return;
    this.#isStopping = true;
    await this.#microphone.close();
    this.#live.stop();
  }

  #take(piece) {
    if (!this.#live) {
      this.#early.push(piece);
      return;
    }
    this.recording.add(piece);
    this.#live.push(piece);
    this.#listener.onPiece(this.recording);
  }
}

/** The microphone, unless nobody waits for it any more; then it is closed again. */
async function unlessAborted(opening, signal) {
  const aborted = new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  try {
    return await Promise.race([opening, aborted]);
  } catch (failure) {
    opening.then((microphone) => microphone.close()).catch(() => {});
    throw failure;
  }
}
