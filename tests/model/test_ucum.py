"""UCUM codes in base units."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.model import ucum
from fhirserver.model import ucum_units as units


@pytest.mark.parametrize(
    ("code", "factor", "base"),
    [
        ("g", "1", "g"),
        ("kg", "1000", "g"),
        ("ug", "0.000001", "g"),
        ("dam", "10", "m"),
        ("mm[Hg]", "133322", "g.m-1.s-2"),
        ("kPa", "1000000", "g.m-1.s-2"),
        ("mg/dL", "10", "g.m-3"),
        ("mmol/L", "1", "m-3.mol"),
        ("10*3/uL", "1000000000000", "m-3"),
        ("10^3/uL", "1000000000000", "m-3"),
        ("10*-3", "0.001", "1"),
        ("10*", "10", "1"),
        ("/min", "1/60", "s-1"),
        ("{beats}/min", "1/60", "s-1"),
        ("g{creat}", "1", "g"),
        ("{score}", "1", "1"),
        ("%", "0.01", "1"),
        ("g/(24.h)", "1/86400", "g.s-1"),
        ("kg.m2.s-2", "1000", "g.m2.s-2"),
        ("J", "1000", "g.m2.s-2"),
        ("N.m", "1000", "g.m2.s-2"),
        ("ug/kg/h", "1/3600000000000", "s-1"),
        ("[IU]/mL", "1000000", "[iU].m-3"),
        ("k[iU]/mL", "1000000000", "[iU].m-3"),
        ("U/L", "1/60000", "m-3.mol.s-1"),
        ("[in_i]", "0.0254", "m"),
        ("[lb_av]", "453.59237", "g"),
        ("a", "31557600", "s"),
        ("1", "1", "1"),
        ("m/m", "1", "1"),
    ],
)
def test_units(code: str, factor: str, base: str) -> None:
    unit = ucum.parse(code)
    assert unit is not None
    assert (unit.factor, unit.base) == (Fraction(factor), base)


@pytest.mark.parametrize(
    "code",
    [
        *("", " ", "foo", "KG", "mgg", "kmin", "kkg", "g/", "(g", "g)", "g..m", "g m", "{", "g{", "é", "m0"),
        *("m999", "/0", "g.0", "g" * 101, "(" * 90),
    ],
)
def test_what_is_not_understood(code: str) -> None:
    assert ucum.parse(code) is None


@pytest.mark.parametrize(
    ("value", "code", "base"),
    [
        ("37", "Cel", "310.15"),
        ("98.6", "[degF]", "310.15"),
        ("0.058", "kg", "58"),
        ("-40", "[degF]", "233.15"),
    ],
)
def test_values(value: str, code: str, base: str) -> None:
    unit = ucum.parse(code)
    assert unit is not None
    assert unit.to_base(Decimal(value)) == Decimal(base)


atoms = st.sampled_from([("kg", 1000, "g"), ("g", 1, "g"), ("cm", Fraction(1, 100), "m"), ("min", 60, "s")])


@given(st.lists(st.tuples(atoms, st.integers(-3, 3).filter(bool)), min_size=1, max_size=5))
def test_products_follow_the_arithmetic_of_their_parts(
    parts: list[tuple[tuple[str, Fraction, str], int]],
) -> None:
    """A product is written as it is read: ``kg2.min-1``; what it means is counted here the slow way."""
    code = ".".join(f"{name}{exponent}" for (name, _, _), exponent in parts)
    factor, exponents = Fraction(1), dict.fromkeys("gms", 0)
    for (_, value, base), exponent in parts:
        factor *= Fraction(value) ** exponent
        exponents[base] += exponent
    unit = ucum.parse(code)
    assert unit is not None
    assert unit.factor == factor
    assert dict(unit.dimension) == {base: e for base, e in exponents.items() if e}


@given(st.text(alphabet="mgkl1./(){}[]*-+^", max_size=12))
def test_any_text_is_understood_or_not(code: str) -> None:
    unit = ucum.parse(code)
    assert unit is None or unit.factor != 0


@pytest.mark.parametrize(
    ("code", "factor", "base"),
    [
        ("atm", "101325000", "g.m-1.s-2"),
        ("[in_i'Hg]", "3386378.8", "g.m-1.s-2"),
        ("[Ch]", "1/3000", "m"),
        ("[nmi_i]/h", "463/900", "m.s-1"),
        ("[kn_i]", "463/900", "m.s-1"),
        ("[oz_tr]", "31.1034768", "g"),
        ("[ft_us]", "1200/3937", "m"),
        ("[car_Au]", "1/24", "1"),
        ("Kibit", "1024", "bit"),
        ("kBy", "8000", "bit"),
        ("dB", "0.1", "B"),
        ("dB[SPL]", "0.1", "B[SPL]"),
        ("B[10.nV]", "1", "B[10.nV]"),
        ("[m/s2/Hz^(1/2)]", "1", "[m/s2/Hz^(1/2)]"),
        ("[hp_C]", "1", "[hp_C]"),
        ("kgf/cm2", "98066500", "g.m-1.s-2"),
    ],
)
def test_rarer_units(code: str, factor: str, base: str) -> None:
    unit = ucum.parse(code)
    assert unit is not None
    assert (unit.factor, unit.base) == (Fraction(factor), base)


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        *(
            (code, True)
            for code in ("Cel", "mCel", "[degF]", "J/Cel", "W/(m2.Cel)", "mg/dL", "{score}", "10*3")
        ),
        *(
            (code, True)
            for code in ("m{abc}/s", "/{HPF}", "%{Hb}", "(m.s)/kg", "[p'diop]", "%[slope]", "bit_s")
        ),
        *(
            (code, False)
            for code in ("cel", "Celsius", "xCel", "[degf]", "m{x}2", "{x}m", "mg / dL", "(m){x}2")
        ),
        *((code, False) for code in ("", "/", "mg//dL", "m[H2]", "mm Hg", "µg", "k[in_i]", "((m)", "m{é}")),
    ],
)
def test_what_is_ucum(code: str, valid: bool) -> None:
    assert ucum.is_valid(code) is valid


def test_every_unit_of_the_table_is_made_of_known_units() -> None:
    for code in (*units.METRIC, *units.OTHERS, *units.ARBITRARY, *units.SPECIAL, *units.METRIC_SPECIAL):
        assert ucum.parse(code), code
