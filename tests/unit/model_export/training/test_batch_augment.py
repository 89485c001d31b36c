import pytest
import torch

from model_export.training.batch_augment import (
    BatchAugmentation,
    BatchAugmenter,
    add_pauses,
    change_speed,
    coloured_noise,
    compand,
    room_responses,
)

RATE_HZ = 16000
NOTHING = BatchAugmentation(
    speeds=(1.0, 1.0),
    pause_share=0.0,
    room_share=0.0,
    equaliser_share=0.0,
    low_pass_share=0.0,
    telephone_share=0.0,
    noise_share=0.0,
    gain_share=0.0,
)


def tone(hertz: float, seconds: float = 1.0) -> torch.Tensor:
    return 0.3 * torch.sin(2 * torch.pi * hertz * torch.arange(int(seconds * RATE_HZ)) / RATE_HZ)


def loudest_hz(waveform: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(waveform).abs()
    return float(spectrum.argmax()) * RATE_HZ / len(waveform)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    waveforms = torch.zeros(3, RATE_HZ)
    lengths = torch.tensor([16000, 9000, 400])
    for row, length in enumerate(lengths.tolist()):
        waveforms[row, :length] = tone(440.0)[:length]
    return waveforms, lengths


def test_nothing_asked_changes_nothing(batch) -> None:
    waveforms, lengths = BatchAugmenter(NOTHING)(*batch)
    assert lengths.tolist() == batch[1].tolist()
    torch.testing.assert_close(waveforms[:, :16000], batch[0], atol=2e-5, rtol=0)


def test_results_stay_in_range_silent_past_the_end_and_differ(batch) -> None:
    torch.manual_seed(0)
    augmenter = BatchAugmenter(BatchAugmentation(), longest_s=2.0)
    seen = set()
    for _ in range(20):
        waveforms, lengths = augmenter(*batch)
        assert waveforms.isfinite().all()
        assert waveforms.abs().max() <= 1.0
        assert int(lengths.max()) <= 2.0 * RATE_HZ + 1
        assert int(lengths.min()) >= 1
        for row, length in zip(waveforms, lengths.tolist(), strict=True):
            assert not row[length:].any()
        seen.add(waveforms.numpy().tobytes())
    assert len(seen) == 20


def test_a_seed_gives_one_result(batch) -> None:
    augmenter = BatchAugmenter(BatchAugmentation())
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(augmenter(*batch)[0])
    assert torch.equal(*results)


@pytest.mark.parametrize("speed", [0.85, 1.0, 1.15])
def test_speed_moves_pitch_and_length(speed) -> None:
    waveforms, lengths = change_speed(
        tone(500.0)[None], torch.tensor([16000]), torch.tensor([speed])
    )
    assert abs(int(lengths) - 16000 / speed) <= 1
    assert loudest_hz(waveforms[0, : int(lengths)]) == pytest.approx(500.0 * speed, abs=1.5)


def test_speed_is_drawn_so_that_the_encoder_can_take_the_result() -> None:
    slow = BatchAugmentation(speeds=(0.5, 0.5), pause_share=1.0)
    _, lengths = BatchAugmenter(slow, longest_s=1.25)(tone(440.0)[None], torch.tensor([16000]))
    assert int(lengths) <= 1.25 * RATE_HZ


def test_pauses_move_speech_and_keep_it(batch) -> None:
    waveforms, lengths = batch
    before, after = torch.tensor([0, 100, 50]), torch.tensor([10, 0, 5000])
    paused, paused_lengths = add_pauses(waveforms, lengths, before, after)
    assert paused_lengths.tolist() == [16010, 9100, 5450]
    for row in range(3):
        start, count = int(before[row]), int(lengths[row])
        assert torch.equal(paused[row, start : start + count], waveforms[row, :count])
        assert paused[row].count_nonzero() == waveforms[row].count_nonzero()


def test_rooms_have_the_energy_of_an_impulse_and_rows_without_are_one() -> None:
    torch.manual_seed(0)
    responses = room_responses(torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(responses.square().sum(dim=1), torch.ones(3))
    assert responses[1].count_nonzero() == 1
    assert responses[0].count_nonzero() > 1000


def test_noise_has_power_one_and_falls_as_asked() -> None:
    torch.manual_seed(0)
    noise = coloured_noise(torch.empty(2, 4 * RATE_HZ), torch.tensor([0.0, 2.0]))
    torch.testing.assert_close(noise.square().mean(dim=1), torch.ones(2))
    power = torch.fft.rfft(noise).abs().square()
    low, high = power[:, 800:1600].mean(dim=1), power[:, 8000:16000].mean(dim=1)
    decibels = 10 * torch.log10(low / high)
    assert abs(float(decibels[0])) < 1.0
    assert float(decibels[1]) == pytest.approx(20.0, abs=1.5)  # ten times the frequency


def test_companding_is_eight_bits_and_nearly_the_same() -> None:
    waveform = torch.linspace(-1, 1, 10001)
    companded = compand(waveform)
    assert len(companded.unique()) <= 255
    assert (companded - waveform).abs().max() < 0.03
    torch.testing.assert_close(compand(companded), companded)
