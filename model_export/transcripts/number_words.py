"""Numbers in transcripts as words of their language.

Cardinals, decimals, ordinals and, where they are read by hundreds, years. What is not plainly one
of these (a date, a range, an amount, a unit) is refused: a wrong word would teach a wrong spelling.
"""

from dataclasses import dataclass
from functools import lru_cache

import regex
from babel import Locale, UnknownLocaleError
from babel.numbers import get_decimal_symbol, get_group_symbol
from num2words import CONVERTER_CLASSES, num2words

from model_export.errors import NormalisationInvalid, TextRefused

DIGIT = regex.compile(r"[\p{Nd}\p{No}]")
MAX_DIGITS = 9  # longer ones are read digit by digit, as telephone numbers are
YEARS = range(1100, 2100)
YEAR_LANGUAGES = frozenset({"da", "de", "en"})
SPACELESS_LANGUAGES = frozenset({"ja", "th"})
UNFIT_LANGUAGES = frozenset({"am"})  # num2words 0.5.14 does not come to an end on some numbers
CODES_OF_NUM2WORDS = {"kk": "kz", "nb": "no", "nn": "no"}

# After the digits. A full stop makes an ordinal when the sentence goes on behind it.
_POINT = r"(?<!\d{3})\.(?=\s+\p{Ll})"
_POINT_BEFORE_CAPITALS = r"(?<!\d{3})\.(?=\s+\p{L})"
ORDINAL_SUFFIXES = {
    **dict.fromkeys(("az", "cs", "da", "fi", "hu", "is", "lv", "no"), _POINT),
    **dict.fromkeys(("pl", "sk", "sl", "sr"), _POINT),
    **dict.fromkeys(("de", "tr"), _POINT_BEFORE_CAPITALS),
    **dict.fromkeys(("ca", "es", "it", "pt"), r"\.?º"),
    "en": r"(?:st|nd|rd|th)\b",
    "fr": r"(?:er|e|ème)\b",
    "nl": r"(?:e|de|ste)\b",
    "sv": r":[ae]\b",
}

# What is spoken with a number, or makes it something else than a number.
_BEFORE = r"[\p{Sc}\p{Sm}#№§]\s?|(?<!\S)[-\u2013]"
_AFTER = (
    r"[^\s\p{L}\p{Nd}]+\p{Nd}|\s?[%‰°\p{Sc}\p{Sm}]|[\p{Lu}\p{Ll}\p{No}ªº]|['\u2019-]\p{L}{1,2}\b"
)


@dataclass(frozen=True)
class NumberForms:
    """How a language writes and reads numbers.

    Attributes:
        code: the language, as num2words calls it.
        token: matches a number with all that clings to it.
    """

    code: str
    token: regex.Pattern[str]

    @property
    def language(self) -> str:
        """The language without its region."""
        return self.code.partition("_")[0]


def known_languages() -> list[str]:
    """Codes of the languages whose numbers can be spelled."""
    own = {code: tag for tag, code in CODES_OF_NUM2WORDS.items() if code not in ("no",)}
    return sorted(own.get(code, code) for code in CONVERTER_CLASSES.keys() - UNFIT_LANGUAGES)


@lru_cache
def number_forms(language: str | None) -> NumberForms:
    """How a language writes and reads numbers.

    Args:
        language: code such as `de`, or with a region, such as `pt-BR`.

    Raises:
        NormalisationInvalid: none is given, or its number words are not known.
    """
    if language is None:
        raise NormalisationInvalid("numbers are spelled in a language; --language names it")
    base, _, region = language.replace("-", "_").partition("_")
    base = base.lower()
    name = CODES_OF_NUM2WORDS.get(base, base)
    codes = (f"{name}_{region.upper()}", name)
    code = next((code for code in codes if code in CONVERTER_CLASSES), None)
    if code is None or code in UNFIT_LANGUAGES:
        known = ", ".join(known_languages())
        raise NormalisationInvalid(f"no number words for {language!r}; known languages: {known}")
    locale = _locale(base, region)
    return NumberForms(code, regex.compile(_token(locale, ORDINAL_SUFFIXES.get(name, "(?!)"))))


def spell_numbers(text: str, language: str | None) -> str:
    """Replace numbers by their words.

    Raises:
        NormalisationInvalid: the language's number words are not known.
        TextRefused: a number cannot be spelled with certainty.
    """
    forms = number_forms(language)
    space = "" if forms.language in SPACELESS_LANGUAGES else " "
    spelled = forms.token.sub(lambda match: space + _words(match, forms) + space, text)
    if rest := DIGIT.search(spelled):
        raise TextRefused(f"{rest.group()!r} cannot be spelled")
    return spelled


def _locale(base: str, region: str) -> Locale:
    """The locale nearest to a language code; of one that is not known, the international one."""
    for name in (f"{base}_{region.upper()}", base):
        try:
            return Locale.parse(name)
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


def _token(locale: Locale, ordinal: str) -> str:
    group = get_group_symbol(locale).replace("\u2019", "'")
    groups = "[\u00a0\u2009\u202f\u066c" + (r"\ " if group.isspace() else regex.escape(group)) + "]"
    decimals = "[\u066b" + regex.escape(get_decimal_symbol(locale)) + "]"
    first, second = locale.decimal_formats[None].grouping
    return (
        rf"(?P<before>{_BEFORE})?"
        rf"(?P<whole>\p{{Nd}}{{1,3}}(?:{groups}\p{{Nd}}{{{second}}})*"
        rf"{groups}\p{{Nd}}{{{first}}}(?!\p{{Nd}})|\p{{Nd}}+)"
        rf"(?:{decimals}(?P<fraction>\p{{Nd}}+))?"
        rf"(?P<ordinal>{ordinal})?"
        rf"(?P<after>{_AFTER})?"
    )


def _words(match: regex.Match[str], forms: NumberForms) -> str:
    token = match.group().strip()
    whole = "".join(filter(str.isdigit, match["whole"]))
    fraction = match["fraction"] or ""
    odd = match["before"] or match["after"] or (fraction and match["ordinal"])
    if odd or _is_code(whole) or fraction.startswith("0") or fraction.endswith("0"):
        raise TextRefused(f"{token!r} cannot be spelled with certainty")
    kind = "ordinal" if match["ordinal"] else _kind(match["whole"], forms)
    words = _spelled(f"{whole}.{fraction}" if fraction else whole, kind, forms.code)
    if not words:
        raise TextRefused(f"{token!r} cannot be spelled in {forms.code}")
    return words


def _is_code(whole: str) -> bool:
    """Whether digits are read one by one, as those of telephone numbers are."""
    return len(whole) > MAX_DIGITS or (len(whole) > 1 and int(whole[0]) == 0)


def _kind(whole: str, forms: NumberForms) -> str:
    is_year = len(whole) == 4 and int(whole) in YEARS and forms.language in YEAR_LANGUAGES
    return "year" if is_year else "cardinal"


@lru_cache(maxsize=10_000)
def _spelled(number: str, kind: str, code: str) -> str | None:
    value = float(number) if "." in number else int(number)
    try:
        words: str = num2words(value, lang=code, to=kind)
    except (NotImplementedError, OverflowError):
        return None
    # A sign among the words is one that is read, such as the point of Arabic.
    return words if all(regex.search(r"\p{L}", word) for word in words.split()) else None
