from collections import Counter

import pytest

from model_export.errors import SynthesisRefused
from model_export.synthesis.plan import (
    SECONDS_PER_CHARACTER,
    Casting,
    Passage,
    Utterance,
    Voices,
    make_plan,
    parse_voices,
)

TEXTS = {
    "books": [f"The {number}th story of the night is told." for number in "abcdefghijklmnopqrst"],
    "chats": [f"How is {name} doing?" for name in "ABCDEFGHIJKLMNOPQRST"],
}
CAST = Casting(
    train=(Voices("kokoro", ("heart", "eric"), 3.0), Voices("flite", ("slt",))),
    dev=(Voices("kokoro", ("nova",)),),
    speeds=(0.8, 1.2),
    blends=0.5,
)


def planned(casting: Casting = CAST, train_s: float = 40.0, seed: int = 0) -> list[Utterance]:
    return make_plan(TEXTS, casting, train_s=train_s, dev_clips=6, seed=seed)


def test_a_seed_gives_one_plan() -> None:
    assert planned() == planned()
    assert planned() != planned(seed=1)


def test_nothing_is_said_twice_and_sources_take_turns() -> None:
    plan = planned()
    assert len({utterance.passage.text for utterance in plan}) == len(plan)
    sources = [utterance.passage.source for utterance in plan]
    assert sources[:4] == ["books", "chats"] * 2


def test_dev_voices_are_heard_nowhere_else() -> None:
    plan = planned()
    assert [utterance.split for utterance in plan[:7]] == ["dev"] * 6 + ["train"]
    for utterance in plan:
        assert ("nova" in utterance.voice) == (utterance.split == "dev")


def test_speech_is_long_enough_by_the_estimate() -> None:
    train = [utterance for utterance in planned() if utterance.split == "train"]
    seconds = [SECONDS_PER_CHARACTER * len(u.passage.text) / u.speed for u in train]
    assert sum(seconds[:-1]) < 40 <= sum(seconds)
    assert all(0.8 <= utterance.speed <= 1.2 for utterance in train)


def test_shares_and_blends() -> None:
    texts = {"words": [f"word {number} {number}" for number in range(4000)]}
    plan = make_plan(texts, CAST, train_s=1500, dev_clips=0, seed=0)
    engines = Counter(utterance.engine for utterance in plan)
    assert engines["kokoro"] / engines["flite"] == pytest.approx(3, rel=0.2)
    blends = [utterance for utterance in plan if "+" in utterance.voice]
    assert {utterance.engine for utterance in blends} == {"kokoro"}
    assert len(blends) / engines["kokoro"] == pytest.approx(0.5, abs=0.06)
    first, second = (float(part.partition("*")[2]) for part in blends[0].voice.split("+"))
    assert first + second == pytest.approx(1)


def test_passages_join_sentences_of_one_source_with_stops() -> None:
    texts = {"a": ["one", "two,", "Three!"]}
    casting = Casting(CAST.train, (), (1.0, 1.0), 0.0, sentences=(3, 3))
    (utterance,) = make_plan(texts, casting, train_s=0.5, dev_clips=0, seed=0)
    assert sorted(utterance.passage.text.split()) == ["Three!", "one.", "two."]
    assert utterance.passage == Passage(utterance.passage.text, "a")


def test_a_voice_cannot_speak_in_both_splits() -> None:
    casting = Casting(CAST.train, (Voices("flite", ("slt",)),), (1.0, 1.0), 0.0)
    with pytest.raises(SynthesisRefused, match="flite:slt cannot speak in train and in dev"):
        planned(casting)


def test_too_few_sentences_are_refused_with_what_there_is() -> None:
    with pytest.raises(SynthesisRefused, match=r"last for about 0\.0 h only, not 2\.0"):
        planned(train_s=7200)


def test_voices_are_parsed() -> None:
    assert parse_voices("flite:slt,rms") == Voices("flite", ("slt", "rms"))
    assert parse_voices("kokoro:a,b@2.5") == Voices("kokoro", ("a", "b"), 2.5)


@pytest.mark.parametrize("text", ["", "flite", "flite:", ":slt", "flite:slt@0", "flite:slt@x"])
def test_voices_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"flite|ENGINE|convert"):
        parse_voices(text)
