"""English sentences with numbers, times, dates, amounts and letters, as people say them.

Books and chats write these in figures, or not at all; telephones and assistants hear little else.
"""

import calendar
from collections.abc import Callable, Iterator
from random import Random

from num2words import num2words

SENTENCES = 20_000
DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FRAMES: dict[str, tuple[str, ...]] = {
    "count": (
        "{}",
        "there are {} of them",
        "I need {} more",
        "we have {} left",
        "number {}",
        "about {} people",
        "it takes {} minutes",
        "in {} days",
        "page {}",
        "room {}",
        "press {}",
        "wait {} seconds",
        "the answer is {}",
        "{} messages",
        "chapter {}",
        "{} percent of them",
    ),
    "ordinal": ("the {}", "on the {} floor", "for the {} time", "this is the {} one"),
    "digits": (
        "{}",
        "my number is {}",
        "call me at {}",
        "the code is {}",
        "extension {}",
        "dial {}",
        "my account number is {}",
        "the pin is {}",
        "flight {}",
        "it ends in {}",
    ),
    "time": (
        "{}",
        "at {}",
        "it is {}",
        "the time is {}",
        "call me back at {}",
        "until {}",
        "wake me up at {}",
        "set an alarm for {}",
        "we open at {}",
        "the meeting starts at {}",
    ),
    "date": (
        "{}",
        "on {}",
        "today is {}",
        "the date is {}",
        "since {}",
        "before {}",
        "my birthday is {}",
        "what happens on {}",
        "book it for {}",
        "it is due on {}",
    ),
    "amount": ("{}", "it costs {}", "that will be {}", "you owe {}", "I paid {}", "for {}"),
    "letters": ("{}", "it is spelled {}", "the code is {}", "that is {}"),
}


def spoken_numbers(seed: int = 0) -> Iterator[str]:
    """Sentences, the same for the same seed."""
    random = Random(seed)
    makers: dict[str, Callable[[Random], str]] = {
        "count": _count,
        "ordinal": lambda random: _words(random.randint(1, 40), "ordinal"),
        "digits": _digits,
        "time": _time,
        "date": _date,
        "amount": _amount,
        "letters": _letters,
    }
    for _ in range(SENTENCES):
        kind = random.choice(list(FRAMES))
        yield random.choice(FRAMES[kind]).format(makers[kind](random))


def _words(number: int, kind: str = "cardinal") -> str:
    words: str = num2words(number, to=kind)
    return words.replace("-", " ").replace(",", "")


def _count(random: Random) -> str:
    return _words(int(10 ** random.uniform(0, random.choice((1, 2, 3, 5)))))


def _digits(random: Random) -> str:
    return " ".join(random.choice(DIGITS) for _ in range(random.choice((1, 2, 3, 4, 5, 7, 10))))


def _time(random: Random) -> str:
    hour, minute = random.randint(1, 12), random.choice((0, 0, 5, 10, 15, 20, 30, 45, 50))
    half = random.choice(("", " a m", " p m", " in the morning", " in the evening"))
    if minute == 0:
        return f"{_words(hour)} o'clock" if random.random() < 0.5 else f"{_words(hour)}{half}"
    if minute in (15, 30) and random.random() < 0.5:
        return f"{'half' if minute == 30 else 'quarter'} past {_words(hour)}"
    return f"{_words(hour)} {'oh ' if minute < 10 else ''}{_words(minute)}{half}"


def _date(random: Random) -> str:
    day = _words(random.randint(1, 31), "ordinal")
    month = random.choice(list(calendar.month_name)[1:])
    year = random.choice(("", f" {_words(random.randint(1950, 2030), 'year')}"))
    weekday = random.choice(("", "", f"{random.choice(list(calendar.day_name))} "))
    if random.random() < 0.3:
        return f"the {day} of {month}{year}"
    return f"{weekday}{month} {random.choice(('', 'the '))}{day}{year}"


def _amount(random: Random) -> str:
    whole, cents = _count(random), _words(random.randint(2, 99))
    unit, part = random.choice((("dollars", "cents"), ("pounds", "pence"), ("euros", "cents")))
    return f"{whole} {unit}" + random.choice(("", f" and {cents} {part}", f" {cents}"))


def _letters(random: Random) -> str:
    return " ".join(
        random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(random.randint(2, 6))
    )
