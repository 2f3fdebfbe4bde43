"""What a VIHF assertion says."""

from datetime import timedelta

import pytest
from lxml import etree

from mappings.core.result import Unreadable
from mappings.xds.vihf import assertion_of, read_assertion
from tests.xds.assertions import SAML, WSSE, assertion


def test_all_that_it_says() -> None:
    found = read_assertion(assertion(minutes=5))
    assert (found.subject_id, found.name) == ("899912345678", "KERGOAT-TEST Yann")
    assert found.subject == {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899912345678"}
    assert found.structure == {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": "1350000099"}
    assert found.organization == "Cabinet des Tilleuls (test)"
    assert [role["code"] for role in found.roles] == ["10", "SM26"]
    assert found.roles[0]["display"] == "Médecin"
    assert (found.access_mode, found.justification) == ("bris_de_glace", "Patient inconscient")
    assert found.patient is not None
    assert found.patient["value"] == "285077505601284"
    assert (found.authentication, found.issuer, found.audiences) == (
        "Indirecte",
        "CN=Cabinet (test)",
        ("urn:test",),
    )
    assert found.software == {
        "id": "0123456789",
        "name": "Logiciel d'essai",
        "version": "4.2",
        "approval": "LES-12",
    }
    assert found.not_before is not None
    assert found.not_on_or_after is not None
    assert found.not_on_or_after - found.not_before == timedelta(minutes=65)


@pytest.mark.parametrize(
    ("number", "system"),
    [
        ("285077505601284^^^&1.2.250.1.213.1.4.10&ISO^NH", "urn:oid:1.2.250.1.213.1.4.10"),
        ("899912345678", "urn:oid:1.2.250.1.71.4.2.1"),
    ],
)
def test_whose_number_the_name_id_is(number: str, system: str) -> None:
    node = assertion()
    node.findall(f".//{{{SAML}}}NameID")[0].text = number
    subject = read_assertion(node).subject
    assert subject is not None
    assert subject["system"] == system


def test_an_assertion_that_says_nothing() -> None:
    found = read_assertion(etree.fromstring(f'<a:Assertion xmlns:a="{SAML}" Version="2.0"/>'))
    assert (found.subject, found.structure, found.patient, found.access_mode) == (None, None, None, "")


@pytest.mark.parametrize(
    "text",
    [
        f'<a:Assertion xmlns:a="{SAML}" Version="1.1"/>',
        '<Assertion xmlns="urn:oasis:names:tc:SAML:1.0:assertion"/>',
        f'<a:Assertion xmlns:a="{SAML}"><a:Conditions NotBefore="yesterday"/></a:Assertion>',
    ],
)
def test_what_is_no_assertion(text: str) -> None:
    with pytest.raises(Unreadable):
        read_assertion(etree.fromstring(text))


def test_the_one_in_the_header() -> None:
    security = etree.Element(f"{{{WSSE}}}Security")
    assert assertion_of(security) is None
    security.append(assertion())
    assert assertion_of(security) is not None
    security.append(assertion())
    with pytest.raises(Unreadable, match="several"):
        assertion_of(security)
