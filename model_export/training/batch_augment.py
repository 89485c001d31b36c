"""Augmentation of whole batches by tensor operations, on the device that learns from them.

The same kinds of change as `augment.WaveformAugmenter` makes on a CPU, one utterance at a time,
before anything is cached; here they cost a GPU next to nothing and differ in every epoch. Draws
come from torch's generators, so that a resumed run goes on as it would have.

Shapes: B batch, S samples.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model_export.front_ends.log_mel import valid_frames
from service.audio import SAMPLE_RATE_HZ

NYQUIST_HZ = SAMPLE_RATE_HZ / 2
QUIET_POWER = 1e-8
EDGE_HZ = 120.0  # how steep band limits are
EQ_BANDS = 8
LONGEST_RT60_S = 0.8
COMPANDED_LEVELS = 255.0  # mu of 8-bit telephony (ITU-T G.711)
FFT_GRID_SAMPLES = 16384  # so that there are few sizes of transforms, and each is planned once


@dataclass(frozen=True)
class BatchAugmentation:
    """How often a row is changed, and how much.

    Attributes:
        speeds: slowest and fastest; pitch and formants move along.
        pause_share: rows that get silence before and after.
        longest_pause_s: of each of the two.
        room_share: rows that are heard in a room.
        equaliser_share: rows whose bands are raised and lowered.
        equaliser_db: by at most so much.
        low_pass_share: rows without their highest frequencies.
        telephone_share: rows in a telephone's band, companded to 8 bits.
        noise_share: rows with coloured noise.
        noise_db: least and most decibels that speech is above it.
        gain_share: rows that are made quieter or louder.
        gain_db: from and to.
    """

    speeds: tuple[float, float] = (0.85, 1.15)
    pause_share: float = 0.25
    longest_pause_s: float = 3.0
    room_share: float = 0.3
    equaliser_share: float = 0.5
    equaliser_db: float = 8.0
    low_pass_share: float = 0.15
    telephone_share: float = 0.15
    noise_share: float = 0.6
    noise_db: tuple[float, float] = (5.0, 35.0)
    gain_share: float = 0.7
    gain_db: tuple[float, float] = (-20.0, 6.0)


class BatchAugmenter:
    """Changes every row of a batch by chance.

    Args:
        amounts: how often and how much.
        longest_s: pauses are not added beyond this; None means no limit.
    """

    def __init__(self, amounts: BatchAugmentation, longest_s: float | None = None) -> None:
        self._amounts = amounts
        self._longest_s = math.inf if longest_s is None else longest_s

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Augment.

        Args:
            waveforms: `[B, S]`, 16 kHz in [-1, 1].
            lengths: `[B]`, valid samples.

        Returns:
            Waveforms `[B, S']` in [-1, 1], zero past their ends, and lengths `[B]`.
        """
        speeds = _uniform(lengths, *self._amounts.speeds)
        speeds = torch.maximum(speeds, lengths / (self._longest_s * SAMPLE_RATE_HZ))
        waveforms, lengths = change_speed(waveforms, lengths, speeds)
        power = mean_power(waveforms, lengths)
        waveforms, lengths = self._pause(waveforms, lengths)
        waveforms = self._colour(waveforms, power)
        waveforms = self._add_noise(waveforms, power)
        waveforms = self._gain(waveforms).clamp(-1.0, 1.0)
        return waveforms.masked_fill(~valid_frames(lengths, waveforms.shape[1]), 0.0), lengths

    def _pause(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Silence around some rows; short batches grow by no more than their own length."""
        seconds = waveforms.shape[1] / SAMPLE_RATE_HZ
        longest_s = min(
            self._amounts.longest_pause_s, seconds, max(0.0, (self._longest_s - seconds) / 2)
        )
        pausing = _chosen(lengths, self._amounts.pause_share)
        before, after = (
            (_uniform(lengths, 0.0, longest_s * SAMPLE_RATE_HZ) * pausing).long() for _ in range(2)
        )
        return add_pauses(waveforms, lengths, before, after)

    def _colour(self, waveforms: Tensor, power: Tensor) -> Tensor:
        """Rooms, equaliser and band limits in one multiplication of spectra; loudness stays."""
        amounts, samples = self._amounts, waveforms.shape[1]
        padded = _transformed(samples + int(LONGEST_RT60_S * SAMPLE_RATE_HZ))
        telephone = _chosen(power, amounts.telephone_share)
        response = self._equaliser(power, padded) * self._band_limits(power, padded, telephone)
        rooms = torch.fft.rfft(room_responses(_chosen(power, amounts.room_share)), n=padded)
        coloured = torch.fft.irfft(
            torch.fft.rfft(waveforms, n=padded) * response * rooms, n=padded
        )[:, :samples]
        return torch.where(telephone.unsqueeze(1) > 0, compand(coloured), coloured)

    def _equaliser(self, rows: Tensor, padded: int) -> Tensor:
        """Gain of each frequency `[B, F]`, drawn at a few and interpolated between."""
        amounts = self._amounts
        knots_db = torch.empty(len(rows), 1, EQ_BANDS, device=rows.device).uniform_(
            -amounts.equaliser_db, amounts.equaliser_db
        )
        knots_db = knots_db * _chosen(rows, amounts.equaliser_share)[:, None, None]
        bins = padded // 2 + 1
        gains_db = F.interpolate(knots_db, size=bins, mode="linear", align_corners=True)
        return torch.pow(10.0, gains_db.squeeze(1) / 20)

    def _band_limits(self, rows: Tensor, padded: int, telephone: Tensor) -> Tensor:
        """Gain of each frequency `[B, F]`: all, the lower ones, or a telephone's."""
        frequencies = torch.linspace(0, NYQUIST_HZ, padded // 2 + 1, device=rows.device)
        lowered = _chosen(rows, self._amounts.low_pass_share)
        top = torch.where(lowered > 0, _uniform(rows, 3000.0, 7000.0), 2 * NYQUIST_HZ)
        top = torch.where(telephone > 0, _uniform(rows, 3200.0, 3800.0), top)
        bottom = torch.where(telephone > 0, _uniform(rows, 150.0, 350.0), -NYQUIST_HZ)
        falling = torch.sigmoid((top.unsqueeze(1) - frequencies) / EDGE_HZ)
        return falling * torch.sigmoid((frequencies - bottom.unsqueeze(1)) / EDGE_HZ)

    def _add_noise(self, waveforms: Tensor, power: Tensor) -> Tensor:
        """Noise between white and brown, under rows of any loudness."""
        noise = coloured_noise(waveforms, _uniform(power, 0.0, 2.0))
        decibels = _uniform(power, *self._amounts.noise_db)
        level = (power.clamp(min=QUIET_POWER) * torch.pow(10.0, -decibels / 10)).sqrt()
        level = level * _chosen(power, self._amounts.noise_share)
        return waveforms + noise * level.unsqueeze(1)

    def _gain(self, waveforms: Tensor) -> Tensor:
        rows = waveforms[:, 0]
        decibels = _uniform(rows, *self._amounts.gain_db) * _chosen(rows, self._amounts.gain_share)
        return waveforms * torch.pow(10.0, decibels / 20).unsqueeze(1)


def change_speed(waveforms: Tensor, lengths: Tensor, speeds: Tensor) -> tuple[Tensor, Tensor]:
    """Play rows faster or slower, by cubic interpolation (Catmull-Rom).

    Args:
        waveforms: `[B, S]`.
        lengths: `[B]`, valid samples.
        speeds: `[B]`, how many times faster.

    Returns:
        Waveforms `[B, S']` and lengths `[B]`, at least 1.
    """
    slowest = float(speeds.min())
    steps = torch.arange(int(waveforms.shape[1] / slowest) + 1, device=waveforms.device)
    places = steps * speeds.unsqueeze(1).double()
    before = places.floor()
    part = (places - before).to(waveforms.dtype)
    padded = F.pad(waveforms, (1, 3))  # so that place p lies at p + 1
    last = waveforms.shape[1] + 1
    p0, p1, p2, p3 = (
        padded.gather(1, (before.long() + offset).clamp(max=last + 2)) for offset in range(4)
    )
    curve = (2 * p0 - 5 * p1 + 4 * p2 - p3) + part * (3 * (p1 - p2) + p3 - p0)
    played = p1 + 0.5 * part * (p2 - p0 + part * curve)
    played_lengths = (lengths / speeds.double()).long().clamp(min=1)
    valid_mask = valid_frames(played_lengths, played.shape[1])
    return played.masked_fill(~valid_mask, 0.0), played_lengths


def add_pauses(
    waveforms: Tensor, lengths: Tensor, before: Tensor, after: Tensor
) -> tuple[Tensor, Tensor]:
    """Put silence of so many samples `[B]` before and after each row."""
    paused_lengths = lengths + before + after
    samples = int(paused_lengths.max())
    places = torch.arange(samples, device=waveforms.device) - before.unsqueeze(1)
    spoken_mask = (places >= 0) & (places < lengths.unsqueeze(1))
    shifted = waveforms.gather(1, places.clamp(0, waveforms.shape[1] - 1))
    return shifted.masked_fill(~spoken_mask, 0.0), paused_lengths


def room_responses(chosen: Tensor) -> Tensor:
    """Impulse responses `[B, samples]` of rooms; a bare impulse for rows that are not chosen.

    Echoes are noise that dies away by 60 dB in 0.1 to 0.8 s (Polack's model), after some
    milliseconds, 0 to 15 dB below the direct sound; all together have the energy of an impulse.

    Args:
        chosen: `[B]`, 1 for rows that are heard in a room.
    """
    samples = int(LONGEST_RT60_S * SAMPLE_RATE_HZ)
    times_s = torch.arange(samples, device=chosen.device) / SAMPLE_RATE_HZ
    rt60_s = _uniform(chosen, 0.1, LONGEST_RT60_S).unsqueeze(1)
    first_s = _uniform(chosen, 0.001, 0.02).unsqueeze(1)
    echoes = torch.randn(len(chosen), samples, device=chosen.device)
    echoes = echoes * torch.exp(-math.log(1000) * times_s / rt60_s) * (times_s > first_s)
    energy = torch.pow(10.0, -_uniform(chosen, 0.0, 15.0) / 10) * chosen
    echoes = echoes * (energy / echoes.square().sum(dim=1)).sqrt().unsqueeze(1)
    echoes[:, 0] = 1.0
    return echoes / (1.0 + energy).sqrt().unsqueeze(1)


def coloured_noise(like: Tensor, slopes: Tensor) -> Tensor:
    """Noise shaped as `like` `[B, S]`, of power 1, that falls by f^-slope `[B]` in power."""
    samples = _transformed(like.shape[1])
    spectrum = torch.fft.rfft(torch.randn(len(like), samples, device=like.device))
    steps = torch.arange(1, spectrum.shape[1] + 1, device=like.device, dtype=like.dtype)
    # Below some 50 Hz it stays level, or brown noise would be all rumble.
    steps = steps.clamp(min=1 + 50.0 / SAMPLE_RATE_HZ * samples)
    shaped = torch.fft.irfft(spectrum * steps.pow(-slopes.unsqueeze(1) / 2), n=samples)
    shaped = shaped[:, : like.shape[1]]
    levelled: Tensor = shaped / shaped.square().mean(dim=1, keepdim=True).clamp(min=1e-20).sqrt()
    return levelled


def compand(waveforms: Tensor) -> Tensor:
    """What eight bits of mu-law (ITU-T G.711) leave of waveforms in [-1, 1]."""
    loudness = torch.log1p(COMPANDED_LEVELS * waveforms.abs().clamp(max=1.0))
    levels = loudness / math.log1p(COMPANDED_LEVELS)
    rounded = torch.round(levels * 127) / 127
    return waveforms.sign() * torch.expm1(rounded * math.log1p(COMPANDED_LEVELS)) / COMPANDED_LEVELS


def mean_power(waveforms: Tensor, lengths: Tensor) -> Tensor:
    """Mean square `[B]` of the valid samples, which alone are not zero."""
    return waveforms.square().sum(dim=1) / lengths


def _transformed(samples: int) -> int:
    """A size of transforms that holds so many samples."""
    return -(-samples // FFT_GRID_SAMPLES) * FFT_GRID_SAMPLES


def _uniform(rows: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(len(rows), device=rows.device).uniform_(low, high)


def _chosen(rows: Tensor, share: float) -> Tensor:
    """1 for a share of the rows `[B]`, 0 for the others."""
    return (torch.rand(len(rows), device=rows.device) < share).float()
