import numpy as np
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from model_export.errors import TextRefused
from model_export.scoring import decode_labels
from model_export.transcripts.normalisation import encode, frames_needed, make_vocabulary, normalise
from service.bundle import TextNormalisation

rules = st.builds(
    TextNormalisation,
    unicode_form=st.sampled_from(["NFC", "NFKC"]),
    lowercase=st.booleans(),
    keep=st.sampled_from(["", "'", "-.", "\u200c"]),
    keep_inside=st.sampled_from(["", "'", "'-"]),
    digits=st.sampled_from(["refuse", "keep", "spell"]),
    language=st.sampled_from(["ar", "cs", "de", "en", "th", "tr", "uk"]),
)
# Digits, marks, joiners and punctuation seldom meet in text drawn from all of Unicode.
texts = st.text(max_size=20) | st.text("aIΣ1٣9 .,'-\u2019\u0301\u200d\ufe0fक्มี%", max_size=20)


@settings(deadline=None, max_examples=400)
@given(text=texts, rules=rules)
def test_normalised_text_is_letters_and_single_spaces(text: str, rules: TextNormalisation) -> None:
    try:
        once = normalise(text, rules)
    except TextRefused:
        assert rules.digits != "keep"
        return
    assert normalise(once, rules) == once
    assert once == " ".join(once.split())
    for character in set(once) - set(rules.keep + rules.keep_inside + " "):
        assert regex.match(r"[\p{L}\p{M}\p{N}]", character)
        assert rules.digits == "keep" or not regex.match(r"[\p{Nd}\p{No}]", character)


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
