import numpy as np

from model_export.language_model.counts import SPECIAL_WORDS, choose_words, count_ngrams

SENTENCES = ["a b a", "b a", "c", "a b a"]


def ngrams(tables, words, order):
    """Counts by word sequence, read along the histories and, to compare, along the suffixes."""
    names = [*SPECIAL_WORDS, *words]

    def along(row, order, rest):
        table = tables[order - 1]
        if order == 1:
            return [names[table.word[row]]]
        if rest == "history":
            return [*along(table.history[row], order - 1, rest), names[table.word[row]]]
        return [names[table.first[row]], *along(table.suffix[row], order - 1, rest)]

    rows = range(len(tables[order - 1].word))
    sequences = [" ".join(along(row, order, "history")) for row in rows]
    assert sequences == [" ".join(along(row, order, "suffix")) for row in rows]
    return dict(zip(sequences, tables[order - 1].count.tolist(), strict=True))


def test_words_are_ranked_by_count_then_by_code_points():
    assert choose_words(SENTENCES, max_words=9, min_count=1) == ["a", "b", "c"]
    assert choose_words(["z y x z"], max_words=2, min_count=1) == ["z", "x"]
    assert choose_words(SENTENCES, max_words=9, min_count=2) == ["a", "b"]


def test_n_grams_of_every_order_are_counted_within_sentences():
    tables = count_ngrams(SENTENCES, ["a", "b"], 4)
    assert ngrams(tables, ["a", "b"], 1) == {"<unk>": 1, "<s>": 4, "</s>": 4, "a": 5, "b": 3}
    assert ngrams(tables, ["a", "b"], 2) == {
        "<unk> </s>": 1,
        **{"<s> <unk>": 1, "<s> a": 2, "<s> b": 1},
        **{"a </s>": 3, "a b": 2, "b a": 3},
    }
    assert ngrams(tables, ["a", "b"], 4) == {"<s> a b a": 2, "<s> b a </s>": 1, "a b a </s>": 2}


def test_a_word_of_the_vocabulary_that_no_sentence_has_is_a_unigram_all_the_same():
    (unigrams,) = count_ngrams(["a"], ["a", "b"], 1)
    np.testing.assert_array_equal(unigrams.count, [0, 1, 1, 1, 0])
