// Runs beside the page, in the browser's audio thread.

const PIECE_S = 0.1;

/** Posts what the microphone gives as ArrayBuffers of pcm_s16le, the channels averaged. */
class Recorder extends AudioWorkletProcessor {
  piece = new Int16Array(Math.round(sampleRate * PIECE_S));
  filled = 0;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.post();
      this.port.postMessage(null); // nothing follows
    };
  }

  process([channels]) {
    const samples = channels[0]?.length ?? 0;
    for (let index = 0; index < samples; index++) {
      let sum = 0;
      for (const channel of channels) sum += channel[index];
      const value = Math.max(-1, Math.min(1, sum / channels.length));
      this.piece[this.filled++] = Math.round(value * 32767);
      if (this.filled === this.piece.length) this.post();
    }
    return true;
  }

  post() {
    if (this.filled) this.port.postMessage(this.piece.slice(0, this.filled).buffer);
    this.filled = 0;
  }
}

registerProcessor("recorder", Recorder);
