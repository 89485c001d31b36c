"""mosec with its own dynamic batching around our model.

    PEER_PORT=8001 python -m tests.benchmarks.peers.mosec_server BUNDLE WORKERS THREADS BATCH

mosec reads the command line itself, so ours goes on to its workers by the environment.
"""

import os
import sys
from pathlib import Path

import mosec

from tests.benchmarks.peers.recogniser import PORT, Recogniser

MAX_WAIT_MS = 5  # as long as the service waits for company
PATIENCE_S = 600


class Inference(mosec.Worker):
    """A worker; it decodes what it is given, since another stage would copy every waveform."""

    def __init__(self) -> None:
        super().__init__()
        self._recogniser = Recogniser(
            Path(os.environ["PEER_BUNDLE"]), int(os.environ["PEER_THREADS"])
        )

    def deserialize(self, data):
        """Bytes of a WAV file to a waveform."""
        return self._recogniser.decode(data)

    def forward(self, data):
        """A waveform where batching is off, or else a list of them."""
        if isinstance(data, list):
            return [{"text": text} for text in self._recogniser.recognise(data)]
        return {"text": self._recogniser.recognise([data])[0]}


def main() -> None:
    """Serve until stopped."""
    bundle, workers, threads, batch = sys.argv[1:]
    os.environ |= {"PEER_BUNDLE": bundle, "PEER_THREADS": threads}
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(PORT), "--log-level", "warning"]
    sys.argv += ["--timeout", str(PATIENCE_S * 1000), "--max-request-size", str(512 * 1024**2)]
    server = mosec.Server()
    server.append_worker(
        Inference,
        num=int(workers),
        max_batch_size=int(batch),
        max_wait_time=MAX_WAIT_MS,
        timeout=PATIENCE_S,
    )
    server.run()


if __name__ == "__main__":
    main()
