"""What a run of the benchmarks may be told, by environment variables.

    BENCH_HOURS=4            after them no further benchmark begins; it is skipped, and says so
    BENCH_ROUNDS=11          interleaved rounds of each comparison, time permitting
    BENCH_BUDGET=1.0         scales the seconds that each comparison may take; one round always runs
    BENCH_RUN_LIMIT_S=1800   longest single run; what takes longer is stopped, and the table says so
    BENCH_REQUESTS=160       requests of one run of the load generator
    BENCH_CLIPS=64           clips that they are drawn from
    BENCH_CLIENTS=1,8,32,128 clients of the latency table; the two in the middle for other servers
    BENCH_LIVE=1,4,24,40,56,72 people who speak at once, until partials come too late
    BENCH_LIVE_S=30          how long each of them speaks; BENCH_LIVE_LONG_S=1860 the longest stream
    BENCH_LIVE_OPENED=1000   streams that are opened and closed while memory is watched
    BENCH_SHAPES=small,base  wav2vec2 shapes that are compared
    BENCH_LONG_S=600,3600    lengths of the long recordings, in seconds
    BENCH_MEMORY_GB=20       what a process with one model may allocate
    BENCH_CACHE=runs/bench   where clips, models and logs are kept
    BENCH_WHISPER_TINY=      folder of faster-whisper's tiny.en
    BENCH_WHISPER_BASE=      folder of its base
    BENCH_BUNDLE=            folder of the bundle whose words are judged; the shipped one if empty
    BENCH_SPEECH=            MANIFEST[#SPLIT],... of clean clips with which its times, confidences,
                             long recordings and quiet speech are judged; the synthetic clips of the
                             tests if empty. BENCH_SPEECH_CLIPS=300 taken of each, evenly
    BENCH_VOICES=awb,kal16   of flite's, which speak BENCH_SENTENCES=50 of them at known times
    BENCH_JOINED_S=3600      length of the long recordings that they are joined to
    BENCH_MUSIC=             folders of instrumental music,... in which no word may be heard;
                             for example Debian's asterisk-moh-opsound-wav, unpacked by dpkg -x
    BENCH_TEST=              MANIFEST[#SPLIT],... whose error rates are compared
    BENCH_TEST_SHORTEST_S=1  shorter clips are reported apart
    BENCH_BASE=              folder or hub name of an encoder, for what trains one
    BENCH_TRAIN=, BENCH_DEV= its MANIFEST[#SPLIT] to learn from and to choose the best epoch with
    BENCH_TRAIN_MINUTES=60   taken of them; BENCH_DEV_MINUTES=10
    BENCH_EPOCHS=4,12        lengths of training that are compared
    BENCH_MATCH_EPOCHS=1     of them, those in which matched mixers imitate attention
    BENCH_SEEDS=0,1,2        each trained once

A quick look at everything, whose figures say little: BENCH_ROUNDS=2 BENCH_REQUESTS=16 BENCH_CLIPS=8
BENCH_CLIENTS=1,4,8 BENCH_LIVE=1,2 BENCH_LIVE_S=10 BENCH_LIVE_LONG_S=180 BENCH_LIVE_OPENED=50
BENCH_SHAPES=tiny BENCH_LONG_S=60,180 BENCH_MEMORY_GB=4 BENCH_SPEECH_CLIPS=30
BENCH_SENTENCES=10 BENCH_JOINED_S=300.
"""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))


def _numbers(name: str, default: str) -> tuple[int, ...]:
    return tuple(int(part) for part in os.environ.get(name, default).split(","))


def _names(name: str, default: str = "") -> tuple[str, ...]:
    return tuple(filter(None, os.environ.get(name, default).split(",")))


ROUNDS = int(os.environ.get("BENCH_ROUNDS", "11"))
BUDGET = float(os.environ.get("BENCH_BUDGET", "1"))
HOURS = float(os.environ.get("BENCH_HOURS", "4"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "160"))
CLIPS = int(os.environ.get("BENCH_CLIPS", "64"))
CLIENTS = _numbers("BENCH_CLIENTS", "1,8,32,128")
LIVE = _numbers("BENCH_LIVE", "1,4,24,40,56,72")
LIVE_S = float(os.environ.get("BENCH_LIVE_S", "30"))
LIVE_LONG_S = float(os.environ.get("BENCH_LIVE_LONG_S", "1860"))
LIVE_OPENED = int(os.environ.get("BENCH_LIVE_OPENED", "1000"))
SHAPES = tuple(os.environ.get("BENCH_SHAPES", "small,base").split(","))
LONG_S = _numbers("BENCH_LONG_S", "600,3600")
RUN_LIMIT_S = float(os.environ.get("BENCH_RUN_LIMIT_S", "1800"))
MEMORY_BYTES = int(float(os.environ.get("BENCH_MEMORY_GB", "20")) * 1e9)
CACHE = (ROOT / os.environ.get("BENCH_CACHE", "runs/bench")).resolve()
WHISPER_TINY, WHISPER_BASE = (os.environ.get(f"BENCH_WHISPER_{n}") for n in ("TINY", "BASE"))
BUNDLE = Path(os.environ.get("BENCH_BUNDLE") or ROOT / "service" / "bundles" / "english")
SPEECH = _names("BENCH_SPEECH")
SPEECH_CLIPS = int(os.environ.get("BENCH_SPEECH_CLIPS", "300"))
VOICES = _names("BENCH_VOICES", "awb,kal16")
SENTENCES = int(os.environ.get("BENCH_SENTENCES", "50"))
JOINED_S = float(os.environ.get("BENCH_JOINED_S", "3600"))
MUSIC = tuple(map(Path, _names("BENCH_MUSIC")))
TEST = _names("BENCH_TEST")
TEST_SHORTEST_S = float(os.environ.get("BENCH_TEST_SHORTEST_S", "1"))
BASE, TRAIN, DEV = (os.environ.get(f"BENCH_{name}", "") for name in ("BASE", "TRAIN", "DEV"))
TRAIN_MINUTES = float(os.environ.get("BENCH_TRAIN_MINUTES", "60"))
DEV_MINUTES = float(os.environ.get("BENCH_DEV_MINUTES", "10"))
EPOCHS = _numbers("BENCH_EPOCHS", "4,12")
MATCH_EPOCHS = float(os.environ.get("BENCH_MATCH_EPOCHS", "1"))
SEEDS = _numbers("BENCH_SEEDS", "0,1,2")
