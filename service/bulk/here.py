"""Recognition in this process, with the engine that the server has."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.bulk.outcomes import ExitCode, FileFailed, NothingGoes, Recognise
from service.config import Settings
from service.errors import (
    DeviceLost,
    InvalidBundle,
    InvalidRequest,
    ModelUnavailable,
    NotReady,
    ServiceError,
)
from service.lifecycle import Service
from service.options import Options
from service.schemas import TranscriptionBody

BATCHES_AHEAD = 2  # one is filled while one runs


@asynccontextmanager
async def recognising(settings: Settings, options: Options) -> AsyncIterator[Recognise]:
    """What recognises files until the end.

    Args:
        settings: of the engine.
        options: for every file.

    Raises:
        NothingGoes: there is no model, or not what is asked of it.
    """
    # Of several bundles only that is loaded that is asked for.
    service = Service(settings.model_copy(update={"bundles_load": "demand"}))

    async def recognise(path: Path) -> TranscriptionBody:
        try:
            result = await service.ready().transcribe_patiently(path, options)
        except (DeviceLost, ModelUnavailable, NotReady) as error:
            raise NothingGoes(error.message) from error
        except ServiceError as error:
            raise FileFailed(error.message, error.code) from error
        except OSError as error:
            raise FileFailed(error.strerror or str(error)) from error
        return TranscriptionBody.of(result)

    try:
        await service.start()
        service.ready().check_served(options)
        yield recognise
    except InvalidBundle as error:
        raise NothingGoes(error.message) from error
    except InvalidRequest as error:
        raise NothingGoes(error.message, ExitCode.USAGE) from error
    finally:
        await service.drain()


def parallel_files(settings: Settings) -> int:
    """Files in work at once, so that a batch is full whenever a session is free."""
    return BATCHES_AHEAD * settings.max_batch_size * (settings.sessions or 1)
