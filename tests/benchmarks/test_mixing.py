"""WSM against scaled dot-product attention of the same width, by length: time and live memory."""

import math

import pytest
import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperAttention

from model_export.mixing.summary_mixing import WindowedSummaryMixing
from tests.benchmarks.timing import time_pairs

WIDTH, HEADS, WINDOW_FRAMES = 384, 6, 8
FRAMES_PER_S = 50
SECONDS = (5, 10, 20, 40, 80, 160)


@pytest.mark.bench
def test_mixing_grows_linearly_and_attention_does_not():
    torch.set_num_threads(1)
    config = WhisperConfig(d_model=WIDTH, attn_implementation="sdpa")
    attention = WhisperAttention(WIDTH, HEADS, config=config).eval()
    mixing = WindowedSummaryMixing(WIDTH, WINDOW_FRAMES).eval()
    print(
        f"\nwidth {WIDTH}, w = {WINDOW_FRAMES}, one thread, float32: WSM, attention (SDPA), ratio"
    )
    medians = []
    with torch.inference_mode():
        for seconds in SECONDS:
            frames = torch.randn(1, seconds * FRAMES_PER_S, WIDTH)
            valid_mask = torch.ones(1, frames.shape[1], dtype=torch.bool)
            key_mask = valid_mask[:, None, None, :]
            pairs = time_pairs(
                lambda: mixing(frames, valid_mask),  # noqa: B023  called before the loop moves on
                lambda: attention(frames, attention_mask=key_mask),  # noqa: B023
                pairs=11,
            )
            medians.append((sorted(pairs.first_s)[5], sorted(pairs.second_s)[5]))
            print(f"{seconds:5d} s  {pairs}")
    mixing_slope, attention_slope = (_slope([pair[side] for pair in medians]) for side in (0, 1))
    print(f"log-log slope of time, 20 to 160 s: WSM {mixing_slope:.2f}, SDPA {attention_slope:.2f}")
    assert mixing_slope < attention_slope


def _slope(times_s: list[float]) -> float:
    return math.log(times_s[-1] / times_s[2]) / math.log(SECONDS[-1] / SECONDS[2])
