import argparse
from pathlib import Path

import pytest

from model_export.cli import _parser
from model_export.errors import NormalisationInvalid
from model_export.transcripts.normalisation import PUNCTUATION
from model_export.transcripts.options import rules_asked, rules_continued
from service.bundle import TextNormalisation


def options(*arguments: str) -> argparse.Namespace:
    required = ["finetune", "--train", "a", "--dev", "b", "--out", "c", "--start", "runs/en"]
    return _parser().parse_args([*required, *arguments])


def test_nothing_asked_refuses_digits_and_keeps_apostrophes_inside_words() -> None:
    assert rules_asked(options()) == TextNormalisation(keep="", keep_inside="'", digits="refuse")


def test_everything_asked_is_followed() -> None:
    asked = options(
        *("--language", "de", "--digits", "spell", "--cased", "--keep", "&"),
        *("--keep-inside", "-", "--punctuation", "--unicode-form", "NFKC"),
    )
    assert rules_asked(asked) == TextNormalisation(
        unicode_form="NFKC",
        lowercase=False,
        keep="&" + PUNCTUATION,
        keep_inside="-",
        digits="spell",
        language="de",
    )


def test_rules_that_cannot_be_followed_are_refused_before_anything_is_read() -> None:
    with pytest.raises(NormalisationInvalid, match="one language; --language says de, en"):
        rules_asked(options("--language", "de", "--language", "en", "--digits", "spell"))
    with pytest.raises(NormalisationInvalid, match="no number words for 'hi'"):
        rules_asked(options("--language", "hi", "--digits", "spell"))


def test_a_run_that_begins_with_a_checkpoint_keeps_its_rules() -> None:
    recorded = TextNormalisation(digits="keep", language="en")
    assert rules_continued(options("--digits", "keep", "--language", "cs"), recorded) == recorded
    message = "digits is 'keep' in runs/en, not 'spell'"
    with pytest.raises(NormalisationInvalid, match=message):
        rules_continued(options("--digits", "spell"), recorded)
    assert options().start == Path("runs/en")
