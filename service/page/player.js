// Playing, with the waveform and the words keeping pace.

import { clock, Failure } from "./messages.js";

/** What plays the recording that the words are from. */
export class Player {
  #audio;
  #button;
  #time;
  #waveform = null;
  #transcript = null;
  #durationS = 0;
  #address = null;

  /** @param {(failure: Failure) => void} onFailure hears when the file cannot be played. */
  constructor({ audio, button, time }, onFailure) {
    this.#audio = audio;
    this.#button = button;
    this.#time = time;
    button.addEventListener("click", () => this.toggle());
    for (const name of ["play", "pause", "ended"]) {
      audio.addEventListener(name, () => this.#showState());
    }
    audio.addEventListener("seeking", () => this.#show());
    audio.addEventListener("loadeddata", () => (button.disabled = false));
    audio.addEventListener("error", () => {
      if (this.#address) onFailure(new Failure({ code: "not_playable" }));
    });
  }

  /** Tell it what keeps pace. */
  accompany(waveform, transcript) {
    this.#waveform = waveform;
    this.#transcript = transcript;
  }

  /** Take a recording, or nothing. */
  load(blob, durationS = 0) {
    this.#audio.pause();
    this.#button.disabled = true;
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = blob && URL.createObjectURL(blob);
    this.#durationS = durationS;
    if (blob) this.#audio.src = this.#address;
    else {
      this.#audio.removeAttribute("src");
      this.#audio.load();
    }
    this.#show();
  }

  /** Play, or stop playing. */
  toggle() {
    if (!this.#button.disabled && this.#audio.paused) this.#play();
    else this.#audio.pause();
  }

  /** Go to a place. */
  seek(seconds) {
    if (!this.#button.disabled) this.#audio.currentTime = seconds;
    this.#show(seconds);
  }

  /** Play from a place on. */
  playFrom(seconds) {
    this.seek(seconds);
    if (!this.#button.disabled) this.#play();
  }

  #play() {
    this.#audio.play().catch(() => {}); // a file that fails is told of by its error event
  }

  #showState() {
    const isPlaying = !this.#audio.paused && !this.#audio.ended;
    document.body.classList.toggle("playing", isPlaying);
    this.#button.setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    if (isPlaying) this.#keepPace();
    else this.#show();
  }

  #keepPace() {
    this.#show();
    if (!this.#audio.paused) requestAnimationFrame(() => this.#keepPace());
  }

  #show(seconds = this.#audio.currentTime) {
    const word = this.#transcript?.mark(seconds) ?? null;
    this.#waveform?.move(seconds, word);
    this.#time.value = `${clock(seconds)} / ${clock(this.#durationS)}`;
  }
}
