// Taking the text along.

import { toSrt, toTxt, toVtt } from "./subtitles.js";

const FORMATS = {
  txt: ["text/plain", ({ words }) => toTxt(words)],
  srt: ["application/x-subrip", ({ words }) => toSrt(words)],
  vtt: ["text/vtt", ({ words }) => toVtt(words)],
  json: ["application/json", (result) => `${JSON.stringify(result, null, 2)}\n`],
};

/** Save a result as a file of this format. */
export function download(result, name, format) {
  const [type, write] = FORMATS[format];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([write(result)], { type: `${type};charset=utf-8` }));
  link.download = `${name.replace(/\.[^.]*$/, "") || "speech"}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Put a result's text on the clipboard; pages without https have only the old way. */
export async function copy({ words }) {
  const text = toTxt(words).trimEnd();
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
