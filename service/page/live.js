// Text while somebody speaks, over `WS /ws/transcribe`.

import { keyProtocols } from "./key.js";
import { Failure } from "./messages.js";

const LARGEST_BACKLOG_S = 30;

/** One conversation with the server. */
export class Live {
  #socket;
  #rateHz;
  #early = []; // pieces from before the server was ready
  #isReady = false;
  #isStopping = false;
  #failure = new Failure({ code: "connection_lost" }); // unless the server says otherwise

  /**
   * @param {{rateHz: number, language?: string, model?: string}} options
   * @param {{onPartial: (message: object) => void, onFinal: (message: object) => void,
   *     onEnd: (failure: Failure | null) => void}} listener onEnd is the last, and comes once.
   */
  constructor({ rateHz, language, model }, listener) {
    this.#rateHz = rateHz;
    const address = new URL("ws/transcribe", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address, keyProtocols());
    this.#socket.onopen = () =>
      this.#say({ type: "start", encoding: "pcm_s16le", sample_rate: rateHz, language, model });
    this.#socket.onmessage = ({ data }) => this.#hear(JSON.parse(data), listener);
    this.#socket.onclose = () => listener.onEnd(this.#failure);
  }

  /** @param {ArrayBuffer} piece of pcm_s16le. */
  push(piece) {
    if (!this.#isReady) this.#early.push(piece);
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(piece);
    if (this.#socket.bufferedAmount > LARGEST_BACKLOG_S * this.#rateHz * 2) {
      this.#failure = new Failure({ code: "too_slow" });
      this.#socket.close();
    }
  }

  /** No more comes; the rest of the text does. */
  stop() {
    this.#isStopping = true;
    if (this.#isReady) this.#say({ type: "stop" });
  }

  /** Hang up, whatever was said. */
  close() {
    this.#socket.close();
  }

  #say(message) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #hear(message, listener) {
    switch (message.type) {
      case "ready":
        this.#isReady = true;
        this.#early.splice(0).forEach((piece) => this.push(piece));
        if (this.#isStopping) this.stop();
        break;
      case "partial":
        listener.onPartial(message);
        break;
      case "final":
        listener.onFinal(message);
        break;
      case "error":
        this.#failure = new Failure(message);
        break;
      case "done":
        this.#failure = null;
        break;
    }
  }
}
