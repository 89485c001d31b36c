"""Logits that say what a string says."""

import numpy as np

from service.arrays import FloatArray
from service.bundle import Vocabulary

VOCABULARY = Vocabulary(tokens=("_", "|", *"abdehst", "é"), blank_id=0, word_delimiter="|")


def frames(said: str, sureness: float = 12.0) -> FloatArray:
    """Logits that say a character a frame; in brackets, as likely as each other: `[ea]`."""
    rows, options = [], None
    for one in said:
        if one == "[":
            options = []
        elif one == "]":
            rows.append(options)
            options = None
        elif options is None:
            rows.append([one])
        else:
            options.append(one)
    logits = np.zeros((len(rows), len(VOCABULARY.tokens)), np.float32)
    for row, said_here in zip(logits, rows, strict=True):
        row[[VOCABULARY.tokens.index(one) for one in said_here]] = sureness
    return logits
