"""Who the synthetic people are: identities as the French INS rules ask for them, none of them real.

Every person is a pure function of the seed and a number, so a population of any size needs no memory and any
part of it can be made again.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from benchmarks.names import ABROAD, COMMUNES, FAMILY_NAMES, GIVEN_NAMES, STREETS, Place

INS_OID = "1.2.250.1.213.1.4.10"
"""The INS numbers of tests. Those of people live under .8 and are never made here."""
HOSPITAL_OID = "1.2.250.1.999.1.1.7532"
"""The fictional hospital that gives the IPP (its own patient number)."""

Sex = Literal["male", "female"]

TODAY = date(2025, 12, 31)
"""The day on which the population lives: fixed, so that a seed gives the same people every year."""

_BIRTHPLACES = COMMUNES + ABROAD
_ORDERS = 999
_SLOTS = _ORDERS * len(_BIRTHPLACES) * 12 * 2
_STRIDE = 1_000_003  # a prime that does not divide _SLOTS: index -> slot is a permutation
_AGE_BANDS = (34, 39, 42, 42, 39, 38, 40, 42, 43, 41, 45, 44, 42, 39, 37, 29, 18, 13, 7, 2)
"""People per band of five years of age, in 100,000: the shape of the French age pyramid."""


@dataclass(frozen=True, slots=True)
class Doctor:
    """A professional; ``rpps`` has 11 digits with its key, ``id_nat`` is the national id of XDS and CDA."""

    rpps: str
    family: str
    given: str
    mailbox: str

    @property
    def id_nat(self) -> str:
        return f"8{self.rpps}"


@dataclass(frozen=True, slots=True)
class Person:
    """A synthetic person. ``given`` are the given names of birth; ``used_name`` is empty without one."""

    seed: int
    index: int
    ins: str
    ipp: str
    sex: Sex
    birth_date: date
    birth_place: Place
    birth_name: str
    used_name: str
    given: tuple[str, ...]
    street: str
    home: Place
    phone: str
    email: str
    doctor: Doctor

    @property
    def id(self) -> str:
        """The logical id of the Patient; those of the rest of the record start with it."""
        return f"p{self.seed}-{self.index:07d}"

    @property
    def mailbox(self) -> str:
        """The MSSanté address of the person's Mon espace santé."""
        return f"{self.ins}@patient.mssante.fr"

    @property
    def age(self) -> int:
        return age_on(self.birth_date, TODAY)

    def random(self, purpose: str) -> random.Random:
        """Chance that depends on nothing but the person and the purpose."""
        return random.Random(f"{self.seed}/{self.index}/{purpose}")


def ins_key(number: str) -> str:
    """The two digits that complete the first 13 characters; Corsica's 2A and 2B count as 19 and 18."""
    return f"{97 - int(number.replace('2A', '19').replace('2B', '18')) % 97:02d}"


def rpps_key(number: str) -> str:
    """The Luhn digit that completes the first 10 digits of an RPPS number."""
    doubled = (sum(divmod(int(digit) * 2, 10)) for digit in number[::-2])
    return str(-(sum(doubled) + sum(int(digit) for digit in number[-2::-2])) % 10)


def age_on(born: date, day: date) -> int:
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def patients(seed: int, start: int = 0) -> Iterator[Person]:
    """The people number ``start``, ``start + 1``, ... without end: the caller stops."""
    index = start
    while True:
        yield person(seed, index)
        index += 1


def person(seed: int, index: int) -> Person:
    """One of the people; no two of the same seed share an INS number."""
    chance = random.Random(f"{seed}/{index}")
    epoch, slot = divmod(index, _SLOTS)
    slot = (slot * _STRIDE + seed * 7919) % _SLOTS
    rest, order = divmod(slot, _ORDERS)
    rest, place = divmod(rest, len(_BIRTHPLACES))
    sex: Sex = "male" if rest % 2 else "female"
    birth_place = _BIRTHPLACES[place]
    born = _birth_date(chance, month=rest // 2 + 1, year=_birth_year(f"{seed}/{slot}", epoch))
    number = f"{1 if sex == 'male' else 2}{born:%y%m}{birth_place.insee}{order + 1:03d}"
    names = _given_names(sex, born.year)
    given = tuple(chance.sample(names, k=chance.choices((1, 2, 3), (2, 3, 5))[0]))
    birth_name = family_name(chance)
    home = birth_place if birth_place.postal_code and chance.random() < 0.5 else chance.choice(COMMUNES)
    local = f"{given[0]}.{birth_name}".lower().replace(" ", "")
    return Person(
        seed=seed,
        index=index,
        ins=number + ins_key(number),
        ipp=f"{seed:02d}{index:08d}",
        sex=sex,
        birth_date=born,
        birth_place=birth_place,
        birth_name=birth_name,
        used_name=_used_name(chance, sex, age_on(born, TODAY), birth_name),
        given=given,
        street=f"{chance.randint(1, 180)} {chance.choice(STREETS)}",
        home=home,
        phone=f"+336{chance.randint(39_980_000, 39_989_999)}",  # ARCEP keeps 06 39 98 for fiction
        email=f"{_ascii(local)}{index}@example.fr",
        doctor=doctor(seed, index // 900),
    )


def doctor(seed: int, index: int) -> Doctor:
    """A general practitioner, who has about 900 patients."""
    chance = random.Random(f"{seed}/doctor/{index}")
    family, given = (
        family_name(chance),
        chance.choice(GIVEN_NAMES[chance.choice(("male", "female")), 1976].split()),
    )
    number = f"997{seed % 100:02d}{index % 100_000:05d}"  # the range that the test directory uses
    mailbox = _ascii(f"{given}.{family}".lower().replace(" ", "-"))
    return Doctor(number + rpps_key(number), family, given, f"{mailbox}{index}@medecin.mssante.fr")


def family_name(chance: random.Random) -> str:
    """Frequent names are frequent; one in twenty is a double name."""
    single = FAMILY_NAMES[math.floor(len(FAMILY_NAMES) * chance.random() ** 1.6)]
    double = f"{single}-{chance.choice(FAMILY_NAMES)}"
    return (double if chance.random() < 0.05 else single).replace("_", " ").upper()


def _given_names(sex: Sex, year: int) -> list[str]:
    since = max(since for kind, since in GIVEN_NAMES if kind == sex and since <= max(year, 1926))
    return GIVEN_NAMES[sex, since].split()


def _used_name(chance: random.Random, sex: Sex, age: int, birth_name: str) -> str:
    used, married = family_name(chance), chance.random() < (0.55 if sex == "female" else 0.03)
    if age < 22 or not married:
        return ""
    return f"{birth_name}-{used}" if "-" not in birth_name + used and chance.random() < 0.1 else used


def _birth_year(slot: str, epoch: int) -> int:
    """Draw from the age pyramid, not returning to the years of earlier epochs of the same slot."""
    chance, taken = random.Random(f"{slot}/year"), set[int]()
    while True:
        band = chance.choices(range(len(_AGE_BANDS)), _AGE_BANDS)[0]
        year = TODAY.year - 5 * band - chance.randrange(5)
        if year not in taken and len(taken) == epoch:
            return year
        taken.add(year)


def _birth_date(chance: random.Random, month: int, year: int) -> date:
    days = (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days
    return date(year, month, 1) + timedelta(days=chance.randrange(days))


def _ascii(text: str) -> str:
    return text.translate(str.maketrans("àâäáçéèêëíîïñôöóùûüú'", "aaaaceeeeiiinooouuuu-"))
