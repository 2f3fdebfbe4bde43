"""HL7 v3 data types to FHIR's, as tables of values."""

from decimal import Decimal
from typing import Any

import pytest
from lxml import etree

from mappings.cda import datatypes
from mappings.cda.context import Context
from mappings.core.result import Element
from mappings.core.source import Source

OFFSET, ZONE = "has not four digits", "has no offset"


def node(xml: str) -> Any:
    return etree.fromstring(xml)


@pytest.mark.parametrize(
    ("value", "expected", "remark"),
    [
        ("2000", "2000", ""),
        ("201806", "2018-06", ""),
        ("20180603", "2018-06-03", ""),
        ("20240106113623+0100", "2024-01-06T11:36:23+01:00", ""),
        ("202401061136+0100", "2024-01-06T11:36:00+01:00", ""),
        ("20240701103000+0500", "2024-07-01T10:30:00+05:00", ""),
        ("20240106113623.25+0100", "2024-01-06T11:36:23.25+01:00", ""),
        ("20240106113623+100", "2024-01-06T11:36:23+01:00", OFFSET),
        ("20050411103328", "2005-04-11T10:33:28+02:00", ZONE),
        ("20050111103328", "2005-01-11T10:33:28+01:00", ZONE),
        ("20240231", None, "No such day"),
        ("20241301", None, "No such month"),
        ("hier", None, "not a time"),
        ("", None, ""),
    ],
)
def test_ts_to_datetime(value: str, expected: str | None, remark: str) -> None:
    context = Context(Source())
    assert datatypes.ts_to_datetime(node(f'<effectiveTime value="{value}"/>'), context) == expected
    assert [remark in issue.text for issue in context.issues] == ([True] if remark else [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("19850714", "1985-07-14"),
        ("1985", "1985"),
        # Born half past midnight: another day in UTC, and no other day.
        ("20240301003000+0100", "2024-03-01"),
        ("20240301003000", "2024-03-01"),
    ],
)
def test_ts_to_date_is_never_shifted(value: str, expected: str) -> None:
    context = Context(Source())
    assert datatypes.ts_to_date(node(f'<birthTime value="{value}"/>'), context) == expected
    assert context.issues == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20240701103000+0200", "2024-07-01T10:30:00+02:00"),
        ("20240701", "2024-07-01T00:00:00+02:00"),
        ("202401", "2024-01-01T00:00:00+01:00"),
        ("2024", "2024-01-01T00:00:00+01:00"),
        ("", None),
    ],
)
def test_ts_to_instant(value: str, expected: str | None) -> None:
    assert datatypes.ts_to_instant(node(f'<time value="{value}"/>'), Context(Source())) == expected


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<t><low value="2019"/><high value="20190717"/></t>', {"start": "2019", "end": "2019-07-17"}),
        ('<t><low nullFlavor="UNK"/><high value="20190717"/></t>', {"end": "2019-07-17"}),
        ('<t value="20190717"/>', {"start": "2019-07-17"}),
        ('<t nullFlavor="NA"/>', None),
    ],
)
def test_ivl_ts_to_period(xml: str, expected: Element | None) -> None:
    assert datatypes.ivl_ts_to_period(node(xml), Context(Source())) == expected


@pytest.mark.parametrize(
    ("xml", "expected", "remark"),
    [
        (
            '<c code="R50.2" codeSystem="2.16.840.1.113883.6.3" displayName="Fièvre"/>',
            {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "R50.2", "display": "Fièvre"}]},
            "",
        ),
        (
            '<c><originalText><reference value="#a"/></originalText>'
            '<translation code="J07AN" codeSystem="2.16.840.1.113883.6.73"/></c>',
            {"coding": [{"system": "http://www.whocc.no/atc", "code": "J07AN"}], "text": "Texte A"},
            "",
        ),
        ('<c><originalText><reference value="a"/></originalText></c>', {"text": "Texte A"}, ""),
        ('<c><originalText><reference value="#"/></originalText></c>', None, ""),
        ('<c><originalText><reference value="#gone"/>Lui-même</originalText></c>', {"text": "Lui-même"}, ""),
        ('<c nullFlavor="UNK"/>', None, ""),
        ('<c code="X" codeSystem="1.2.3.4"/>', {"coding": [{"system": "urn:oid:1.2.3.4", "code": "X"}]}, ""),
        (
            '<c code="L50.0" codeSystem="2.16.840.1.113883.6" codeSystemName="CIM-10"/>',
            {"coding": [{"system": "urn:oid:2.16.840.1.113883.6", "code": "L50.0"}]},
            "is not that of CIM-10",
        ),
        (
            '<c code="L50.0" codeSystem="cim" codeSystemName="CIM-10"/>',
            {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "L50.0"}]},
            "is read from its name",
        ),
        ('<c code="L50.0" codeSystem="cim"/>', {"coding": [{"code": "L50.0"}]}, "without a system"),
    ],
)
def test_cd_to_codeable_concept(xml: str, expected: Element | None, remark: str) -> None:
    context = Context(Source(), {"a": "Texte A"})
    assert datatypes.cd_to_codeable_concept(node(xml), context) == expected
    assert [remark in issue.text for issue in context.issues] == ([True] if remark else [])


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            '<q value="3900" unit="g"/>',
            {"value": Decimal(3900), "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"},
        ),
        ('<q value="1"/>', {"value": Decimal(1)}),
        ('<q value="2" unit="1"/>', {"value": Decimal(2)}),
        ('<q value="2" unit="comprimés sécables"/>', {"value": Decimal(2), "unit": "comprimés sécables"}),
        ('<q nullFlavor="NA"/>', None),
        ('<q value="NaN"/>', None),
        ('<q value="deux"/>', None),
    ],
)
def test_pq_to_quantity(xml: str, expected: Element | None) -> None:
    assert datatypes.pq_to_quantity(node(xml), Context(Source())) == expected


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            '<id root="1.2.250.1.71.4.2.1" extension=" 899912345678 "/>',
            {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899912345678"},
        ),
        ('<id nullFlavor="NA"/>', None),
        ('<id root="2638" extension="1"/>', None),
    ],
)
def test_ii_to_identifier(xml: str, expected: Element | None) -> None:
    assert datatypes.ii_to_identifier(node(xml)) == expected


def test_ins_keeps_its_kind() -> None:
    ins = datatypes.ii_to_identifier(node('<id root="1.2.250.1.213.1.4.10" extension="285077505601284"/>'))
    assert ins is not None
    assert ins["type"]["coding"][0]["code"] == "INS-NIR-TEST"


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            '<n><given qualifier="BR">ANNE</given><given>ANNE LISE</given>'
            '<family qualifier="CL">B</family><family qualifier="BR">A</family></n>',
            [("official", "A", ["ANNE"], "ANNE LISE"), ("usual", "B", None, None)],
        ),
        (
            '<n><family qualifier="BR">A</family><family qualifier="SP">B</family></n>',
            [("official", "A", None, None), ("usual", "B", None, None)],
        ),
        (
            '<n><family qualifier="SP">B</family><family qualifier="CL">C</family></n>',
            [("usual", "C", None, None)],
        ),
        ("<n><family>A</family><given>ANNE</given></n>", [("official", "A", ["ANNE"], "ANNE")]),
        ('<n><family nullFlavor="MSK"/></n>', []),
    ],
)
def test_pn_to_human_names(xml: str, expected: list[tuple[str, str, list[str] | None, str | None]]) -> None:
    names = datatypes.pn_to_human_names(node(xml))
    found = [
        (n["use"], n.get("family"), n.get("given"), n.get("extension", [{}])[0].get("valueString"))
        for n in names
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            "<n><given>Charles </given><family>MULLER</family><prefix>M</prefix><suffix>DR</suffix></n>",
            {"family": "MULLER", "given": ["Charles"], "prefix": ["M"], "suffix": ["DR"]},
        ),
        ("<n>Docteur Muller</n>", {"text": "Docteur Muller"}),
        ("<n/>", None),
    ],
)
def test_en_to_human_name(xml: str, expected: Element | None) -> None:
    assert datatypes.en_to_human_name(node(xml)) == expected


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            '<a use="WP"><city>EVRY</city><houseNumber>25</houseNumber><streetName>Rue Pasteur</streetName>'
            "<postalCode>91000</postalCode></a>",
            {"use": "work", "line": ["25 Rue Pasteur"], "city": "EVRY", "postalCode": "91000"},
        ),
        (
            "<a><streetAddressLine>25 Rue Pasteur</streetAddressLine>"
            "<streetAddressLine>91000 EVRY</streetAddressLine></a>",
            {"line": ["25 Rue Pasteur", "91000 EVRY"]},
        ),
        ("<a>25 Rue Pasteur, EVRY</a>", {"text": "25 Rue Pasteur, EVRY"}),
        ('<a nullFlavor="NAV"/>', None),
        ('<a use="H"/>', None),
    ],
)
def test_ad_to_address(xml: str, expected: Element | None) -> None:
    assert datatypes.ad_to_address(node(xml)) == expected


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<t value="tel:+33-142515151" use="WP"/>', ("phone", "+33-142515151", "work")),
        ('<t value="tel:06 47 15 10 10" use="MC"/>', ("phone", "06 47 15 10 10", "mobile")),
        ('<t value="mailto:a@b.fr"/>', ("email", "a@b.fr", None)),
        ('<t value="a@b.fr"/>', ("email", "a@b.fr", None)),
        ('<t value="0142515151"/>', ("phone", "0142515151", None)),
        ('<t value="http://b.fr"/>', ("url", "http://b.fr", None)),
        ('<t value="tel:"/>', None),
        ('<t nullFlavor="MSK"/>', None),
    ],
)
def test_tel_to_contact_point(xml: str, expected: tuple[str, str, str | None] | None) -> None:
    point = datatypes.tel_to_contact_point(node(xml))
    assert (point and (point["system"], point["value"], point.get("use"))) == expected
