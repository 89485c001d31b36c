// Server-sent events of an answer that is still coming.

/** Reads the events of a growing text, each once. */
export class Events {
  #onEvent;
  #position = 0;

  /** @param {(event: object) => void} onEvent */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  /** Read on. @param {string} text all of it so far. */
  read(text) {
    let end;
    while ((end = text.indexOf("\n\n", this.#position)) >= 0) {
      const event = text.slice(this.#position, end);
      this.#position = end + 2;
      this.#onEvent(JSON.parse(event.slice("data: ".length)));
    }
  }
}
