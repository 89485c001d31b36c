"""Who says what: sentences, voices and speeds, drawn by a seed before anything is spoken."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from model_export.errors import SynthesisRefused

SECONDS_PER_CHARACTER = 0.07  # of the engines here, at their own speed
BLENDED = frozenset({"kokoro"})  # engines whose voices can be mixed
TRAIN, DEV = "train", "dev"
STOPS = ".?!"


@dataclass(frozen=True)
class Passage:
    """One or several sentences to say, and the text they come from."""

    text: str
    source: str


@dataclass(frozen=True)
class Voices:
    """Voices of an engine, and the share of the clips that they speak."""

    engine: str
    names: tuple[str, ...]
    share: float = 1.0


@dataclass(frozen=True)
class Utterance:
    """A passage, and how it is spoken."""

    passage: Passage
    split: str
    engine: str
    voice: str
    speed: float


@dataclass(frozen=True)
class Casting:
    """How sentences are given to voices.

    Attributes:
        train: voices of the training split.
        dev: voices of the dev split, heard nowhere else.
        speeds: slowest and fastest.
        blends: share of the clips of an engine with blends that two voices speak as one.
        sentences: fewest and most sentences of a clip.
    """

    train: tuple[Voices, ...]
    dev: tuple[Voices, ...]
    speeds: tuple[float, float]
    blends: float
    sentences: tuple[int, int] = (1, 1)

    def check(self) -> None:
        """Check that nobody is heard in both splits.

        Raises:
            SynthesisRefused: somebody is.
        """
        train, dev = (
            {(voices.engine, name) for voices in split for name in voices.names}
            for split in (self.train, self.dev)
        )
        if both := sorted(f"{engine}:{name}" for engine, name in train & dev):
            raise SynthesisRefused(f"{', '.join(both)} cannot speak in train and in dev")


def parse_voices(text: str) -> Voices:
    """Read `ENGINE:VOICE,VOICE...[@SHARE]`.

    Raises:
        ValueError: it is not of that form.
    """
    listed, _, share = text.partition("@")
    engine, _, names = listed.partition(":")
    voices = Voices(engine, tuple(filter(None, names.split(","))), float(share or 1.0))
    if not engine or not voices.names or not voices.share > 0:
        raise ValueError(f"{text!r} is not ENGINE:VOICE,VOICE...@SHARE")
    return voices


def make_plan(
    sentences: Mapping[str, Sequence[str]],
    casting: Casting,
    *,
    train_s: float,
    dev_clips: int,
    seed: int,
) -> list[Utterance]:
    """Draw the dev clips, then training clips until they should last long enough.

    No sentence is spoken twice.

    Args:
        sentences: of each source; all sources get the same number of clips while they last.
        casting: who speaks.
        train_s: seconds of training speech, by an estimate.
        dev_clips: clips of the dev split.
        seed: of every draw.

    Raises:
        SynthesisRefused: the sentences do not last.
    """
    casting.check()
    draw = Random(seed)
    waiting = _in_turn(sentences, casting.sentences, draw)
    plan = [
        _cast(passage, DEV, casting.dev, casting, draw)
        for _, passage in zip(range(dev_clips), waiting, strict=False)
    ]
    spoken_s = 0.0
    for passage in waiting:
        if spoken_s >= train_s:
            return plan
        plan.append(_cast(passage, TRAIN, casting.train, casting, draw))
        spoken_s += SECONDS_PER_CHARACTER * len(passage.text) / plan[-1].speed
    if spoken_s < train_s:
        raise SynthesisRefused(
            f"the sentences last for about {spoken_s / 3600:.1f} h only, not {train_s / 3600:.1f}"
        )
    return plan


def _in_turn(
    sentences: Mapping[str, Sequence[str]], together: tuple[int, int], draw: Random
) -> Iterator[Passage]:
    """A passage of each source after the other, each source shuffled, without repetitions."""
    said: set[str] = set()
    waiting = {source: _unsaid(_shuffled(texts, draw), said) for source, texts in sentences.items()}
    while waiting:
        for source, texts in list(waiting.items()):
            passage = list(islice(texts, draw.randint(*together)))
            if passage:
                yield Passage(" ".join(map(_ended, passage)), source)
            else:
                del waiting[source]


def _unsaid(texts: Iterable[str], said: set[str]) -> Iterator[str]:
    for text in texts:
        if text.casefold() not in said:
            said.add(text.casefold())
            yield text


def _ended(sentence: str) -> str:
    """With a stop, so that the next one is not read as its continuation."""
    return sentence if sentence[-1] in STOPS else f"{sentence.rstrip(',;:- ')}."


def _shuffled(texts: Iterable[str], draw: Random) -> list[str]:
    listed = list(texts)
    draw.shuffle(listed)
    return listed


def _cast(
    passage: Passage, split: str, cast: Sequence[Voices], casting: Casting, draw: Random
) -> Utterance:
    (voices,) = draw.choices(cast, [voices.share for voices in cast])
    voice = draw.choice(voices.names)
    if voices.engine in BLENDED and len(voices.names) > 1 and draw.random() < casting.blends:
        first, second = draw.sample(voices.names, 2)
        share = draw.randint(30, 70)
        voice = f"{first}*0.{share}+{second}*0.{100 - share}"
    speed = round(draw.uniform(*casting.speeds), 2)
    return Utterance(passage, split, voices.engine, voice, speed)
