"""Spanish sentences of every day: numbers, times, dates, amounts, requests and telephones.

Scripture and proverbs say none of it; telephones and assistants hear little else.
"""

import re
from collections.abc import Callable, Iterator
from random import Random

from num2words import num2words

SENTENCES = 12_000
MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto"),
    *("septiembre", "octubre", "noviembre", "diciembre"),
)
WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
HALVES = ("", "", " de la mañana", " de la tarde", " de la noche")
PLACES = (
    *("la cocina", "el jardín", "la oficina", "el hospital", "la estación", "el mercado"),
    *("la escuela", "el banco", "la playa", "el centro", "la farmacia", "el aeropuerto"),
    *("mi casa", "la biblioteca", "el restaurante", "la iglesia", "el parque", "la calle mayor"),
)
THINGS = (
    *("la luz", "la puerta", "la ventana", "el televisor", "la radio", "la música", "el horno"),
    *("la calefacción", "el ordenador", "el teléfono", "la lámpara", "el ventilador", "la alarma"),
)
FOODS = (
    *("pan", "leche", "queso", "arroz", "pescado", "manzanas", "naranjas", "huevos", "azúcar"),
    *("café", "aceite", "tomates", "cebollas", "pollo", "agua", "vino", "jamón", "patatas"),
)
PEOPLE = (
    *("mi hermana", "mi hermano", "mi padre", "mi madre", "el médico", "la vecina", "Ana"),
    *("Juan", "María", "Pedro", "Lucía", "Carlos", "el señor García", "la señora López"),
)
ANIMALS = (
    *("un perro", "un gato", "un caballo", "una vaca", "un pájaro", "una oveja", "un ratón"),
    *("una gallina", "un pato", "un oso", "un león", "un elefante", "una mariposa", "un pez"),
)
ADJECTIVES = (
    *("grande", "pequeño", "rojo", "azul", "verde", "amarillo", "blanco", "negro", "viejo"),
    *("nuevo", "hermoso", "rápido", "tranquilo", "salvaje", "joven", "redondo", "largo"),
)
NOUNS = "días|kilómetros|minutos|segundos|mensajes|euros|pesos|céntimos|centavos"
ONE = re.compile(rf"\b(?P<twenty>veinti)?uno(?= (?:(?P<feminine>personas)|{NOUNS})\b)")
FRAMES: dict[str, tuple[str, ...]] = {
    "count": (
        *("{}", "hay {} personas", "quedan {} días", "necesito {} más", "el número {}"),
        *("la página {}", "espere {} segundos", "tiene {} mensajes nuevos", "pulse {}"),
        *("son {} kilómetros", "faltan {} minutos", "el {} por ciento", "vivo en el {}"),
    ),
    "digits": (
        *("{}", "mi número es {}", "llame al {}", "el código es {}", "la clave es {}"),
        *("la extensión {}", "marque {}", "la cuenta {}", "el teléfono es {}"),
    ),
    "time": (
        *("{}", "es {}", "a {}", "la reunión empieza a {}", "abrimos a {}", "hasta {}"),
        *("despiértame a {}", "el tren sale a {}", "pon una alarma para {}"),
    ),
    "date": (
        *("{}", "hoy es {}", "el {}", "desde el {}", "nació el {}", "la cita es el {}"),
        *("vuelvo el {}", "antes del {}", "mi cumpleaños es el {}"),
    ),
    "amount": ("{}", "cuesta {}", "son {}", "pagué {}", "me debe {}", "por {}"),
    "place": (
        *("¿Dónde está {}?", "voy a {}", "nos vemos en {}", "vengo de {}", "estoy en {}"),
        *("hay mucha gente en {}", "quiero ir a {}", "¿cómo llego a {}?", "trabajo cerca de {}"),
    ),
    "thing": (
        *("enciende {}", "apaga {}", "abre {}", "cierra {}", "por favor, apague {}"),
        *("{} no funciona", "¿quién rompió {}?", "sube {}", "baja {}", "he perdido {}"),
    ),
    "food": (
        *("quiero comprar {}", "no queda {}", "añade {} a la lista", "me gusta mucho el {}"),
        *("¿tiene usted {}?", "un kilo de {}", "desayuno {} todos los días", "{}, por favor"),
    ),
    "person": (
        *("llama a {}", "{} no está en casa", "{} llegó ayer", "he hablado con {}"),
        *("{} tiene razón", "dile a {} que venga", "¿conoces a {}?", "{} vive lejos de aquí"),
    ),
    "animal": (
        *("{}", "{} en el campo", "he visto {}", "{} bebe agua", "{} muy joven", "es {}"),
        *("{} y sus crías", "{} duerme a la sombra", "el niño dibuja {}"),
    ),
    "adjective": ("un coche {}", "un árbol {}", "un barco {}", "un sombrero {}", "es muy {}"),
}


def spoken_spanish(seed: int = 0) -> Iterator[str]:
    """Sentences, the same for the same seed."""
    random = Random(seed)
    makers: dict[str, Callable[[Random], str]] = {
        "count": _count,
        "digits": _digits,
        "time": _time,
        "date": _date,
        "amount": _amount,
        **{kind: _one_of(words) for kind, words in WORDS.items()},
    }
    for _ in range(SENTENCES):
        kind = random.choice(list(FRAMES))
        yield _agreed(random.choice(FRAMES[kind]).format(makers[kind](random)))


WORDS = {
    "place": PLACES,
    "thing": THINGS,
    "food": FOODS,
    "person": PEOPLE,
    "animal": ANIMALS,
    "adjective": ADJECTIVES,
}


def _agreed(sentence: str) -> str:
    """With the forms that `uno` takes before a noun."""
    return ONE.sub(lambda one: _one(bool(one["twenty"]), bool(one["feminine"])), sentence)


def _one(has_twenty: bool, is_feminine: bool) -> str:
    if has_twenty:
        return "veintiuna" if is_feminine else "veintiún"
    return "una" if is_feminine else "un"


def _one_of(words: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda random: random.choice(words)


def _words(number: int) -> str:
    words: str = num2words(number, lang="es")
    return words


def _count(random: Random) -> str:
    return _words(int(10 ** random.uniform(0.31, random.choice((1, 2, 3, 5)))))


def _digits(random: Random) -> str:
    return " ".join(_words(random.randint(0, 9)) for _ in range(random.choice((1, 2, 3, 4, 7, 9))))


def _time(random: Random) -> str:
    hour = random.randint(1, 12)
    begin = "la una" if hour == 1 else f"las {_words(hour)}"
    minutes = ("", " en punto", " y cuarto", " y media", " menos cuarto", " y diez", " y veinte")
    return f"{begin}{random.choice(minutes)}{random.choice(HALVES)}"


def _date(random: Random) -> str:
    day = random.randint(1, 31)
    year = random.choice(("", f" de {_words(random.randint(1950, 2030))}"))
    weekday = random.choice(("", f"{random.choice(WEEKDAYS)} "))
    number = "primero" if day == 1 else _words(day)
    return f"{weekday}{number} de {random.choice(MONTHS)}{year}"


def _amount(random: Random) -> str:
    unit, part = random.choice((("euros", "céntimos"), ("pesos", "centavos")))
    end = random.choice(("", f" con {_words(random.randint(2, 99))} {part}"))
    return f"{_count(random)} {unit}{end}"
