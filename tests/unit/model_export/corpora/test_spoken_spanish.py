import regex

from model_export.corpora.spoken_spanish import spoken_spanish

SPELLED = regex.compile(r"[\p{L}¿?., ]+")


def test_the_same_sentences_come_each_time_and_have_no_figures():
    sentences = list(spoken_spanish())
    assert sentences == list(spoken_spanish())
    assert sentences != list(spoken_spanish(seed=1))
    assert all(SPELLED.fullmatch(sentence) for sentence in sentences)


def test_one_agrees_with_its_noun():
    text = "\n".join(spoken_spanish())
    assert "uno euros" not in text
    for part in ("veintiún ", "ciento un euros"):
        assert part in text, part


def test_every_kind_is_said():
    text = "\n".join(spoken_spanish())
    for part in ("y media", "de marzo de mil novecientos", "enciende ", "euros con ", "una oveja"):
        assert part in text, part
