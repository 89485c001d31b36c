"""The service in this process: what it answers for a bundle."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from audio_files import wav

from service.arrays import FloatArray
from service.bundle import Manifest
from service.config import Settings
from service.ctc import Transcript
from service.lifecycle import Service
from service.options import Decoding, Options
from tests.benchmarks import options


class Hearing:
    """What a running service hears; see `serving`."""

    def __init__(self, service: Service, runner: asyncio.Runner) -> None:
        assert service.models.default is not None
        parts = service.models.default.parts
        self._service = service
        self._runner = runner
        self.manifest: Manifest = parts.bundle.manifest
        self.decodings: tuple[Decoding, ...] = parts.reader.decodings

    def transcribe(self, waveform: FloatArray, decoding: Decoding) -> Transcript:
        """Of a waveform `[samples]`, sent as a file of 16 bits."""
        return self.transcribe_all([waveform], decoding)[0]

    def transcribe_all(
        self, waveforms: Sequence[FloatArray], decoding: Decoding
    ) -> list[Transcript]:
        """Of each waveform, as many at once as there are cores."""
        turns = asyncio.Semaphore(options.CORES)

        async def one(waveform: FloatArray) -> Transcript:
            async with turns:
                asked = Options(decoding=decoding)
                answer = await self._service.ready().transcribe(wav(waveform), asked)
            return answer.transcript

        async def every() -> list[Transcript]:
            return await asyncio.gather(*map(one, waveforms))

        return self._runner.run(every())


@contextmanager
def serving(**settings: object) -> Iterator[Hearing]:
    """Serve the bundle of BENCH_BUNDLE, with these settings beside the environment's."""
    service = Service(Settings(bundle=options.BUNDLE, **settings))
    with asyncio.Runner() as runner:
        runner.run(service.start())
        try:
            yield Hearing(service, runner)
        finally:
            runner.run(service.drain())
