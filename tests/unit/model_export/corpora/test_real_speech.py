import pytest

from model_export.corpora.real_speech import fits, packages_of, split_of

# As they stand in every list of these clips that was ever made.
SPLITS = [
    ("cs", "Co je to za divnou loď?", "train"),
    ("cs", "Taková neopatrnost.", "dev"),
    ("cs", "Buď ráda. Jak by ses jinak dostala ven?", "test"),
    ("ru", "Оператор зарегистрирован.", "dev"),
    ("es", "Agente conectado", "test"),
    ("es", "Agente desconectado", "train"),
]


@pytest.mark.parametrize(("language", "text", "split"), SPLITS)
def test_a_sentence_keeps_its_split_however_it_is_written(language, text, split) -> None:
    assert split_of(text, language) == split_of(f"  {text.upper()} ...", language) == split


def test_danish_is_only_tested() -> None:
    assert {split_of(f"{number} måger", "da") for number in range(50)} == {"test"}


def test_a_clip_fits_whose_text_can_be_said_in_its_time() -> None:
    assert fits("Agente conectado", 1.5)
    assert not fits("Agente conectado", 0.5)
    assert not fits("Agente conectado", 6)
    assert not fits("Ay", 0.3)
    assert not fits("Agente 7 conectado", 1.5)


def test_packages_are_those_of_every_corpus_of_a_language() -> None:
    assert packages_of("cs") == ("fillets-ng-data", "fillets-ng-data-cs")
    assert packages_of("es") == (
        "asterisk-core-sounds-es",
        "asterisk-core-sounds-es-g722",
        "tuxpaint-stamps-default",
    )
