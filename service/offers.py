"""Which of the models that are served a request means; pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.errors import InvalidRequest


@dataclass(frozen=True)
class Offer:
    """A model that is served, whether or not it is loaded.

    Attributes:
        name: of its bundle.
        languages: codes of what it understands.
    """

    name: str
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Offers:
    """All models that are served.

    Attributes:
        default: what a request means that says nothing.
        others: by name.
    """

    default: Offer
    others: tuple[Offer, ...] = ()

    def __iter__(self) -> Iterator[Offer]:
        yield self.default
        yield from self.others

    @property
    def names(self) -> tuple[str, ...]:
        """Of all models, the default's first."""
        return tuple(offer.name for offer in self)

    @property
    def languages(self) -> tuple[str, ...]:
        """Of all models, none twice, the default's first."""
        return tuple(dict.fromkeys(code for offer in self for code in offer.languages))

    def choose(self, model: str | None, language: str | None) -> Offer:
        """The model of this name; without one, who knows the language: the default, or one other.

        Raises:
            InvalidRequest: there is none, or there are several; naming those there are.
        """
        if model:
            check_offered("model", model, self.names)
            return next(offer for offer in self if offer.name == model)
        if not language or language in self.default.languages:
            return self.default
        check_offered("language", language, self.languages)
        knowing = [offer for offer in self.others if language in offer.languages]
        if len(knowing) > 1:
            names = [offer.name for offer in knowing]
            raise InvalidRequest(
                f"language {language!r} is understood by {', '.join(names)}; say which with model",
                found=language,
                limit=names,
                param="model",
            )
        return knowing[0]

    def meant(self, language: str, model: str | None = None) -> str | None:
        """The code that is served, by this model if one is named: if there is no `en-US`, `en`.

        What is not served is left to be refused; None if nothing is asked for.
        """
        offered = self.choose(model, None).languages if model else self.languages
        base = language.replace("_", "-").partition("-")[0].lower()
        return base if language not in offered and base in offered else language or None


def check_offered(param: str, found: str | None, offered: Sequence[str]) -> None:
    """Refuse what is asked for and not there.

    Raises:
        InvalidRequest: naming what is there.
    """
    if found and found not in offered:
        raise InvalidRequest(
            f"{param} {found!r} is not served here; there is {', '.join(offered)}",
            found=found,
            limit=list(offered),
            param=param,
        )
