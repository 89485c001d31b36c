"""How much of each attack is made: a sample by default, the whole by `make fuzz` and its like.

FUZZ_UPLOADS=300     mutated uploads; FUZZ_SEED=1 draws them
FUZZ_SOCKETS=60      conversations over WebSockets that make no sense
FUZZ_EXAMPLES=10     of schemathesis, for each operation and kind of case
FUZZ_READS=300       mutated files for the readers of audio and of bundles, each
DRAINS=2             SIGTERMs under load
SOAK_S=8             seconds of mixed load
"""

import os

UPLOADS = int(os.environ.get("FUZZ_UPLOADS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SOCKETS = int(os.environ.get("FUZZ_SOCKETS", "60"))
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
READS = int(os.environ.get("FUZZ_READS", "300"))
DRAINS = int(os.environ.get("DRAINS", "2"))
SOAK_S = float(os.environ.get("SOAK_S", "8"))
