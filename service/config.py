"""Settings from the environment; nothing else in the package reads it."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_state_path
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.access.settings import AccessSettings
from service.logs import LogFormat

PREFIX = "STT_"
ISOLATION: Literal["process", "thread"] = "thread" if sys.platform == "win32" else "process"
LOADER_VARIABLES = ("PATH", "HOME", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
PACKAGED_BUNDLES = Path(__file__).parent / "bundles"
PACKAGED_BUNDLE = PACKAGED_BUNDLES / "english"

Positive = Annotated[int, Field(ge=1)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def find_bundle(named: Path, others: Path | None = None) -> Path:
    """The folder that is meant: for a name alone, if there is no such folder, another bundle's.

    Args:
        named: a path, or the name of a bundle that comes along or lies among the others.
        others: a folder of bundles, looked into first.
    """
    if len(named.parts) > 1 or named.exists():
        return named
    homes = [home for home in (others, PACKAGED_BUNDLES) if home is not None]
    return next((home / named for home in homes if (home / named).is_dir()), named)


def _find_bundle(named: Path, info: ValidationInfo) -> Path:
    return find_bundle(named, info.data.get("bundles_dir"))


def visible_gpu() -> str:
    """Index or UUID of the GPU that CUDA takes first."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or "0"


def silence_onnxruntime() -> None:
    """Keep ONNX Runtime from reporting to its maker, as its builds do unless told before import."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def loader_environment() -> dict[str, str]:
    """What a child that decodes needs to find its libraries; none of our secrets, one thread."""
    folders = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    kept = {name: os.environ[name] for name in LOADER_VARIABLES if name in os.environ}
    return kept | {"PYTHONPATH": folders, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class InvalidSettings(Exception):
    """A variable holds a value that cannot be used."""


class Settings(AccessSettings, BaseSettings):
    """How the service runs; each field is the variable of its name in capitals after `STT_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        use_attribute_docstrings=True,
    )

    bundles_dir: Path | None = None
    """Folder whose subfolders are bundles, served beside `bundle`. Subfolders may come, change and
    go while the service runs; names that begin with a dot are left out."""

    bundle: Annotated[Path, AfterValidator(_find_bundle)] = PACKAGED_BUNDLE
    """Folder of the model bundle that serves whoever asks for none, or the name of one in
    `bundles_dir` or of one that comes along: `english`, `english-live`."""

    bundles_load: Literal["start", "demand"] = "start"
    """When the bundles of `bundles_dir` are loaded: all of them before the service is ready, or
    each when it is first asked for. On demand starts sooner and takes less memory, and the first
    request for each waits for seconds."""

    max_loaded_bundles: Positive | None = None
    """Models that may be loaded at once, the default included; unset takes all. Above it, the one
    that was not used for longest makes room for one that is asked for. While one is replaced, there
    is one more."""

    bundles_poll_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10.0
    """Seconds between two looks into `bundles_dir`; what changed is taken at the second look that
    sees it the same. 0 never looks again."""

    bundle_public_key: Path | None = None
    """Ed25519 key in PEM; with it no bundle is served that its owner has not signed."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes CUDA if the runtime offers it."""

    runtime: Literal["onnxruntime", "torchscript"] = "onnxruntime"
    """What runs the model; TorchScript archives hold code, so choose it for bundles you trust."""

    threads: Positive | None = None
    """CPU threads of one inference; unset takes the square root of the cores this process may use,
    or what `sessions` leaves. More make a single request faster and all together slower."""

    sessions: Positive | None = None
    """Inferences at once; unset takes cores / `threads`, and 1 on a GPU. Each needs the memory of a
    batch; fewer leave room for decoding and for other processes."""

    precision: Literal["auto", "float32", "float16", "bfloat16", "int8"] = "auto"
    """Arithmetic: the bundle's variant to run, or, for a TorchScript archive, what it computes in;
    auto takes what suits the device, and an archive as it is. Less is faster and rounds more."""

    gpu_memory_bytes: Positive | None = None
    """Most device memory that ONNX Runtime's arena may take; unset takes what there is. Less leaves
    room for others, and refuses long audio sooner."""

    decoding: Literal["auto", "greedy", "beam", "attention"] = "auto"
    """How words are found where a request does not say; auto takes the best that can be
    had: an attention decoder's text, beam search's, or greedy decoding, which is the fastest."""

    tensorrt_cache: Path | None = None
    """Folder for TensorRT engines; setting it runs ONNX graphs through TensorRT. Faster on a GPU,
    but the first start builds for minutes, and audio longer than a batch is not taken."""

    cuda_graphs: bool = False
    """Replay TorchScript archives as CUDA graphs, one for each length bucket. Less launch overhead
    on short audio, for memory that every bucket keeps."""

    max_upload_bytes: Positive = 512 * 1024**2
    """Largest request body, in bytes; what passes 1 MiB lies in the temporary folder meanwhile."""

    max_audio_s: PositiveSeconds = 7200.0
    """Longest audio of one request, in seconds; decoded, an hour takes 230 MB of memory."""

    max_channels: Annotated[int, Field(ge=1, le=64)] = 16
    """Most channels of a file; they are averaged into one."""

    min_rate_hz: Annotated[int, Field(ge=1000)] = 4_000
    """Lowest sample rate of a file, in hertz; telephone audio has 8000."""

    max_rate_hz: Annotated[int, Field(ge=16_000)] = 192_000
    """Highest sample rate of a file, in hertz."""

    request_timeout_s: PositiveSeconds = 900.0
    """Longest time from a request's first byte to its answer, in seconds; after it the answer is
    504. Long files on slow machines need more; less frees a stuck client's place sooner."""

    inference_timeout_s: PositiveSeconds = 300.0
    """Longest time of one batch in the model, in seconds; after it, only a restart helps."""

    upload_stall_s: PositiveSeconds = 30.0
    """A body of which less than 1 KiB arrives in so many seconds is answered 408."""

    max_requests: Positive = 256
    """Requests that may be received, decoded or waited for at once; more are answered 429. Each
    holds up to 1 MiB of upload in memory and more on disk."""

    decode_workers: Positive = 2
    """Threads that decode audio and logits, and as many more for files above 1 MiB, so that short
    ones do not wait for them; more keep a fast device fed, and take cores from a model that runs on
    CPU."""

    decode_isolation: Literal["process", "thread"] = ISOLATION
    """Where audio is decoded: in processes, so that what crashes or hangs a decoder costs its own
    file only, or in threads of the service, some milliseconds sooner."""

    decode_timeout_s: PositiveSeconds = 300.0
    """Longest time that a process decodes one file, or one chunk of a live stream, in seconds."""

    decode_memory_bytes: Annotated[int, Field(ge=128 * 1024**2)] = 512 * 1024**2
    """Most private memory of a process that decodes, in bytes; more is refused."""

    max_decoded_audio_s: PositiveSeconds = 14_400.0
    """Seconds of decoded audio that all requests together may hold in memory, 64 kB each, beyond
    the first 30 s of each request; long files that find no room are answered 429, short ones never.
    One file alone may be longer."""

    max_batch_s: PositiveSeconds | None = None
    """Largest batch of several utterances, in seconds of audio: the longest times their number.
    Unset takes 5 on a CPU, where more is no faster than one after the other, and 120 on a GPU,
    which more fills better, for memory and for the latency of whoever comes next."""

    max_pass_s: Annotated[float, Field(ge=10, allow_inf_nan=False)] = 30.0
    """Longest audio in one pass through the model, in seconds, where the bundle allows as much;
    longer files are cut into segments. More gives every frame the context of the whole recording,
    and makes all others wait for as long as the pass takes: one pass over an hour is a batch of its
    own, while between segments of it short requests have their turn."""

    max_batch_size: Positive = 16
    """Most utterances in a batch."""

    max_padding_ratio: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Largest part of a batch that may be padding, 0 to 1. More fills batches when lengths differ
    much, and computes more for nothing; 0 batches equal lengths only."""

    max_wait_ms: Annotated[float, Field(ge=0, le=10_000)] = 5.0
    """How long an utterance waits for company while the model is free, in milliseconds. More fills
    batches under light load, and adds to every latency. Not used where several sessions run: on a
    CPU company gains nothing."""

    max_queue: Positive = 256
    """Utterances that may wait in each lane; more are answered 429."""

    max_queue_audio_s: PositiveSeconds = 14_400.0
    """Seconds of audio that may wait in each lane; more are answered 429. Waiting audio takes
    64 kB of memory per second."""

    max_streams: Positive = 64
    """WebSocket streams that may be open at once; more are closed with 1013. A core serves fewer
    in real time where streams are heard in windows."""

    streaming: Literal["auto", "windowed"] = "auto"
    """`auto`: by the bundle's streaming graph, if any; `windowed`: by windows, which cost more."""

    endpoint_silence_s: PositiveSeconds = 0.7
    """Silence that ends an utterance, in seconds, at least 0.3. Less gives finals sooner, and cuts
    sentences where people hesitate."""

    max_utterance_s: Annotated[float, Field(ge=5, allow_inf_nan=False)] = 20.0
    """Longest utterance of a stream, in seconds; cut at a short pause from three quarters of it."""

    partial_interval_s: Annotated[float, Field(ge=0.1, allow_inf_nan=False)] = 0.5
    """Audio between two partials of a window, in seconds; a stream's cost is inverse to it."""

    stream_buffer_s: PositiveSeconds = 5.0
    """Audio of one stream that may wait, in seconds; who sends faster is read no faster. Less keeps
    memory and lag low, more keeps a fast file going."""

    stream_start_s: PositiveSeconds = 30.0
    """A stream whose client has said nothing at all for so long is closed, in seconds."""

    stream_idle_s: PositiveSeconds = 600.0
    """A stream from which neither audio nor a message comes for so long is closed, in seconds."""

    max_message_bytes: Positive = 1024**2
    """Largest WebSocket message, in bytes; larger ones close the stream with 1009."""

    ping_interval_s: PositiveSeconds = 20.0
    """Seconds between pings on a WebSocket, so that nothing between takes a pause for the end."""

    ping_timeout_s: PositiveSeconds = 120.0
    """A WebSocket is closed when a ping is not answered for so long, in seconds. The answer waits
    behind audio that was sent ahead, so files sent at once need more; a client that vanished keeps
    its place for as long."""

    jobs_dir: Path = Field(default_factory=lambda: user_state_path("wsm-stt") / "jobs")
    """Folder of the jobs with their files, on a local disk that outlives the process. One process
    owns it at a time; where it cannot be used, everything but jobs is served."""

    job_ttl_s: PositiveSeconds = 86_400.0
    """How long a finished job and its transcript are kept, in seconds."""

    max_jobs: Positive = 100
    """Jobs that may wait or run; more are answered 429."""

    max_jobs_bytes: Positive = 10 * 1024**3
    """What files of jobs that wait or run and transcripts of finished ones may take on disk, in
    bytes; more are answered 429."""

    parallel_jobs: Positive = 1
    """Jobs in work at once. One fills the model; more keep short jobs from waiting for a long one,
    and each takes the memory of its decoded audio."""

    shutdown_grace_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 25.0
    """After SIGTERM, how long accepted requests may take to finish, in seconds; a few less than
    whoever stops the process waits before it kills."""

    log_format: LogFormat = "text"
    """Lines for people, or `json`, objects for a collector of logs; both on standard error."""

    tracing: bool = False
    """Send spans to a collector of OpenTelemetry; needs the extra `tracing`. Where, and how many of
    them, is told by that project's own variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    log_level: Literal["critical", "error", "warning", "info", "debug"] = "info"
    """Least severity of what is logged to standard error."""


def load_settings(bundle: Path | None = None) -> Settings:
    """Read the environment.

    Args:
        bundle: goes before `STT_BUNDLE`.

    Raises:
        InvalidSettings: naming each variable at fault, what it holds and what it may hold.
    """
    try:
        return Settings() if bundle is None else Settings(bundle=bundle)
    except ValidationError as error:
        faults = [
            f"{PREFIX}{str(fault['loc'][0]).upper()} is {fault['input']!r}: {fault['msg']}"
            if fault["loc"]
            else str(fault["msg"])
            for fault in error.errors()
        ]
        raise InvalidSettings("; ".join(faults)) from error
