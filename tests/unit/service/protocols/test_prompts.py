import pytest

from service.protocols.prompts import hot_words_of


@pytest.mark.parametrize(
    ("prompt", "hot_words"),
    [
        ("", ()),
        (" ,; \n", ()),
        ("Elliot, New York", ("Elliot", "New York")),
        ("aspirin; beta blocker\nibuprofen, aspirin.", ("aspirin", "beta blocker", "ibuprofen")),
        ("Glossary: 'Elliot', \"ZyntriQix\"", ("Elliot", "ZyntriQix")),
        ("Umm, let me think like, hmm... Okay, here's what I'm thinking.", ()),
        ("Dear Mr. Elliot, we meet in New York, if I can.", ("Elliot", "New York")),
        ("We came late. The talk is by Anne Elliot.", ("Anne Elliot",)),
        ("they said THE END OF THE STORY and went home", ()),
        ("我们, 他们", ("我们", "他们")),
    ],
)
def test_names_and_terms_are_found(prompt, hot_words):
    assert hot_words_of(prompt) == hot_words
