"""Exported variants against the eager model, at lengths and batch sizes no trace ever saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from model_export.encoders.ctc_model import CtcModel
from model_export.errors import ParityFailed
from service.arrays import FloatArray, IntArray
from service.audio import SAMPLE_RATE_HZ
from service.backends import AcousticModel

TOLERANCE = 1e-4
# Rounding grows with what is rounded. A trained Whisper base gives logits up to 20; its float32
# arithmetic is up to 2e-4 off float64, eager and exported alike, and batch 3.5e-4 off alone.
RELATIVE_TOLERANCE = 5e-5
INT8_FLIPPED_SHARE = 0.05
TRIALS = 12
LARGEST_BATCH = 5
LONGEST_TRIAL_S = 20.0


@dataclass(frozen=True)
class Parity:
    """How far a variant is from the eager model.

    Attributes:
        logit_difference: largest absolute difference from the eager logits on the same batch.
        batch_difference: largest difference between a row in a batch and the same row alone.
        flipped_frames: frames whose best label differs from the eager one.
        largest_logit: largest magnitude among the eager logits.
        frames: how many were compared.
    """

    logit_difference: float
    batch_difference: float
    flipped_frames: int
    largest_logit: float
    frames: int

    @property
    def flipped_share(self) -> float:
        """Flipped frames of all frames."""
        return self.flipped_frames / max(self.frames, 1)

    @property
    def limit(self) -> float:
        """What either difference may be: 1e-4, more only where logits are larger than 2."""
        return max(TOLERANCE, RELATIVE_TOLERANCE * self.largest_logit)


def measure_parity(
    model: CtcModel,
    exported: AcousticModel,
    clips: Sequence[FloatArray] = (),
    *,
    trials: int | None = None,
    seed: int = 0,
) -> Parity:
    """Compare on random batches of noise, and on real clips where there are any.

    Args:
        model: the eager reference.
        exported: the variant.
        clips: real recordings, each `[samples]`.
        trials: batches of noise; None means enough.
        seed: of lengths, sizes and noise.
    """
    differences, batch_differences, magnitudes, flips, frame_count = [0.0], [0.0], [0.0], 0, 0
    labels = model.head.out_features
    noise = _noise(model, TRIALS if trials is None else trials, seed)
    for waveforms, lengths in chain(noise, _batches(clips)):
        expected, expected_lengths = _eager(model, waveforms, lengths)
        found, found_lengths = exported.infer(waveforms, lengths)
        if found.shape != expected.shape or not np.array_equal(found_lengths, expected_lengths):
            raise ParityFailed(
                f"frames differ for lengths {lengths.tolist()}: "
                f"{found_lengths.tolist()} exported, {expected_lengths.tolist()} eager"
            )
        for row, frames in enumerate(expected_lengths):
            alone, _ = exported.infer(
                waveforms[row : row + 1, : lengths[row]], lengths[row : row + 1]
            )
            ours, eager = found[row, :frames], expected[row, :frames]
            differences.append(_largest(ours - eager))
            batch_differences.append(_largest(ours - alone[0]))
            magnitudes.append(_largest(eager))
            flips += _flips(ours[:, :labels], eager[:, :labels])
            frame_count += int(frames)
    return Parity(
        _largest(differences), _largest(batch_differences), flips, _largest(magnitudes), frame_count
    )


def require_parity(name: str, parity: Parity) -> None:
    """Refuse a variant that is too far off.

    Raises:
        ParityFailed: logits differ by more than the limit, alone or in a batch.
    """
    for what, found in (
        ("eager logits", parity.logit_difference),
        ("its own logits at batch 1", parity.batch_difference),
    ):
        if not found <= parity.limit:
            raise ParityFailed(f"{name} is {found:.2g} off {what}; the limit is {parity.limit:.2g}")


def require_same_labels(name: str, parity: Parity) -> None:
    """Refuse an int8 variant that gives other labels.

    Raises:
        ParityFailed: more labels differ than the limit.
    """
    if not parity.flipped_share <= INT8_FLIPPED_SHARE:
        raise ParityFailed(
            f"{name} gives {100 * parity.flipped_share:.1f} % of frames another label than "
            f"float32; the limit is {100 * INT8_FLIPPED_SHARE:g} %"
        )


def _batches(clips: Sequence[FloatArray]) -> Iterator[tuple[FloatArray, IntArray]]:
    for start in range(0, len(clips), LARGEST_BATCH):
        yield _padded(clips[start : start + LARGEST_BATCH])


def _noise(model: CtcModel, trials: int, seed: int) -> Iterator[tuple[FloatArray, IntArray]]:
    rng = np.random.default_rng(seed)
    shortest = model.front_end.receptive_field_samples
    longest = int(
        min(model.front_end.longest_pass_s or LONGEST_TRIAL_S, LONGEST_TRIAL_S) * SAMPLE_RATE_HZ
    )
    for _ in range(trials):
        # Lengths spread over orders of magnitude: short ones are where edges show.
        exponents = rng.uniform(np.log(shortest), np.log(longest), rng.integers(1, LARGEST_BATCH))
        rows = [rng.standard_normal(int(size)) * 0.1 for size in np.exp(exponents)]
        yield _padded([row.astype(np.float32) for row in rows])


def _padded(rows: Sequence[FloatArray]) -> tuple[FloatArray, IntArray]:
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    waveforms = np.zeros((len(rows), lengths.max()), dtype=np.float32)
    for waveform, row in zip(waveforms, rows, strict=True):
        waveform[: len(row)] = row
    return waveforms, lengths


def _eager(
    model: CtcModel, waveforms: FloatArray, lengths: IntArray
) -> tuple[FloatArray, IntArray]:
    with torch.inference_mode():
        logits, frame_lengths = model(torch.from_numpy(waveforms), torch.from_numpy(lengths))
    return logits.numpy(), frame_lengths.numpy()


def _largest(values: FloatArray | Sequence[float]) -> float:
    # np.max, unlike max, hands a NaN on.
    return float(np.max(np.abs(values)))


def _flips(left: FloatArray, right: FloatArray) -> int:
    return int((left.argmax(axis=1) != right.argmax(axis=1)).sum())
