"""transformers' own speech recognition pipeline, in a process of its own with a memory limit.

    python -m tests.benchmarks.peers.transformers_pipeline MODEL [CHUNK_S]

A line of JSON in, a line out: {"clips": [paths]} recognises, {"front_end_s": seconds} computes only
the convolutional features of as much silence, which is where memory peaks. The answer holds
`seconds`, or `failure`.
"""

import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import torch
from transformers import AutomaticSpeechRecognitionPipeline, pipeline
from transformers.utils import logging

from service.audio import SAMPLE_RATE_HZ, decode_audio
from tests.benchmarks import options


def main() -> None:
    """Answer until standard input ends."""
    model, *chunk_s = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print is no answer
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(options.CORES)
    chunking = {"chunk_length_s": float(chunk_s[0])} if chunk_s else {}
    recogniser = pipeline(
        "automatic-speech-recognition",
        model=model,
        device="cpu",
        dtype=torch.float32,
        model_kwargs={"attn_implementation": "sdpa"},
        **chunking,
    )
    resource.setrlimit(resource.RLIMIT_DATA, (options.MEMORY_BYTES, options.MEMORY_BYTES))
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        print(json.dumps(_answer(recogniser, json.loads(line))), file=answers)


def _answer(
    recogniser: AutomaticSpeechRecognitionPipeline, request: dict[str, object]
) -> dict[str, object]:
    try:
        if "clips" in request:
            return _recognise(recogniser, request["clips"])
        return _compute_front_end(recogniser, request["front_end_s"])
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't allocate memory" not in str(error):
            raise
        return {"failure": f"out of memory at {options.MEMORY_BYTES / 1e9:.0f} GB"}


def _recognise(recogniser, clips):
    """Audio is decoded before the clock starts, and one clip computed after the other."""
    waveforms = [decode_audio(Path(clip)) for clip in clips]
    start_s = time.perf_counter()
    texts = [
        recogniser({"raw": waveform, "sampling_rate": SAMPLE_RATE_HZ})["text"]
        for waveform in waveforms
    ]
    return {"seconds": time.perf_counter() - start_s, "texts": len(texts)}


def _compute_front_end(recogniser, seconds):
    silence = torch.zeros(1, int(seconds * SAMPLE_RATE_HZ))
    start_s = time.perf_counter()
    with torch.inference_mode():
        recogniser.model.wav2vec2.feature_extractor(silence)
    return {"seconds": time.perf_counter() - start_s}


if __name__ == "__main__":
    main()
