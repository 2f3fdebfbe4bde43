"""What a UCUM code measures, in base units, so that ``0.058 kg`` and ``58 g`` are the same.

Read is the case-sensitive form with prefixes, ``.``, ``/``, exponents, parentheses and {annotations}; a code
that is not understood is compared as it is written.
The mole is a base unit here (UCUM says 6.02e23), so that mmol/L is no count; so are arbitrary units ([iU]).
https://ucum.org/ucum
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

from fhirserver.model.ucum_units import ARBITRARY, METRIC, METRIC_SPECIAL, OTHERS, PREFIXES, SPECIAL

SYSTEM = "http://unitsofmeasure.org"

Dimension = tuple[tuple[str, int], ...]
"""Base units and their exponents, sorted: ``(("g", 1), ("m", -3))``."""

_exact = Context(prec=60, Emin=MIN_EMIN, Emax=MAX_EMAX)
_MAX = 100
"""Longer codes, and exponents beyond, are not understood."""


@dataclass(frozen=True, slots=True)
class Unit:
    """``value * factor + offset`` is the value in base units; only temperatures have an offset."""

    factor: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)

    @property
    def base(self) -> str:
        """The base unit as a UCUM code: ``g.m-3``; "1" for a pure number."""
        return (
            ".".join(f"{unit}{exponent if exponent != 1 else ''}" for unit, exponent in self.dimension) or "1"
        )

    def to_base(self, value: Decimal | int) -> Decimal:
        """The value in base units, to 60 digits."""
        factor, offset = self.factor, self.offset
        found = _exact.multiply(Decimal(value), Decimal(factor.numerator))
        found = _exact.divide(found, Decimal(factor.denominator))
        return _exact.add(found, _exact.divide(Decimal(offset.numerator), Decimal(offset.denominator)))


_ALONE = frozenset((*ARBITRARY, *SPECIAL, *METRIC_SPECIAL))
_TEMPERATURES = {
    "Cel": Unit(Fraction(1), (("K", 1),), Fraction("273.15")),
    "[degF]": Unit(Fraction(5, 9), (("K", 1),), Fraction("459.67") * Fraction(5, 9)),
}

_token = re.compile(r"([./()])|([+-]?\d+(?![\d*^]))|((?:\[[^\]\s]*\]|10[*^]|[^\s./()\[\]{}+\-\d])+(?:_\d+)?)")
_annotation = re.compile(r"\{[^{}]*\}")
_misplaced = re.compile(r"\}[^./)]|\s")
_degrees = re.compile(r"Cel|\[degF\]")


Simple = Callable[[str], Unit]


class _NotUnderstood(Exception):
    pass


@lru_cache(maxsize=4096)
def parse(code: str) -> Unit | None:
    """The unit of a code; None when it is no UCUM, or has degrees among other units."""
    if code in _TEMPERATURES:
        return _TEMPERATURES[code]
    return _read(code, _simple)


def is_valid(code: str) -> bool:
    """Whether a code is UCUM, also where it has no conversion: ``Cel/min``, ``mCel``.

    An annotation ends its unit: ``m{x}2`` is none.
    """
    return parse(code) is not None if not _degrees.search(code) else _read(code, _degree) is not None


def _read(code: str, simple: Simple) -> Unit | None:
    if not code or len(code) > _MAX or not code.isascii() or _misplaced.search(code):
        return None
    text = _annotation.sub("{}", code)
    # An annotation alone, and after an operator, stands for 1.
    text = re.sub(r"(^|[./(])\{\}", r"\g<1>1", text).replace("{}", "")
    try:
        tokens = _tokens(text)
        unit = _term(tokens, simple)
        if tokens:
            raise _NotUnderstood
    except (_NotUnderstood, RecursionError):
        return None
    return unit


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        found = _token.match(text, position)
        if found is None:
            raise _NotUnderstood
        tokens.append(found[0])
        position = found.end()
    return tokens


def _term(tokens: list[str], simple: Simple) -> Unit:
    """Components between ``.`` and ``/``, from left to right; the first may follow a ``/``."""
    unit = Unit(Fraction(1), ())
    operator = tokens.pop(0) if tokens and tokens[0] == "/" else "."
    while True:
        unit = _product(unit, _component(tokens, simple), 1 if operator == "." else -1)
        if not tokens or tokens[0] not in "./":
            return unit
        operator = tokens.pop(0)


def _component(tokens: list[str], simple: Simple) -> Unit:
    if not tokens:
        raise _NotUnderstood
    first = tokens.pop(0)
    if first == "(":
        unit = _term(tokens, simple)
        if not tokens or tokens.pop(0) != ")":
            raise _NotUnderstood
        return unit
    if first.isdecimal():
        return Unit(Fraction(int(first)), ())
    unit = simple(first)
    if tokens and tokens[0].lstrip("+-").isdecimal():
        exponent = int(tokens.pop(0))
        if not 0 < abs(exponent) <= _MAX:
            raise _NotUnderstood
        return _product(Unit(Fraction(1), ()), unit, exponent)
    return unit


@lru_cache(maxsize=512)
def _simple(name: str) -> Unit:
    """A unit by its code, with or without a prefix."""
    if name in _ALONE or METRIC.get(name) == "":
        return Unit(Fraction(1), ((name, 1),))
    made_of = METRIC.get(name) or OTHERS.get(name)
    if made_of is not None:
        number, code = made_of.split(" ")
        inner = parse(code)
        assert inner is not None, code
        return Unit(Fraction(number) * inner.factor, inner.dimension)
    for length in (1, 2):
        prefix, rest = name[:length], name[length:]
        if prefix in PREFIXES and (rest in METRIC or rest in METRIC_SPECIAL):
            inner = _simple(rest)
            return Unit(PREFIXES[prefix] * inner.factor, inner.dimension)
    raise _NotUnderstood


def _degree(name: str) -> Unit:
    """Also degrees, each a unit of its own: a difference of temperatures is not a temperature."""
    for prefix in ("", *PREFIXES):
        if name == f"{prefix}Cel" or (name == "[degF]" and not prefix):
            return Unit(Fraction(1), ((name, 1),))
    return _simple(name)


def _product(left: Unit, right: Unit, exponent: int) -> Unit:
    exponents = dict(left.dimension)
    for unit, e in right.dimension:
        exponents[unit] = exponents.get(unit, 0) + e * exponent
    if not right.factor:
        raise _NotUnderstood
    dimension = tuple(sorted((unit, e) for unit, e in exponents.items() if e))
    return Unit(left.factor * right.factor**exponent, dimension)
