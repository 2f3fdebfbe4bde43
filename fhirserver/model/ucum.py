"""What a UCUM code measures, in base units, so that ``0.058 kg`` and ``58 g`` are the same.

Read is the case-sensitive form with prefixes, ``.``, ``/``, exponents, parentheses and {annotations}. The
table has the units of medicine, not all of UCUM; a code that is not understood is compared as it is written.
The mole is a base unit here (UCUM says 6.02e23), so that mmol/L is no count; so are arbitrary units ([iU]).
https://ucum.org/ucum
"""

import re
from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from fractions import Fraction
from functools import lru_cache

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


_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

# Code -> value and code of what it is made of; those of the first table take prefixes.
_METRIC = {
    "m": "", "s": "", "g": "", "rad": "", "K": "", "C": "", "cd": "", "mol": "",
    "[iU]": "", "[IU]": "1 [iU]",
    "sr": "1 rad2", "Hz": "1 s-1", "N": "1 kg.m/s2", "Pa": "1 N/m2", "J": "1 N.m", "W": "1 J/s", "A": "1 C/s",
    "V": "1 J/C", "F": "1 C/V", "Ohm": "1 V/A", "S": "1 Ohm-1", "Wb": "1 V.s", "T": "1 Wb/m2", "H": "1 Wb/A",
    "lm": "1 cd.sr", "lx": "1 lm/m2", "Bq": "1 s-1", "Gy": "1 J/kg", "Sv": "1 J/kg",
    "l": "1 dm3", "L": "1 dm3", "t": "1000 kg", "bar": "100000 Pa", "u": "1.6605402e-24 g",
    "eV": "1.60217733e-19 J", "kat": "1 mol/s", "U": "1 umol/min", "eq": "1 mol", "osm": "1 mol",
    "cal": "4.184 J", "m[Hg]": "133.322 kPa", "m[H2O]": "9.80665 kPa", "dyn": "1 g.cm/s2", "erg": "1 dyn.cm",
    "P": "1 dyn.s/cm2", "St": "1 cm2/s", "Ci": "37000000000 Bq", "R": "0.000258 C/kg", "RAD": "0.01 Gy",
    "REM": "0.01 Sv", "g%": "1 g/dl", "ar": "100 m2",
}  # fmt: skip
_OTHERS = {
    "10*": "10 1", "10^": "10 1", "%": "0.01 1", "[ppth]": "0.001 1", "[ppm]": "0.000001 1",
    "[ppb]": "0.000000001 1", "[pi]": "3.1415926535897932384626433832795028841971693993751 1",
    "deg": "1 [pi].rad/180", "'": "1 deg/60", "''": "1 '/60",
    "min": "60 s", "h": "60 min", "d": "24 h", "wk": "7 d", "a_j": "365.25 d", "a": "1 a_j",
    "a_g": "365.2425 d", "mo_j": "30.4375 d", "mo": "1 mo_j", "mo_g": "30.436875 d",
    "[in_i]": "2.54 cm", "[ft_i]": "12 [in_i]", "[yd_i]": "3 [ft_i]", "[mi_i]": "5280 [ft_i]",
    "[gr]": "64.79891 mg", "[lb_av]": "7000 [gr]", "[oz_av]": "437.5 [gr]", "[stone_av]": "14 [lb_av]",
    "[gal_us]": "231 [in_i]3", "[qt_us]": "0.25 [gal_us]", "[pt_us]": "0.5 [qt_us]",
    "[foz_us]": "0.0625 [pt_us]", "[cup_us]": "8 [foz_us]", "[tbs_us]": "0.5 [foz_us]",
    "[tsp_us]": "1 [tbs_us]/3", "[drp]": "0.05 ml",
    "[Cal]": "1 kcal", "[diop]": "1 m-1", "[lbf_av]": "4.4482216152605 N", "[psi]": "1 [lbf_av]/[in_i]2",
}  # fmt: skip
_ARBITRARY = (
    "[arb'U]", "[USP'U]", "[GPL'U]", "[MPL'U]", "[APL'U]", "[beth'U]", "[anti'Xa'U]", "[todd'U]", "[dye'U]",
    "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]", "[mclg'U]", "[tb'U]", "[CCID_50]", "[TCID_50]", "[EID_50]",
    "[PFU]", "[FFU]", "[CFU]", "[BAU]", "[AU]", "[Amb'a'1'U]", "[PNU]", "[Lf]", "[D'ag'U]", "[FEU]", "[ELU]",
    "[EU]", "[GFR]", "[RFU]", "[hnsf'U]", "[HPF]", "[LPF]", "[pH]",
)  # fmt: skip
_TEMPERATURES = {
    "Cel": Unit(Fraction(1), (("K", 1),), Fraction("273.15")),
    "[degF]": Unit(Fraction(5, 9), (("K", 1),), Fraction("459.67") * Fraction(5, 9)),
}

_token = re.compile(r"([./()])|([+-]?\d+(?![\d*^]))|((?:\[[^\]\s]*\]|10[*^]|[^\s./()\[\]{}+\-\d])+(?:_\d+)?)")
_annotation = re.compile(r"\{[^{}]*\}")


class _NotUnderstood(Exception):
    pass


@lru_cache(maxsize=4096)
def parse(code: str) -> Unit | None:
    """The unit of a code; None when it is not in the table or no UCUM."""
    if not code or len(code) > _MAX or not code.isascii():
        return None
    if code in _TEMPERATURES:
        return _TEMPERATURES[code]
    text = _annotation.sub("{}", code)
    # An annotation alone, and after an operator, stands for 1.
    text = re.sub(r"(^|[./(])\{\}", r"\g<1>1", text).replace("{}", "")
    try:
        tokens = _tokens(text)
        unit = _term(tokens)
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


def _term(tokens: list[str]) -> Unit:
    """Components between ``.`` and ``/``, from left to right; the first may follow a ``/``."""
    unit = Unit(Fraction(1), ())
    operator = tokens.pop(0) if tokens and tokens[0] == "/" else "."
    while True:
        unit = _product(unit, _component(tokens), 1 if operator == "." else -1)
        if not tokens or tokens[0] not in "./":
            return unit
        operator = tokens.pop(0)


def _component(tokens: list[str]) -> Unit:
    if not tokens:
        raise _NotUnderstood
    first = tokens.pop(0)
    if first == "(":
        unit = _term(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise _NotUnderstood
        return unit
    if first.isdecimal():
        return Unit(Fraction(int(first)), ())
    unit = _simple(first)
    if tokens and tokens[0].lstrip("+-").isdecimal():
        exponent = int(tokens.pop(0))
        if not 0 < abs(exponent) <= _MAX:
            raise _NotUnderstood
        return _product(Unit(Fraction(1), ()), unit, exponent)
    return unit


@lru_cache(maxsize=512)
def _simple(name: str) -> Unit:
    """A unit by its code, with or without a prefix."""
    if name in _ARBITRARY or _METRIC.get(name) == "":
        return Unit(Fraction(1), ((name, 1),))
    made_of = _METRIC.get(name) or _OTHERS.get(name)
    if made_of is not None:
        number, code = made_of.split(" ")
        inner = parse(code)
        assert inner is not None, code
        return Unit(Fraction(number) * inner.factor, inner.dimension)
    for length in (1, 2):
        prefix, rest = name[:length], name[length:]
        if prefix in _PREFIXES and rest in _METRIC:
            inner = _simple(rest)
            return Unit(Fraction(10) ** _PREFIXES[prefix] * inner.factor, inner.dimension)
    raise _NotUnderstood


def _product(left: Unit, right: Unit, exponent: int) -> Unit:
    exponents = dict(left.dimension)
    for unit, e in right.dimension:
        exponents[unit] = exponents.get(unit, 0) + e * exponent
    if not right.factor:
        raise _NotUnderstood
    dimension = tuple(sorted((unit, e) for unit, e in exponents.items() if e))
    return Unit(left.factor * right.factor**exponent, dimension)
