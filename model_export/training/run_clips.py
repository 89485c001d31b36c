"""The clips of a run: verified once, so that all its processes and restarts have the same."""

from pathlib import Path

from model_export.data import Corpus, read_verdicts, verify_audio, write_verdicts
from model_export.training.ranks import this_process
from model_export.training.resuming import RUN_FILE


def verified_once(corpus: Corpus, name: str, out: Path) -> Corpus:
    """Open every clip, or take over what was found when this run was started.

    What broke since then stays in; training reads it as silence without words.

    Args:
        corpus: of the run.
        name: train or dev.
        out: folder of the run; keeps what is found.

    Raises:
        ManifestInvalid: no clip can be read.
    """
    record, process = out / f"verified-{name}.json", this_process()
    with process.main_process_first():
        is_known = (out / RUN_FILE).exists() or not process.is_main_process
        verified = verify_audio(corpus, name, read_verdicts(record) if is_known else {})
        if process.is_main_process:
            write_verdicts(record, corpus, verified)
    return verified
