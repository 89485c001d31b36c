from model_export.export.model_card import model_card
from service.bundle import TextNormalisation, read_manifest
from service.config import PACKAGED_BUNDLE


def test_the_card_says_what_was_done_to_the_text() -> None:
    manifest = read_manifest(PACKAGED_BUNDLE)
    card = model_card(manifest, "")
    assert "lower case; letters, and of the rest '; numbers as words of en." in card
    rules = TextNormalisation(lowercase=False, keep="", digits="spell", language="cs")
    card = model_card(manifest.model_copy(update={"text_normalisation": rules}), "")
    assert "case kept; letters, and of the rest nothing; numbers as words of cs." in card


def test_notes_stand_behind_the_error_rates() -> None:
    manifest = read_manifest(PACKAGED_BUNDLE)
    card = model_card(manifest, "", "## What was tried\n\nThis and that.\n")
    rates, tried, use = (card.index(f"## {title}") for title in ("Error", "What was", "What to"))
    assert rates < tried < use
    assert "\n\n\n" not in card + model_card(manifest, "")
