"""What was measured, kept as JSON: one file for each device, written after every measurement."""

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from model_export.errors import MeasuringRefused
from model_export.paper.shapes import DeviceKind, Task

OUT_OF_MEMORY = "out of memory"
Key = tuple[str, Task, str, int, float]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hardware(_Frozen):
    """Where and with what it was measured.

    Attributes:
        name: of the device.
        kind: whose memory counts.
        memory: how it was counted.
        arithmetic: what the model computes in.
        software: versions by name.
    """

    name: str
    kind: DeviceKind
    memory: str
    arithmetic: str
    software: dict[str, str]


class Figures(_Frozen):
    """What one task takes.

    Attributes:
        seconds: median.
        repeats: passes that it is the median of.
        resting_bytes: before it: weights, the state of the optimiser, the batch.
        peak_bytes: most in tensors.
        reserved_bytes: most that the allocator kept; None where it does not say.
    """

    seconds: float
    repeats: int
    resting_bytes: int
    peak_bytes: int
    reserved_bytes: int | None


class Measurement(_Frozen):
    """A subject at one length.

    Attributes:
        shape: whose dimensions the model has.
        task: a training step, or a pass.
        subject: by name.
        batch: clips.
        length_s: of each clip.
        learning: parameters that learn; 0 in inference.
        kernels: of attention, as torch calls them.
        figures: None if it failed.
        failure: why.
    """

    shape: str
    task: Task
    subject: str
    batch: int
    length_s: float
    learning: int
    kernels: tuple[str, ...] = ()
    figures: Figures | None
    failure: str | None = None

    @property
    def key(self) -> Key:
        """What no two measurements of a device share."""
        return self.shape, self.task, self.subject, self.batch, self.length_s

    @property
    def is_final(self) -> bool:
        """Whether measuring again would give the same."""
        return self.figures is not None or self.failure == OUT_OF_MEMORY


class DeviceResults(_Frozen):
    """All that was measured on one device."""

    hardware: Hardware
    measurements: tuple[Measurement, ...] = ()


class ResultsFile:
    """The results of one device, which grow; earlier ones are kept.

    Args:
        folder: made if it is not there.
        hardware: of this process.

    Raises:
        MeasuringRefused: what lies there was measured with other software, or cannot be read.
    """

    def __init__(self, folder: Path, hardware: Hardware) -> None:
        self.path = folder / f"{slug(hardware.name)}.json"
        self._hardware = hardware
        self._by_key: dict[Key, Measurement] = {}
        if not self.path.exists():
            return
        earlier = read_results(self.path)
        if earlier.hardware != hardware:
            raise MeasuringRefused(
                f"{self.path} was measured with {_listed(earlier.hardware)}, and this is "
                f"{_listed(hardware)}; give another --out"
            )
        self._by_key = {one.key: one for one in earlier.measurements}

    def has(self, key: Key) -> bool:
        """Whether there is nothing left to measure."""
        return key in self._by_key and self._by_key[key].is_final

    def add(self, measurement: Measurement) -> None:
        """Keep a measurement, on disk too, before anything else can go wrong."""
        self._by_key[measurement.key] = measurement
        results = DeviceResults(hardware=self._hardware, measurements=tuple(self._by_key.values()))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(results.model_dump_json(indent=1) + "\n")
        unfinished.replace(self.path)


def read_results(path: Path) -> DeviceResults:
    """Read what was measured on a device.

    Raises:
        MeasuringRefused: it is not what `ResultsFile` writes.
    """
    try:
        return DeviceResults.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MeasuringRefused(f"{path} holds no results: {error}") from error


def read_folder(folder: Path) -> list[DeviceResults]:
    """Read the results of every device, GPUs first.

    Raises:
        MeasuringRefused: there are none, or one cannot be read.
    """
    devices = [read_results(path) for path in sorted(folder.glob("*.json"))]
    if not devices:
        raise MeasuringRefused(f"{folder} holds no results; measure first")
    return sorted(devices, key=lambda each: each.hardware.kind == "cpu")


def slug(name: str) -> str:
    """A name as a part of file names."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _listed(hardware: Hardware) -> str:
    software = ", ".join(f"{name} {version}" for name, version in hardware.software.items())
    return f"{hardware.arithmetic} and {software}"
