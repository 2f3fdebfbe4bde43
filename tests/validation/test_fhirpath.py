"""FHIRPath on a resource: what an expression finds, as values."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation.fhirpath import Env, FHIRPathError, Model, compile_expression, holds

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "CH"}],
    "extension": [{"url": "urn:x", "valueInteger": 3}],
    "active": True,
    "name": [
        {"family": "A", "given": ["B", "C"], "period": {"start": "2020"}},
        {"use": "usual", "_family": {"extension": [{"url": "urn:y", "valueCode": "z"}]}},
    ],
    "birthDate": "1980-01-02",
    "deceasedDateTime": "2020-05-06T10:00:00+02:00",
    "multipleBirthInteger": 2,
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/1"}],
}


def evaluate(expression: str, definitions: Definitions, resource: dict[str, Any] = PATIENT) -> list[Any]:
    model = Model(definitions)
    node = model.resource(resource)

    def resolve(literal: str) -> Any:
        return resource["contained"][0] if literal == "#o" else None

    env = Env(model, node, node, node, resolve, this=[node])
    return [found.value for found in compile_expression(expression)(env, [node])]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # paths
        ("name.given", ["B", "C"]),
        ("Patient.name[0].given[1]", ["C"]),
        ("Organization.name", []),
        ("`name`.family", ["A", None]),
        ("name.family.extension.value", ["z"]),
        ("extension('urn:x').value", [3]),
        ("contained.name", ["CH"]),
        ("deceased", ["2020-05-06T10:00:00+02:00"]),
        ("nothing", []),
        # types
        ("deceased is dateTime", [True]),
        ("deceased.ofType(boolean)", []),
        ("(multipleBirth as integer) + 1", [3]),
        ("nothing is integer", [False]),
        ("$this is DomainResource", [True]),
        ("name.first() is FHIR.HumanName", [True]),
        ("active.type()", ["boolean"]),
        ("%resource.type().name", ["Patient"]),
        ("active.type().namespace", ["FHIR"]),
        # logic with the unknown
        ("{} and false", [False]), ("{} and true", []), ("true or {}", [True]), ("false or {}", []),
        ("{} implies true", [True]), ("true implies {}", []), ("false implies {}", [True]),
        ("true xor true", [False]), ("{} xor true", []), ("nothing.not()", []),
        # comparison
        ("birthDate = '1980-01-02'", [True]), ("birthDate < @1980-02", [True]), ("birthDate > @1980", []),
        ("birthDate = @1980", []), ("@2020-05-06T08:00:00Z = deceased", [True]), ("'b' > 'a'", [True]),
        ("1 = 1.0", [True]), ("true != false", [True]), ("name.given = name.given", [True]),
        ("nothing = 1", []), ("'A' ~ 'a'", [True]), ("1 !~ 2", [True]),
        ("1 'kg' = 1000 'g'", [True]), ("2 days > 1 'd'", [True]), ("1 'kg' < 1 'm'", []),
        # collections
        ("name.count()", [2]), ("name.exists(use = 'usual')", [True]), ("name.all(family.exists())", [True]),
        ("name.where($index = 1).use", ["usual"]), ("name.given.first()", ["B"]),
        ("name.given.tail()", ["C"]),
        ("name.given.skip(1)", ["C"]), ("name.given.take(1)", ["B"]), ("name.given.last()", ["C"]),
        ("(1 | 2 | 1).count()", [2]), ("name.given.combine('B').isDistinct()", [False]),
        ("'B' in name.given", [True]), ("name.given contains 'Z'", [False]),
        ("name.given.intersect('B' | 'Z')", ["B"]), ("name.given.exclude('B')", ["C"]),
        ("('B').subsetOf(name.given)", [True]), ("name.given.supersetOf('B')", [True]),
        ("(1 | 2 | 3).aggregate($total + $this, 0)", [6]), ("(1 | 2).select($this * 2)", [2, 4]),
        ("repeat(contained).name", ["CH"]), ("iif(active, 'yes', 'no')", ["yes"]),
        ("(true | false).anyTrue()", [True]), ("(true | false).allTrue()", [False]),
        ("descendants().where($this is Period).start", ["2020"]), ("children().count() > 8", [True]),
        # strings and numbers
        ("'a' + 'b'", ["ab"]), ("'a' & nothing & 'b'", ["ab"]), ("'abc'.substring(1, 1)", ["b"]),
        ("'abc'.indexOf('c')", [2]), ("'abc'.matches('^a.c$')", [True]), ("'abc'.replace('b', 'x')", ["axc"]),
        ("'a-b'.replaceMatches('(a)-(b)', '$2$1')", ["ba"]), ("'a,b'.split(',')", ["a", "b"]),
        ("name.given.join('-')", ["B-C"]), ("' a '.trim().length()", [1]), ("'it\\'s'.upper()", ["IT'S"]),
        ("'12'.toInteger() div 5", [2]), ("-5 mod 2", [-1]), ("5 / 2", [Decimal("2.5")]), ("1 / 0", []),
        ("(1.26).round(1)", [Decimal("1.3")]), ("(-2).abs()", [2]), ("2.power(3)", [8]),
        ("'x'.toInteger()", []),
        # dates and durations
        ("birthDate + 30 days", ["1980-02-01"]), ("birthDate - 2 years", ["1978-01-02"]),
        ("@2024-01-31 + 1 month", ["2024-02-29"]), ("@2024-03-31 - 1 month", ["2024-02-29"]),
        ("@2024 + 18 months", ["2025"]), ("@2024-01 - 1 month", ["2023-12"]),
        ("@2024-01 + 45 days", ["2024-02"]), ("birthDate + 36 hours", ["1980-01-03"]),
        ("deceased + 90 minutes", ["2020-05-06T11:30:00+02:00"]), ("birthDate + 9000 years", []),
        ("deceased - 0.5 's'", ["2020-05-06T09:59:59.500+02:00"]), ("birthDate + 2 'kg'", []),
        ("birthDate > today() - 150 years", [True]),
        ("'1.5'.convertsToDecimal()", [True]), ("1.toString()", ["1"]), ("today() > @2000", [True]),
        # FHIR
        ("managingOrganization.resolve().name", ["CH"]), ("active.hasValue()", [True]),
        ("name.family.hasValue()", [False]), ("%resource.birthDate", ["1980-01-02"]),
        ("%ucum", ["http://unitsofmeasure.org"]), ("name.trace('x').count() // a remark", [2]),
    ],
)  # fmt: skip
def test_expression(definitions: Definitions, expression: str, expected: list[Any]) -> None:
    assert evaluate(expression, definitions) == expected


@pytest.mark.parametrize(
    "expression",
    ["", "name.", "name..given", "(1", "name[", "1 +", "unknown()", "%unknown", "'open", "name.where()",
     "a ! b", "'a'.matches()", "(" * 300],
)  # fmt: skip
def test_what_is_not_understood(expression: str) -> None:
    with pytest.raises(FHIRPathError):
        compile_expression(expression)


@pytest.mark.parametrize(
    "expression",
    ["name and true", "name.single()", "name.given < 'a'", "1 < 'a'", "'a'.matches('(')", "name + 1", "-'a'",
     "'a'.startsWith(1)", "'a'.substring('x')", "'a'.startsWith(name.first())", "(1 | 2) in (1 | 2)",
     "code.memberOf('urn:x') or active.memberOf('urn:x')", "conformsTo('urn:x')"],
)  # fmt: skip
def test_what_cannot_be_evaluated(definitions: Definitions, expression: str) -> None:
    with pytest.raises(FHIRPathError):
        evaluate(expression, definitions)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [("active", True), ("active.not()", False), ("nothing", False), ("name", True)],
)
def test_holds(definitions: Definitions, expression: str, expected: bool) -> None:
    model = Model(definitions)
    node = model.resource(PATIENT)
    assert (
        holds(compile_expression(expression)(Env(model, node, node, node, this=[node]), [node])) is expected
    )
