"""XML Patch: RFC 5261 on the XML form of resources."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import FHIRError
from fhirserver.model.definitions import Definitions
from fhirserver.patch import PatchFailed, apply_xml_patch
from fhirserver.patch.failure import MalformedPatch

DIV = "<div xmlns='http://www.w3.org/1999/xhtml'><p></p><b>x</b></div>"
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "text": {"status": "generated", "div": DIV},
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
    "status": "final",
    "code": {"text": "Poids"},
    "valueQuantity": {"value": Decimal("70.10"), "unit": "kg"},
}


def diff(*operations: str) -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><diff xmlns:f="http://hl7.org/fhir">{"".join(operations)}</diff>'
    ).encode()


A, B, C = ({"system": f"urn:{letter}", "value": value} for letter, value in ("a1", "b2", "c3"))
ABC = {"identifier": [A, B, C]}
EXTENSION = '<f:extension url="http://x.test/e"><f:valueCode value="x"/></f:extension>'
ELEMENT_C = '<f:identifier><f:system value="urn:c"/><f:value value="3"/></f:identifier>'


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ('<replace sel="f:Observation/f:status/@value">amended</replace>', {"status": "amended"}),
        (
            '<replace sel="/f:Observation/f:code"><f:code><f:text value="P"/></f:code></replace>',
            {"code": {"text": "P"}},
        ),
        (f'<add sel="f:Observation/f:identifier[2]" pos="after">{ELEMENT_C}</add>', ABC),
        (
            f'<add sel="f:Observation/f:identifier[1]" pos="before">{ELEMENT_C}</add>',
            {"identifier": [C, A, B]},
        ),
        (
            '<add sel="f:Observation/f:valueQuantity"><code value="kg" xmlns="http://hl7.org/fhir"/></add>',
            {"valueQuantity": {"value": Decimal("70.10"), "unit": "kg", "code": "kg"}},
        ),
        (
            f'<add sel="f:Observation/f:code" pos="prepend">{EXTENSION}</add>',
            {"code": {"extension": [{"url": "http://x.test/e", "valueCode": "x"}], "text": "Poids"}},
        ),
        ('<add sel="f:Observation/f:code" type="@id">c1</add>', {"code": {"id": "c1", "text": "Poids"}}),
        ("""<remove sel="f:Observation/f:identifier[f:system/@value='urn:b']"/>""", {"identifier": [A]}),
        ('<remove sel="f:Observation/*[2]/f:value"/>', {"identifier": [{"system": "urn:a"}, B]}),
        (
            '<remove sel="f:Observation/f:valueQuantity/f:unit"/>',
            {"valueQuantity": {"value": Decimal("70.10")}},
        ),
        (
            '<replace sel="f:Observation/f:valueQuantity/f:value/@value">70.00</replace>',
            {"valueQuantity": {"value": Decimal("70.00"), "unit": "kg"}},
        ),
    ],
)
def test_applies(definitions: Definitions, operation: str, changed: dict[str, Any]) -> None:
    before = repr(OBSERVATION)
    patched = apply_xml_patch(OBSERVATION, diff(operation), definitions)
    assert patched == OBSERVATION | changed
    assert repr(patched) == repr({k: (OBSERVATION | changed)[k] for k in patched}), "digits are kept"
    assert patched["text"]["div"] == DIV, "a narrative that is not patched stays as it was written"
    assert repr(OBSERVATION) == before


def test_a_narrative_is_replaced_as_a_whole(definitions: Definitions) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p>y</p> z</div>'
    patch = diff(
        '<replace sel="f:Observation/f:text/h:div" xmlns:h="http://www.w3.org/1999/xhtml">'
        + div
        + "</replace>"
    )
    assert apply_xml_patch(OBSERVATION, patch, definitions)["text"]["div"] == div


def test_the_default_namespace_of_the_patch_is_that_of_names_without_prefix(definitions: Definitions) -> None:
    patch = b'<diff xmlns="http://hl7.org/fhir"><remove sel="Observation/valueQuantity"/></diff>'
    assert "valueQuantity" not in apply_xml_patch(OBSERVATION, patch, definitions)


@pytest.mark.parametrize(
    ("patch", "error", "text"),
    [
        (b"<diff", MalformedPatch, "not XML"),
        (b"\xff\xfe<", MalformedPatch, "not XML"),
        (b"<patch/>", MalformedPatch, "<diff>"),
        (b'<!DOCTYPE d [<!ENTITY e "x">]><diff/>', MalformedPatch, "DOCTYPE"),
        (diff('<swap sel="f:Observation"/>'), MalformedPatch, "add, replace, remove"),
        (diff("<remove/>"), MalformedPatch, "sel is missing"),
        (diff('<remove sel="//f:identifier"/>'), MalformedPatch, "not a step"),
        (diff('<remove sel="f:Observation/f:identifier[last()]"/>'), MalformedPatch, "predicate"),
        (diff('<remove sel="f:Observation/f:code/text()"/>'), MalformedPatch, "text()"),
        (diff('<remove sel="g:Observation"/>'), MalformedPatch, "prefix 'g'"),
        (diff('<remove sel="Observation"/>'), PatchFailed, "nothing"),
        (diff('<remove sel="f:Observation"/>'), PatchFailed, "cannot be removed"),
        (diff('<remove sel="f:Observation/f:identifier"/>'), PatchFailed, "2 nodes"),
        (diff('<add sel="f:Observation"/>'), PatchFailed, "no element to add"),
        (diff('<add sel="f:Observation" type="namespace::g">urn:g</add>'), PatchFailed, "attributes"),
        (diff('<add sel="f:Observation/f:status" type="@value">x</add>'), PatchFailed, "already"),
        (diff(f'<add sel="f:Observation" pos="before">{ELEMENT_C}</add>'), PatchFailed, "beside"),
        (diff(f'<add sel="f:Observation/f:code" pos="inside">{ELEMENT_C}</add>'), PatchFailed, "pos is"),
        (diff('<replace sel="f:Observation/f:code"/>'), PatchFailed, "exactly one element"),
        (diff('<replace sel="f:Observation/f:status/@value"><f:x/></replace>'), PatchFailed, "text, not"),
        (diff('<add sel="f:Observation"><f:colour value="x"/></add>'), PatchFailed, "outcome"),
        (diff('<add sel="f:Observation"><colour value="x"/></add>'), PatchFailed, "outcome"),
    ],
)
def test_refuses(definitions: Definitions, patch: bytes, error: type[FHIRError], text: str) -> None:
    with pytest.raises(error) as raised:
        apply_xml_patch(OBSERVATION, patch, definitions)
    assert text in str(raised.value)
