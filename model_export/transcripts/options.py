"""The text rules of a run: what the command line asks, or what its first checkpoint has."""

import argparse

from model_export.errors import NormalisationInvalid
from model_export.transcripts.normalisation import PUNCTUATION, require_usable
from service.bundle import TextNormalisation

# What is done unless asked otherwise. A bundle's own defaults describe bundles from before.
DEFAULT_RULES = TextNormalisation(keep="", keep_inside="'", digits="refuse")


def rules_asked(
    options: argparse.Namespace, defaults: TextNormalisation = DEFAULT_RULES
) -> TextNormalisation:
    """Text rules of the command line's options.

    Args:
        options: parsed.
        defaults: what is done unless asked otherwise.

    Raises:
        NormalisationInvalid: they cannot be followed.
    """
    rules = defaults.model_copy(update=_changes(options))
    if rules.digits == "spell" and len(options.language) > 1:
        codes = ", ".join(options.language)
        raise NormalisationInvalid(f"numbers are spelled in one language; --language says {codes}")
    require_usable(rules)
    return rules


def rules_continued(options: argparse.Namespace, recorded: TextNormalisation) -> TextNormalisation:
    """Text rules of the checkpoint that a run begins with.

    Raises:
        NormalisationInvalid: the command line asks for other rules.
    """
    changes = _changes(options)
    for name, asked in changes.items():
        if name != "language" and asked != (found := getattr(recorded, name)):
            raise NormalisationInvalid(f"{name} is {found!r} in {options.start}, not {asked!r}")
    return recorded


def _changes(options: argparse.Namespace) -> dict[str, object]:
    """The rules that the command line speaks of."""
    asked = {
        "unicode_form": options.unicode_form,
        "lowercase": False if options.cased else None,
        "keep": _kept(options.keep, options.punctuation),
        "keep_inside": options.keep_inside,
        "digits": options.digits,
        "language": options.language[0] if options.language else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _kept(keep: str | None, punctuation: bool) -> str | None:
    return (keep or "") + PUNCTUATION if punctuation else keep
