"""What the service writes to standard error: lines for people, or JSON for a collector of logs.

Neither holds audio, words that were said, or keys. What is logged while a request is handled
carries the request's id.
"""

import logging
from contextvars import ContextVar
from typing import Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

LogFormat = Literal["text", "json"]

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
TALKATIVE = ("uvicorn.error", "websockets")  # debugging tells headers, with keys, and audio
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
FIELDS = ("levelname", "name", "message")
JSON_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Log to standard error, once for the process.

    Args:
        level: least severity, such as info.
        log_format: text, or json: an object a line with time (RFC 3339, UTC), level, logger,
            message, and where they are known request_id, method, endpoint, status, duration_s and
            exception.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    handler.setFormatter(logging.Formatter(TEXT) if log_format == "text" else _json())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("uvicorn.error").addFilter(_is_no_socket)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))


def _json() -> logging.Formatter:
    return JsonFormatter(
        FIELDS,
        rename_fields=JSON_NAMES,
        timestamp="time",
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],  # uvicorn's message for terminals
    )


def _is_no_socket(record: logging.LogRecord) -> bool:
    """Leave out uvicorn's lines for each WebSocket, one with its query; there is one of ours."""
    text = str(record.msg)
    return not text.endswith("[accepted]") and text not in {"connection open", "connection closed"}


def _add_request_id(record: logging.LogRecord) -> bool:
    if (request_id := REQUEST_ID.get()) is not None and not hasattr(record, "request_id"):
        record.request_id = request_id
    return True
