import pytest

from model_export.synthesis.kokoro import parts_of


@pytest.mark.parametrize(
    ("voice", "parts"),
    [
        ("af_heart", [("af_heart", 1.0)]),
        ("af_heart*0.6+am_eric*0.4", [("af_heart", 0.6), ("am_eric", 0.4)]),
    ],
)
def test_blends_are_parsed(voice: str, parts: list[tuple[str, float]]) -> None:
    assert parts_of(voice) == parts
