import json
from collections import Counter

import pytest

from model_export.errors import ManifestInvalid
from model_export.language_model.held_out import HeldOut
from model_export.language_model.texts import (
    LeftOut,
    TextFilter,
    characters_of,
    read_held_out,
    read_sentences,
    split_sentences,
)
from model_export.transcripts.normalisation import make_vocabulary
from model_export.transcripts.options import DEFAULT_RULES

SPELLED = DEFAULT_RULES.model_copy(update={"digits": "spell", "language": "en"})


def written(folder, *lines, name="text.txt"):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("Come in. Sit down!", ["Come in.", "Sit down!"]),
        ('"Where?" he asked. (Nobody knew.) So', ['"Where?"', "he asked.", "(Nobody knew.)", "So"]),
        ("Mrs. Long and J. Smith came.", ["Mrs. Long and J. Smith came."]),
        ("It costs 3.50 today", ["It costs 3.50 today"]),
        ("वह आया। वह गया।", ["वह आया।", "वह गया।"]),
        ("他来了。她走了。", ["他来了。", "她走了。"]),
    ],
)
def test_paragraphs_are_parted_where_sentences_end(paragraph, sentences):
    assert split_sentences(paragraph) == sentences


def test_sentences_are_normalised_and_others_counted_by_reason(tmp_path):
    path = written(tmp_path, "He's 20. Call 020!", "", "...", "Déjà vu.", "Keep this out, please.")
    held_out = HeldOut.of(["keep this out please"])
    characters = characters_of(make_vocabulary(["abcdefghijklmnopqrstuvwxyz'"]))
    texts = read_sentences(path, TextFilter(SPELLED, characters, held_out))
    assert texts.sentences == ("he's twenty",)
    assert texts.left_out == Counter(
        {LeftOut.REFUSED: 1, LeftOut.NOT_IN_VOCABULARY: 1, LeftOut.HELD_OUT: 1}
    )


def test_texts_of_recordings_count_whole(tmp_path):
    rows = [{"audio": "gone.wav", "text": "One. Two.", "split": s} for s in ("train", "dev")]
    path = written(tmp_path, *map(json.dumps, rows), name="rows.jsonl")
    assert read_sentences(f"{path}#train", TextFilter(SPELLED)).sentences == ("one two",)


def test_held_out_are_rows_whole_and_in_parts(tmp_path):
    rows = [{"audio": "gone.wav", "text": "A short-haired dog. The meeting was moved."}]
    data = written(tmp_path, *map(json.dumps, rows), name="rows.jsonl")
    text = written(tmp_path, "Thank you! Call 020.", "It is as I. Nobody knew.")
    held_out = read_held_out([data, text], SPELLED)
    assert held_out.sentences == {
        "a short haired dog",
        "the meeting was moved",
        "a short haired dog the meeting was moved",
        *("thank you", "it is as i nobody knew", "it is as i", "nobody knew"),
    }


def test_a_text_without_a_sentence_is_refused(tmp_path):
    with pytest.raises(ManifestInvalid, match=r"no sentence to learn from \(1 left out\)"):
        read_sentences(written(tmp_path, "020"), TextFilter(SPELLED))


def test_a_text_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ManifestInvalid, match="cannot be read"):
        read_sentences(str(tmp_path / "gone.txt"), TextFilter(SPELLED))
