"""LitServe with its own dynamic batching around our model.

PEER_PORT=8001 python -m tests.benchmarks.peers.litserve_server BUNDLE WORKERS THREADS BATCH
"""

import sys
from pathlib import Path

import litserve
from fastapi import Request

from tests.benchmarks.peers.recogniser import PORT, Recogniser

BATCH_TIMEOUT_S = 0.005  # as long as the service waits for company


class Api(litserve.LitAPI):
    """LitServe's hooks; `batch` leaves the list to `predict`, which pads."""

    def __init__(self, bundle: Path, threads: int, max_batch_size: int) -> None:
        super().__init__(max_batch_size=max_batch_size, batch_timeout=BATCH_TIMEOUT_S)
        self._bundle, self._threads = bundle, threads

    def setup(self, device):
        """Load, in the worker."""
        self._recogniser = Recogniser(self._bundle, self._threads)

    def decode_request(self, request: Request):
        """Form to waveform."""
        return self._recogniser.decode(request["file"].file.read())

    def batch(self, inputs):
        """Nothing yet: rows are unequal."""
        return list(inputs)

    def predict(self, x):
        """One waveform where batching is off, or else a list of them."""
        return self._recogniser.recognise(x if isinstance(x, list) else [x])

    def unbatch(self, output):
        """The texts are a list already."""
        return output

    def encode_response(self, output):
        """Text to JSON."""
        return {"text": output if isinstance(output, str) else output[0]}


def main() -> None:
    """Serve until stopped."""
    bundle, workers, threads, batch = sys.argv[1:]
    api = Api(Path(bundle), int(threads), int(batch))
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(workers), timeout=False
    )
    server.run(
        host="127.0.0.1",
        port=PORT,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )


if __name__ == "__main__":
    main()
