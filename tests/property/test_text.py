import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.scoring import decode_labels
from model_export.text import encode, frames_needed, make_vocabulary, normalise
from service.bundle import TextNormalisation

rules = st.builds(TextNormalisation, lowercase=st.booleans())


@settings(deadline=None, max_examples=200)
@given(text=st.text(max_size=20), rules=rules)
def test_normalising_twice_changes_nothing(text: str, rules: TextNormalisation) -> None:
    once = normalise(text, rules)
    assert normalise(once, rules) == once
    assert once == " ".join(once.split())


@settings(deadline=None, max_examples=100)
@given(text=st.text(alphabet="abcé' ", max_size=20))
def test_labels_with_blanks_between_twins_say_the_text(text: str) -> None:
    text = normalise(text, TextNormalisation())
    vocabulary = make_vocabulary([text])
    labels = encode(text, vocabulary)
    frames: list[int] = []
    for label in labels:
        if frames and frames[-1] == label:
            frames.append(vocabulary.blank_id)
        frames.append(label)
    assert len(frames) == frames_needed(labels)
    assert decode_labels(np.array(frames, dtype=np.int64), vocabulary) == text
