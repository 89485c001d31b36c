from service.attention_decoding.hot_words import with_hot_words
from service.ctc import Word


def words(text, length_s=1.0):
    return [Word(word, place, place + length_s, 1.0) for place, word in enumerate(text.split())]


def test_a_hot_word_stands_where_it_was_heard():
    written, heard = words("call missus quill her now"), words("call missus quilter her now")
    assert with_hot_words(written, heard, ["quilter"]) == [
        "call",
        "missus",
        "quilter",
        "her",
        "now",
    ]


def test_all_words_in_its_time_give_way():
    written = [*words("quill"), Word("her", 1.2, 2.0, 1.0), Word("now", 2.0, 3.0, 1.0)]
    heard = [Word("quilter", 0.1, 1.9, 1.0), Word("no", 2.0, 3.0, 1.0)]
    assert with_hot_words(written, heard, ["quilter"]) == ["quilter", "now"]


def test_what_was_not_heard_changes_nothing():
    written = words("a b c")
    assert with_hot_words(written, words("a x c"), ["y", "a c"]) == ["a", "b", "c"]


def test_a_phrase_goes_before_a_word_within_it():
    written, heard = words("to nuke yolk city"), words("to new york city")
    assert with_hot_words(written, heard, ["york", "new york"]) == ["to", "new", "york", "city"]


def test_nothing_written_takes_what_was_heard():
    assert with_hot_words([], words("a b"), ["b"]) == ["b"]
