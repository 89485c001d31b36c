"""Which clips there are, and what is said in them, from the kinds of data that people have."""

from model_export.data.corpus import Clip, Corpus, Reason, Skipped, keep_spellable
from model_export.data.reading import name_of, read_corpora, read_corpus
from model_export.data.report import summary_of, write_skipped
from model_export.data.verification import (
    fault_of,
    read_verdicts,
    verify_audio,
    write_verdicts,
)

__all__ = [
    "Clip",
    "Corpus",
    "Reason",
    "Skipped",
    "fault_of",
    "keep_spellable",
    "name_of",
    "read_corpora",
    "read_corpus",
    "read_verdicts",
    "summary_of",
    "verify_audio",
    "write_skipped",
    "write_verdicts",
]
