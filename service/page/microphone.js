// The microphone, as pieces of 16-bit samples.

import { Failure } from "./messages.js";

const RATE_HZ = 16000;
const CODES = {
  NotAllowedError: "microphone_refused",
  SecurityError: "microphone_refused",
  NotFoundError: "microphone_missing",
  OverconstrainedError: "microphone_missing",
};

/** An open microphone. */
export class Microphone {
  #stream;
  #context;
  #recorder;

  /**
   * Ask for it and open it.
   *
   * @param {(piece: ArrayBuffer) => void} onPiece gets a tenth of a second at a time.
   * @param {() => void} onEnd hears when it was unplugged.
   * @throws {Failure}
   */
  static async open(onPiece, onEnd) {
    const microphone = new Microphone();
    try {
      await microphone.#open(onPiece, onEnd);
    } catch (error) {
      await microphone.#release();
      throw error;
    }
    return microphone;
  }

  /** Samples per second. */
  get rateHz() {
    return this.#context.sampleRate;
  }

  async #open(onPiece, onEnd) {
    if (!navigator.mediaDevices?.getUserMedia) throw new Failure({ code: "microphone_insecure" });
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    } catch (error) {
      throw new Failure({ code: CODES[error.name] ?? "microphone_busy", message: error.message });
    }
    this.#stream.getAudioTracks()[0].addEventListener("ended", onEnd);
    const source = this.#connect();
    await this.#context.audioWorklet.addModule("page/recorder-worklet.js");
    this.#recorder = new AudioWorkletNode(this.#context, "recorder", { numberOfOutputs: 0 });
    this.#recorder.port.onmessage = ({ data }) => onPiece(data);
    source.connect(this.#recorder);
    await this.#context.resume();
  }

  /** At the rate of the model, where the browser converts; the server can, too. */
  #connect() {
    try {
      this.#context = new AudioContext({ sampleRate: RATE_HZ });
      return this.#context.createMediaStreamSource(this.#stream);
    } catch {
      this.#context?.close();
      this.#context = new AudioContext();
      return this.#context.createMediaStreamSource(this.#stream);
    }
  }

  /** Close it, once the last piece was given. */
  async close() {
    if (!this.#recorder) return;
    const { port } = this.#recorder;
    this.#recorder = null;
    const onPiece = port.onmessage;
    await new Promise((resolve) => {
      port.onmessage = (message) => (message.data ? onPiece(message) : resolve());
      port.postMessage("end");
      setTimeout(resolve, 500); // an audio thread that hangs does not hold the page
    });
    await this.#release();
  }

  async #release() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    if (this.#context && this.#context.state !== "closed") await this.#context.close();
  }
}
