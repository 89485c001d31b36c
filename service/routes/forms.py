"""What the routes share that take audio files."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import get_args

from service.errors import DeadlineExceeded
from service.options import MAX_HOT_WORD_CHARACTERS, MAX_HOT_WORDS, Decoding
from service.uploads import CONTENT_TYPE

# The routes parse bodies themselves, as they arrive, so the documentation must be told what is in
# them.
AUDIO_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "Audio: WAV, FLAC, MP3, Ogg, WebM, MP4 and others, of "
                            "any usual rate and channel count.",
                        },
                        "language": {
                            "type": "string",
                            "description": "Code of the spoken language, one of the model's.",
                        },
                        "model": {"type": "string", "description": "Name of the model."},
                        "decoding": {
                            "type": "string",
                            "enum": list(get_args(Decoding)),
                            "description": "How words are found; beam needs a language model.",
                        },
                        "hot_words": {
                            "type": "string",
                            "description": "Names and terms to expect, with commas between them: "
                            f"at most {MAX_HOT_WORDS}, of {MAX_HOT_WORD_CHARACTERS} characters. "
                            "They need beam search.",
                        },
                    },
                }
            }
        },
    }
}


@asynccontextmanager
async def time_limit(limit_s: float) -> AsyncIterator[None]:
    """Give what is inside so many seconds.

    Raises:
        DeadlineExceeded: they were not enough.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"not done within {limit_s:g} s", limit=limit_s) from error
