"""What a corpus is, before anyone trains on it: pure counting over clips and their recordings."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model_export.data import Skipped
from model_export.data_check.sound_facts import SoundFacts
from model_export.data_check.text_facts import DigitFacts, TextFacts, describe_texts

LARGEST_SPEAKERS = 5
EXAMPLES = 3
CLIPPED_SHARE = 0.001
QUIET_DBFS = -45.0
LARGEST_OFFSET = 0.02
OUTLYING_DEVIATIONS = 3.5  # robust ones, after Iglewicz and Hoaglin
LEAST_DEVIATION = 0.1  # of the logarithm: a tenth faster or slower is never outlying
FEWEST_CLIPS_WITH_OUTLIERS = 10


@dataclass(frozen=True)
class CheckedClip:
    """A clip that can be trained on.

    Attributes:
        name: of its recording.
        text: normalised.
        speaker: if stated.
        sound: its recording.
    """

    name: str
    text: str
    speaker: str | None
    sound: SoundFacts


@dataclass(frozen=True)
class Group:
    """Rows that have something in common.

    Attributes:
        kind: what.
        count: how many.
        examples: some of them, in words.
    """

    kind: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class DurationFacts:
    """Durations of clips, in seconds."""

    shortest_s: float
    median_s: float
    p95_s: float
    longest_s: float


@dataclass(frozen=True)
class SpeakerFacts:
    """Who speaks.

    Attributes:
        count: speakers; 0 if no clip states its.
        clips_without: clips that do not state theirs.
        largest_s: seconds of the speakers with the most.
    """

    count: int
    clips_without: int
    largest_s: dict[str, float]


@dataclass(frozen=True)
class DataReport:
    """A corpus.

    Attributes:
        reference: what was read.
        clips: how many can be trained on; all that follows but `skipped` is about these.
        audio_s: their length.
        skipped: the others, by reason.
        rates_hz: clips by sample rate.
        dropped: characters that normalisation drops, and from how many texts.
        duplicates: clips that say or hold what another does.
        odd: clips that look wrong, by what is odd about them.
        advice: what to do about it, a line each.
    """

    reference: str
    clips: int
    audio_s: float
    skipped: tuple[Group, ...]
    durations: DurationFacts
    speakers: SpeakerFacts
    rates_hz: dict[int, int]
    texts: TextFacts
    digits: DigitFacts
    dropped: dict[str, int]
    duplicates: tuple[Group, ...]
    odd: tuple[Group, ...]
    advice: tuple[str, ...] = ()


@dataclass(frozen=True)
class Overlap:
    """What two corpora share.

    Attributes:
        first: reference of one.
        second: reference of the other.
        shared: sentences, recordings and speakers in both; counts are clips of the second.
    """

    first: str
    second: str
    shared: tuple[Group, ...]


def describe_corpus(
    reference: str,
    clips: Sequence[CheckedClip],
    *,
    skipped: Iterable[Skipped],
    digits: DigitFacts,
    dropped: dict[str, int],
) -> DataReport:
    """Describe the clips of a corpus, at least one, and the rows that are no clips."""
    seconds = [clip.sound.seconds for clip in clips]
    return DataReport(
        reference=reference,
        clips=len(clips),
        audio_s=round(sum(seconds), 2),
        skipped=group_skipped(skipped),
        durations=_durations(seconds),
        speakers=_speakers(clips),
        rates_hz=dict(sorted(Counter(clip.sound.rate_hz for clip in clips).items())),
        texts=describe_texts([(clip.name, clip.text) for clip in clips]),
        digits=digits,
        dropped=dropped,
        duplicates=_duplicates(clips),
        odd=_odd(clips),
    )


def group_skipped(rows: Iterable[Skipped]) -> tuple[Group, ...]:
    """Group skipped rows by their reason."""
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        groups[str(row.reason)].append(f"{row.place}: {row.detail}" if row.detail else row.place)
    return _groups(groups)


def overlap(
    first: tuple[str, Sequence[CheckedClip]], second: tuple[str, Sequence[CheckedClip]]
) -> Overlap:
    """What the second of two corpora, given with their references, shares with the first."""
    known = {value for clip in first[1] for value in _identities(clip).items()}
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in second[1]:
        for kind, value in _identities(clip).items():
            if (kind, value) in known and value is not None:
                groups[kind].append(f"{clip.name}: {value}" if kind != "recording" else clip.name)
    return Overlap(first[0], second[0], _groups(groups))


def _identities(clip: CheckedClip) -> dict[str, str | None]:
    return {"recording": clip.sound.digest, "sentence": clip.text, "speaker": clip.speaker}


def _groups(groups: Mapping[str, Sequence[str]]) -> tuple[Group, ...]:
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Group(kind, len(rows), tuple(rows[:EXAMPLES])) for kind, rows in ordered if rows)


def _durations(seconds: Sequence[float]) -> DurationFacts:
    found = np.percentile(seconds, (0, 50, 95, 100)).round(2).tolist()
    return DurationFacts(*found)


def _speakers(clips: Sequence[CheckedClip]) -> SpeakerFacts:
    seconds: defaultdict[str, float] = defaultdict(float)
    for clip in clips:
        if clip.speaker is not None:
            seconds[clip.speaker] += clip.sound.seconds
    ordered = sorted(seconds.items(), key=lambda item: (-item[1], item[0]))
    largest = {name: round(total, 2) for name, total in ordered[:LARGEST_SPEAKERS]}
    return SpeakerFacts(len(seconds), sum(clip.speaker is None for clip in clips), largest)


def _duplicates(clips: Sequence[CheckedClip]) -> tuple[Group, ...]:
    groups: dict[str, list[str]] = defaultdict(list)
    first_of_audio: dict[str, CheckedClip] = {}
    seen_texts: dict[str, CheckedClip] = {}
    for clip in clips:
        twin = first_of_audio.setdefault(clip.sound.digest, clip)
        if twin is not clip:
            same = "same text" if twin.text == clip.text else "another text"
            groups[f"same audio, {same}"].append(f"{clip.name} and {twin.name}")
        elif (twin := seen_texts.setdefault(clip.text, clip)) is not clip:
            groups["same text, other audio"].append(f"{clip.name} and {twin.name}: {clip.text}")
    return _groups(groups)


def _odd(clips: Sequence[CheckedClip]) -> tuple[Group, ...]:
    groups: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        for kind, reading in _sound_faults(clip.sound).items():
            groups[kind].append(f"{clip.name}: {reading}")
    rates = [len(clip.text.replace(" ", "")) / clip.sound.seconds for clip in clips]
    for clip, rate, side in zip(clips, rates, outlying(rates), strict=True):
        if side:
            kind = "far more text than audio" if side > 0 else "far less text than audio"
            groups[kind].append(f"{clip.name}: {rate:.1f} characters a second: {clip.text}")
    return _groups(groups)


def _sound_faults(sound: SoundFacts) -> dict[str, str]:
    """What is odd about a recording, with the reading that shows it."""
    if sound.silent:
        return {"silent": f"{sound.level_dbfs:.0f} dBFS"}
    faults = {}
    if sound.level_dbfs < QUIET_DBFS:
        faults["very quiet"] = f"{sound.level_dbfs:.0f} dBFS"
    if sound.clipped_share > CLIPPED_SHARE:
        faults["clipped"] = f"{100 * sound.clipped_share:.1f} % of the samples at full scale"
    elif abs(sound.offset) > LARGEST_OFFSET:  # clipping alone would move the mean
        faults["DC offset"] = f"mean {sound.offset:+.3f} of full scale"
    return faults


def outlying(rates: Sequence[float]) -> list[int]:
    """Of each positive rate, 1 if it is far above the median, -1 far below, else 0.

    Distances are those of logarithms, in robust deviations: 1.4826 times the median distance.
    """
    if len(rates) < FEWEST_CLIPS_WITH_OUTLIERS:
        return [0] * len(rates)
    distances = np.log(rates) - np.median(np.log(rates))
    deviation = max(1.4826 * float(np.median(np.abs(distances))), LEAST_DEVIATION)
    return [int(np.sign(d)) if abs(d) > OUTLYING_DEVIATIONS * deviation else 0 for d in distances]
