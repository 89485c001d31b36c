// What was spoken, kept so that it can be drawn and played.

const PEAKS_PER_S = 20;
const HEADER_BYTES = 44;

/** Grows while somebody speaks. */
export class Recording {
  /** Loudest sample of each twentieth of a second, 0 to 1. */
  peaks = [];
  #pieces = [];
  #samples = 0;
  #rateHz;

  constructor(rateHz) {
    this.#rateHz = rateHz;
  }

  get durationS() {
    return this.#samples / this.#rateHz;
  }

  /** @param {ArrayBuffer} piece of pcm_s16le. */
  add(piece) {
    const samples = new Int16Array(piece);
    this.#pieces.push(samples);
    for (const sample of samples) {
      const at = Math.floor((this.#samples++ / this.#rateHz) * PEAKS_PER_S);
      this.peaks[at] = Math.max(this.peaks[at] ?? 0, Math.abs(sample) / 32768);
    }
  }

  /** A WAV file. */
  toWav() {
    const header = new DataView(new ArrayBuffer(HEADER_BYTES));
    const bytes = this.#samples * 2;
    const text = (at, value) => [...value].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF");
    header.setUint32(4, HEADER_BYTES - 8 + bytes, true);
    text(8, "WAVEfmt ");
    header.setUint32(16, 16, true);
    header.setUint16(20, 1, true); // PCM
    header.setUint16(22, 1, true); // channels
    header.setUint32(24, this.#rateHz, true);
    header.setUint32(28, this.#rateHz * 2, true);
    header.setUint16(32, 2, true);
    header.setUint16(34, 16, true);
    text(36, "data");
    header.setUint32(40, bytes, true);
    return new Blob([header, ...this.#pieces], { type: "audio/wav" });
  }
}

const LARGEST_DECODED_BYTES = 96 * 1024 ** 2;
const DECODED_RATE_HZ = 8000;

/** Peaks of a file as above, or none where the browser cannot decode it or it is very large. */
export async function peaksOf(file) {
  if (file.size > LARGEST_DECODED_BYTES) return [];
  try {
    const context = new OfflineAudioContext(1, 1, DECODED_RATE_HZ);
    const decoded = await context.decodeAudioData(await file.arrayBuffer());
    const step = DECODED_RATE_HZ / PEAKS_PER_S;
    const samples = decoded.getChannelData(0);
    return Array.from({ length: Math.ceil(samples.length / step) }, (_, at) =>
      samples.subarray(at * step, (at + 1) * step).reduce((top, v) => Math.max(top, Math.abs(v)), 0),
    );
  } catch {
    return [];
  }
}
