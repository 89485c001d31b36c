import torch

from model_export.training.chunk_draws import ChunkDraws


def test_every_size_and_the_whole_utterance_are_drawn() -> None:
    draws = ChunkDraws(serving_frames=24)
    assert draws.choices == (8, 16, 24, 32, 64, None)
    assert {draws.draw(training=True) for _ in range(200)} == set(draws.choices)


def test_a_seed_gives_a_sequence() -> None:
    def sequence() -> list[int | None]:
        torch.manual_seed(5)
        return [ChunkDraws(16).draw(training=True) for _ in range(20)]

    assert sequence() == sequence()


def test_evaluation_is_as_it_is_served() -> None:
    assert {ChunkDraws(16).draw(training=False) for _ in range(20)} == {16}
