"""The codes of HL7 tables: those of the official CodeSystems, however they are written."""

import json
import tarfile

import pytest

from fhirserver import settings
from mappings.hl7v2 import table_codes


@pytest.mark.parametrize(
    ("number", "code", "expected"),
    [
        ("0203", "PI", "PI"),
        ("0203", "pi", "PI"),
        ("0203", "UF", None),
        ("0277", "NORMAL", "Normal"),
        ("0001", "F", "F"),
        # HL7 does not tell all codes of the one; the others have none: they are any site's
        ("0141", "E9", "E9"),
        ("0112", "01", None),
        ("9999", "X", None),
    ],
)
def test_find(number: str, code: str, expected: str | None) -> None:
    assert table_codes.find(number, code) == expected


def test_the_tables_are_the_official_ones() -> None:
    packages = settings.load({}).packages_dir
    official = {}
    with tarfile.open(packages / "hl7.fhir.r4.core-4.0.1.tgz") as package:
        for number in ("0001", "0085", "0203"):
            found = package.extractfile(f"package/CodeSystem-v2-{number}.json")
            assert found is not None
            official[number] = [concept["code"] for concept in json.load(found)["concept"]]
    assert {
        number: [code for code in codes if table_codes.find(number, code) != code]
        for number, codes in official.items()
    } == {"0001": [], "0085": [], "0203": []}
