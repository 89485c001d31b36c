// The recording as a picture, and the place in it.

import { clock } from "./messages.js";

const BAR_PX = 3;
const GAP_PX = 2;
const LEAST_SCALE = 0.05; // so that silence does not look like speech
const STEPS_S = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

/** Draws on a canvas that is also a slider. */
export class Waveform {
  #canvas;
  #peaks = [];
  #durationS = 0;
  #positionS = 0;
  #word = null;
  #isLive = false;

  /** @param {(seconds: number) => void} onSeek */
  constructor(canvas, onSeek) {
    this.#canvas = canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.#durationS || this.#isLive) return;
      const { left, width } = canvas.getBoundingClientRect();
      onSeek(((event.clientX - left) / width) * this.#durationS);
    });
    canvas.addEventListener("keydown", (event) => {
      const place = this.#placeFor(event.key);
      if (place === null || this.#isLive) return;
      event.preventDefault();
      onSeek(Math.max(0, Math.min(place, this.#durationS)));
    });
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Show a whole recording, flat until it is drawn. */
  begin(durationS) {
    this.#isLive = false;
    this.#peaks = [];
    this.#durationS = durationS;
    this.#canvas.setAttribute("aria-valuemax", durationS.toFixed(1));
    this.move(0, null);
  }

  /** Take how loud it is where. */
  draw(peaks) {
    this.#peaks = peaks;
    this.#draw();
  }

  /** Show the end of a recording that still grows. */
  follow(peaks) {
    this.#isLive = true;
    this.#peaks = peaks;
    this.#draw();
  }

  /** Go to a place, and mark the word said there, if there is one. */
  move(positionS, word) {
    this.#positionS = positionS;
    this.#word = word;
    this.#canvas.setAttribute("aria-valuenow", positionS.toFixed(1));
    const said = word ? `, ${word.word}` : "";
    this.#canvas.setAttribute("aria-valuetext", `${clock(positionS)} of ${clock(this.#durationS)}${said}`);
    this.#draw();
  }

  #placeFor(key) {
    if (key === "Home") return 0;
    if (key === "End") return this.#durationS;
    return key in STEPS_S ? this.#positionS + STEPS_S[key] : null;
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    const pen = this.#canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    if (this.#word && !this.#isLive) {
      const x = (seconds) => (seconds / this.#durationS) * width;
      pen.fillStyle = colour("tint");
      pen.fillRect(x(this.#word.start_s) - 2, 0, x(this.#word.end_s) - x(this.#word.start_s) + 4, height);
    }
    const bars = Math.floor((width + GAP_PX) / (BAR_PX + GAP_PX));
    const heights = this.#isLive ? lastOf(this.#peaks, bars) : squeezed(this.#peaks, bars);
    const top = heights.reduce((most, value) => Math.max(most, value), LEAST_SCALE);
    const played = this.#durationS ? (this.#positionS / this.#durationS) * bars : 0;
    heights.forEach((value, at) => {
      const tall = Math.max(2, (value / top) * (height - 4));
      pen.fillStyle = colour(this.#isLive ? "live" : at < played ? "accent" : "wave");
      pen.beginPath();
      pen.roundRect(at * (BAR_PX + GAP_PX), (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
      pen.fill();
    });
  }
}

function lastOf(peaks, count) {
  const last = peaks.slice(-count);
  return [...new Array(count - last.length).fill(0), ...last];
}

function squeezed(peaks, count) {
  const step = peaks.length / count;
  return Array.from({ length: count }, (_, at) => {
    const from = Math.floor(at * step);
    const to = Math.max(from + 1, Math.floor((at + 1) * step));
    return peaks.slice(from, to).reduce((most, value) => Math.max(most, value), 0);
  });
}
