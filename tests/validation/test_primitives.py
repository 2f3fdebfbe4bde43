from decimal import Decimal
from typing import Any

import pytest

from fhirserver.validation.primitives import TESTS

STRING = ["a", " a ", "é\n\r\t", "日本", "x" * 1048576]
NOT_STRING = ["", "a\x00", "\x1b", "x" * 1048577, 1, True, None, ["a"], {"a": 1}]

ACCEPTED: dict[str, list[Any]] = {
    "base64Binary": ["QQ==", "QUI=", "QUJD", "QUJD\r\nQUJD\n", " QUJD", "+/+/", "QUJD" * 100_000],
    "boolean": [True, False],
    "canonical": ["http://hl7.org/fhir/ValueSet/x|4.0.1", "#vs"],
    "code": ["a", "a b", "é", "<=", "a\u00a0"],
    "date": ["2024", "2024-02", "2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", "2023-04-30"],
    "dateTime": [
        "2024",
        "2024-02",
        "2024-02-29",
        "2024-02-29T23:59:60Z",
        "2024-02-29T00:00:00+14:00",
        "2024-02-29T00:00:00.1234567890-13:59",
    ],
    "decimal": [Decimal("1.10"), Decimal("-0.00"), Decimal("1E+3"), 0, -5, 2**70],
    "id": ["a", "A-1.b", "x" * 64],
    "instant": ["2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123+01:00", "2016-12-31T23:59:60Z"],
    "integer": [0, -2147483648, 2147483647],
    "markdown": STRING,
    "oid": ["urn:oid:1.2.250.1.213", "urn:oid:2.999.0"],
    "positiveInt": [1, 2147483647],
    "string": STRING,
    "time": ["00:00:00", "23:59:60", "12:30:00.5"],
    "unsignedInt": [0, 2147483647],
    "uri": [
        "http://loinc.org",
        "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
        "é",
        "a\u200bb",
        "a\u00a0b",
        "#x",
    ],
    "url": ["https://example.org/a?b=c#d", "mailto:a@example.org"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "xhtml": ['<div xmlns="http://www.w3.org/1999/xhtml">x</div>'],
}

REFUSED: dict[str, list[Any]] = {
    "base64Binary": [
        "",
        " ",
        "Q",
        "QQ=",
        "QUJ",
        "QUJD=",
        "QUJD====",
        "QUJDQQ==QUJD",
        "QU-_",
        "é",
        "====",
        "QUJDé",
        b"QUJD",
        1,
        None,
    ],
    "boolean": ["true", "", 0, 1, None, []],
    "canonical": ["", "a b", 1],
    "code": ["", " a", "a ", "a  b", "a\tb", "a\n", 1, None, []],
    "date": [
        "",
        "24",
        "2024-2",
        "2024-13",
        "2024-00",
        "2023-02-29",
        "1900-02-29",
        "2024-04-31",
        "2024-02-30",
        "0000",
        "2024-01-01T10:00:00Z",
        "２０２４",
        "2024\n",
        2024,
    ],
    "dateTime": [
        "2024-02-29T10:00:00",
        "2024-02-29T10:00Z",
        "2024-02-29T24:00:00Z",
        "2024-02-29T10:00:61Z",
        "2024-02-29T10:00:00+14:01",
        "2024-02-29T10:00:00 Z",
        "2023-02-29T10:00:00Z",
        "2024-02-29T10:00:00.Z",
        "2024-02T10:00:00Z",
    ],
    "decimal": ["1.0", 1.5, True, None, Decimal("NaN"), Decimal("Infinity")],
    "id": ["", "x" * 65, "a_b", "a b", "é", 1],
    "instant": ["2024", "2024-02-29", "2024-02-29T10:00:00", "2024-02-30T10:00:00Z", 1],
    "integer": [2147483648, -2147483649, "1", True, Decimal("1.0"), Decimal("1E+2")],
    "markdown": NOT_STRING,
    "oid": ["1.2.3", "urn:oid:3.1", "urn:oid:1", "urn:oid:1.02", "urn:oid:1."],
    "positiveInt": [0, -1, 2147483648, "1", True],
    "string": NOT_STRING,
    "time": ["24:00:00", "10:00", "10:00:61", "10:00:00Z", 10],
    "unsignedInt": [-1, 2147483648, "0", False],
    "uri": ["", "a b", " ", "a\n", 1, None],
    "url": ["", "a b"],
    "uuid": [
        "c757873d-ec9a-4326-a141-556f43239520",
        "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
        "urn:uuid:1",
    ],
    "xhtml": ["x", "<div>x</div>", 1, None],
}


def cases(table: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(type, value) for type, values in table.items() for value in values]


def named(value: Any) -> str:
    return repr(value)[:40]


def test_every_primitive_type_has_cases() -> None:
    assert ACCEPTED.keys() == REFUSED.keys() == TESTS.keys()


@pytest.mark.parametrize(("type", "value"), cases(ACCEPTED), ids=named)
def test_accepted(type: str, value: Any) -> None:
    assert TESTS[type][0](value)


@pytest.mark.parametrize(("type", "value"), cases(REFUSED), ids=named)
def test_refused(type: str, value: Any) -> None:
    assert not TESTS[type][0](value)
