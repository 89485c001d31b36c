"""faster-whisper behind a plain FastAPI endpoint, as its users write it.

PEER_PORT=8001 python -m tests.benchmarks.peers.faster_whisper_server FOLDER THREADS
"""

import sys
from typing import Annotated

import uvicorn
from fastapi import FastAPI, File, UploadFile
from faster_whisper import WhisperModel

from tests.benchmarks.peers.recogniser import PORT


def app_of(model: WhisperModel) -> FastAPI:
    """One route; being no coroutine, it runs in FastAPI's pool of threads."""
    app = FastAPI()

    @app.post("/transcribe")
    def transcribe(file: Annotated[UploadFile, File()]) -> dict[str, str]:
        segments, _ = model.transcribe(file.file, beam_size=1)
        return {"text": "".join(segment.text for segment in segments).strip()}

    return app


def main() -> None:
    """Serve until stopped."""
    folder, threads = sys.argv[1:]
    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=int(threads))
    uvicorn.run(app_of(model), host="127.0.0.1", port=PORT, log_level="warning")


if __name__ == "__main__":
    main()
