"""From a folder to a bundle whose models are loaded and tested."""

from dataclasses import dataclass
from pathlib import Path

from service import memory
from service.audio import SAMPLE_RATE_HZ
from service.backends import LoadedModel, Tuning, load_model
from service.backends.base import StreamingModel
from service.backends.streaming import load_streaming_model
from service.bundle import Bundle, load_bundle
from service.config import Settings
from service.errors import InvalidBundle
from service.reading import Reader, open_reader
from service.signatures import check_signature


@dataclass(frozen=True)
class Parts:
    """What is served.

    Attributes:
        bundle: verified.
        loaded: the model that runs.
        reader: what makes words of its logits.
        streaming: the streaming graph, if there is one.
    """

    bundle: Bundle
    loaded: LoadedModel
    reader: Reader
    streaming: StreamingModel | None = None


def load_parts(settings: Settings, folder: Path) -> Parts:
    """Load and test everything in a bundle's folder; blocks.

    Raises:
        InvalidBundle: there is nothing to serve.
    """
    memory.return_large_blocks()
    try:
        if settings.bundle_public_key is not None:
            check_signature(folder, settings.bundle_public_key)
        bundle = load_bundle(folder)
        if (found_hz := bundle.manifest.sample_rate_hz) != SAMPLE_RATE_HZ:
            raise InvalidBundle(
                f"{folder} wants {found_hz} Hz; only {SAMPLE_RATE_HZ} Hz is served",
                found=found_hz,
                limit=SAMPLE_RATE_HZ,
            )
        reader = open_reader(bundle, settings.decoding)
        loaded = load_model(
            bundle,
            device=settings.device,
            threads=settings.threads,
            sessions=settings.sessions,
            runtime=settings.runtime,
            tuning=_tuning(settings),
        )
        streaming = None
        if settings.streaming == "auto":
            streaming = load_streaming_model(
                bundle, device=loaded.device, runtime=settings.runtime, tuning=_tuning(settings)
            )
    except ImportError as error:
        raise InvalidBundle(
            f"{settings.runtime} is not installed ({error}); install wsm-stt with the extra cpu, "
            "gpu or torch"
        ) from error
    except OSError as error:
        raise InvalidBundle(f"{folder} cannot be read: {error}") from error
    memory.trim_heap()  # loading leaves a fifth of the process behind as free pages
    return Parts(bundle, loaded, reader, streaming)


def _tuning(settings: Settings) -> Tuning:
    batch_s = settings.max_batch_s
    return Tuning(
        max_batch_samples=None if batch_s is None else int(batch_s * SAMPLE_RATE_HZ),
        batch_size=settings.max_batch_size,
        precision=settings.precision,
        gpu_memory_bytes=settings.gpu_memory_bytes,
        tensorrt_cache=settings.tensorrt_cache,
        cuda_graphs=settings.cuda_graphs,
    )
