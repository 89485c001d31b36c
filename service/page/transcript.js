// The text: words that tell how sure they are, and lead to where they are said.

import { clock, percent } from "./messages.js";
import { PARAGRAPH_PAUSE_S } from "./subtitles.js";

const SURE = 0.8;
const DOUBTFUL = 0.5;

/** The words on the page. One of them can be reached with Tab, the others from there. */
export class Transcript {
  words = [];
  #root;
  #partial;
  #spans = [];
  #now = -1;
  #reachable = 0;

  /** @param {(word: object) => void} onChoose */
  constructor(root, partial, onChoose) {
    this.#root = root;
    this.#partial = partial;
    root.addEventListener("click", ({ target }) => {
      const at = this.#spans.indexOf(target);
      if (at < 0) return;
      this.#reach(at);
      onChoose(this.words[at]);
    });
    root.addEventListener("keydown", (event) => this.#answer(event, onChoose));
  }

  /** Begin anew. */
  clear(language) {
    this.words = [];
    this.#spans = [];
    this.#now = -1;
    this.#reachable = 0;
    this.#root.replaceChildren();
    this.#root.lang = this.#partial.lang = language ?? "";
    this.hint("", 0);
  }

  /** Add what is certain. */
  add(words) {
    for (const word of words) {
      const last = this.words.at(-1);
      const isNew = !last || word.start_s - last.end_s >= PARAGRAPH_PAUSE_S;
      if (isNew) this.#root.append(document.createElement("p"));
      const span = spanOf(word);
      const paragraph = this.#root.lastElementChild;
      paragraph.append(...(isNew ? [span] : [" ", span]));
      span.tabIndex = this.#spans.length ? -1 : 0;
      this.#spans.push(span);
      this.words.push(word);
    }
  }

  /** Show what may still change; the first characters will not. */
  hint(text, stableCharacters) {
    const stable = document.createElement("span");
    stable.className = "stable";
    stable.textContent = text.slice(0, stableCharacters);
    this.#partial.replaceChildren(...(text ? [stable, text.slice(stableCharacters)] : []));
  }

  /** Whether some words are less than sure. */
  get hasDoubts() {
    return this.words.some(({ confidence }) => confidence < SURE);
  }

  /** Highlight the word said at a time, and return it. */
  mark(seconds) {
    const at = this.#lastBefore(seconds);
    const word = at >= 0 && seconds < this.words[at].end_s ? this.words[at] : null;
    const now = word ? at : -1;
    if (now !== this.#now) {
      this.#spans[this.#now]?.classList.remove("now");
      this.#spans[now]?.classList.add("now");
      this.#now = now;
    }
    return word;
  }

  #lastBefore(seconds) {
    let [low, high] = [0, this.words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].start_s <= seconds) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #answer(event, onChoose) {
    const last = this.#spans.length - 1;
    const places = {
      ArrowRight: this.#reachable + 1,
      ArrowLeft: this.#reachable - 1,
      Home: 0,
      End: last,
    };
    if (event.key in places) {
      this.#reach(Math.max(0, Math.min(places[event.key], last)));
      this.#spans[this.#reachable].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      onChoose(this.words[this.#reachable]);
    } else return;
    event.preventDefault();
  }

  #reach(at) {
    this.#spans[this.#reachable].tabIndex = -1;
    this.#reachable = at;
    this.#spans[at].tabIndex = 0;
  }
}

function spanOf({ word, start_s, confidence }) {
  const span = document.createElement("span");
  span.textContent = word;
  span.className = "word";
  span.setAttribute("role", "button");
  if (confidence < DOUBTFUL) span.classList.add("doubtful");
  else if (confidence < SURE) span.classList.add("unsure");
  span.title = `${clock(start_s)}, ${percent(confidence)} sure`;
  return span;
}
