"""The two tasks that are measured: a training step, and a pass."""

from typing import Any, Protocol

import torch
from torch import Tensor

from model_export.encoders.ctc_model import CtcModel
from model_export.mixing.surgery import count_parameters
from model_export.paper.counting import AttentionKernels
from model_export.paper.devices import PRECISION, Meter, Run
from model_export.paper.results import Figures
from model_export.paper.shapes import DeviceKind
from model_export.paper.subjects import LABELS, Objective, Subject
from model_export.training.precision import autocast
from service.arrays import SAMPLE_RATE_HZ

LABELS_PER_S = 12
WARM_UP_S = 1.0


class Worker(Protocol):
    """A model of a subject on the device, ready for any length."""

    learning: int
    kernels: tuple[str, ...]

    def measure(self, meter: Meter, length_s: float) -> Figures:
        """Measure its task at a length."""
        ...

    def forget_gradients(self) -> None:
        """Drop what a failed task left."""
        ...


class Learner:
    """Training steps: CTC loss, gradients, AdamW.

    One short step comes first, so that the state of the optimiser is there.

    Args:
        model: on the device.
        subject: what it was made for.
        batch: clips.
        kind: of the device.
    """

    def __init__(self, model: CtcModel, subject: Subject, batch: int, kind: DeviceKind) -> None:
        self._objective = Objective(model, subject).train()
        parameters = [value for value in model.parameters() if value.requires_grad]
        # As the Trainer of transformers does it, unless told otherwise.
        self._optimiser = torch.optim.AdamW(parameters, lr=1e-5, fused=True)
        self._batch, self._kind = batch, kind
        self.learning = count_parameters(model, trainable_only=True)
        self.kernels = _kernels_of(self._step_on(WARM_UP_S)[0])
        self.forget_gradients()

    def measure(self, meter: Meter, length_s: float) -> Figures:
        """Measure a step."""
        step, inputs = self._step_on(length_s)
        self.forget_gradients()
        alive = [*self._objective.parameters(), *self._objective.buffers(), *inputs]
        states: list[dict[str, Any]] = list(self._optimiser.state.values())
        alive += [value for state in states for value in state.values()]
        return meter.measure(step, alive)

    def forget_gradients(self) -> None:
        """Drop the gradients of the last step."""
        self._optimiser.zero_grad()

    def _step_on(self, length_s: float) -> tuple[Run, list[Tensor]]:
        waveforms, lengths = _noise(self._batch, length_s, self._kind)
        count = max(1, int(length_s * LABELS_PER_S))
        labels = 1 + torch.arange(self._batch * count, device=self._kind) % (LABELS - 1)
        labels = labels.reshape(self._batch, count)

        def step() -> None:
            self.forget_gradients()
            with autocast(PRECISION[self._kind], torch.device(self._kind)):
                loss = self._objective(waveforms, lengths, labels)
            loss.backward()
            self._optimiser.step()

        return step, [waveforms, lengths, labels]


class Recogniser:
    """Passes without gradients.

    Args:
        model: on the device.
        batch: clips.
        kind: of the device.
    """

    learning = 0

    def __init__(self, model: CtcModel, batch: int, kind: DeviceKind) -> None:
        self._model = model.eval()
        self._batch, self._kind = batch, kind
        self.kernels = _kernels_of(self._pass_over(WARM_UP_S)[0])

    def measure(self, meter: Meter, length_s: float) -> Figures:
        """Measure a pass."""
        run, inputs = self._pass_over(length_s)
        return meter.measure(run, [*self._model.parameters(), *self._model.buffers(), *inputs])

    def forget_gradients(self) -> None:
        """There are none."""

    def _pass_over(self, length_s: float) -> tuple[Run, list[Tensor]]:
        waveforms, lengths = _noise(self._batch, length_s, self._kind)

        def run() -> None:
            with torch.no_grad(), autocast(PRECISION[self._kind], torch.device(self._kind)):
                self._model(waveforms, lengths)

        return run, [waveforms, lengths]


def _kernels_of(run: Run) -> tuple[str, ...]:
    with AttentionKernels() as kernels:
        run()
    return tuple(sorted(kernels.names))


def _noise(batch: int, length_s: float, kind: DeviceKind) -> tuple[Tensor, Tensor]:
    """Equally long noise: waveforms `[batch, samples]` and lengths `[batch]`."""
    samples = int(length_s * SAMPLE_RATE_HZ)
    generator = torch.Generator().manual_seed(0)
    waveforms = 0.1 * torch.randn(batch, samples, generator=generator)
    return waveforms.to(kind), torch.full((batch,), samples, device=kind)
