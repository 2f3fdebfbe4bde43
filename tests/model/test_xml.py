from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from fhirserver.errors import MalformedBody, Unprocessable
from fhirserver.model import json, xml
from fhirserver.model.definitions import Definitions

FHIR = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'

NAMES = ("id", "text", "div", "name", "given", "_given", "extension", "url", "valueCode", "contained", "link")

RESOURCES = [
    # decimals keep their digits, integers stay integers
    """{"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "component": [
        {"code": {"text": "a"}, "valueQuantity": {"value": 1.10}},
        {"code": {"text": "b"}, "valueQuantity": {"value": -0.00}},
        {"code": {"text": "c"}, "valueQuantity": {"value": 1E+3}},
        {"code": {"text": "d"}, "valueQuantity": {"value": 3}},
        {"code": {"text": "e"}, "valueQuantity": {"value": 0.1234567890123456789012}},
        {"code": {"text": "f"}, "valueInteger": -2147483648},
        {"code": {"text": "g"}, "valueBoolean": false}]}""",
    # extensions of primitives, null padding, ids
    """{"resourceType": "Patient", "id": "1", "name": [
        {"id": "n1", "given": ["A", null, "C"],
         "_given": [null, {"extension": [{"url": "urn:x", "valueCode": "masked"}]}, {"id": "g3"}]},
        {"given": ["A", "B"], "_given": [null, {"id": "b"}]},
        {"_given": [{"extension": [{"url": "urn:x", "valueCode": "masked"}]}]},
        {"family": "Van",
         "_family": {"id": "a2", "extension": [{"id": "e", "url": "urn:x", "valueString": "v"}]}}],
        "_birthDate": {"extension": [{"url": "urn:t", "valueTime": "10:00:00"}]},
        "_deceasedBoolean": {"id": "d"}, "deceasedBoolean": true}""",
    # contained resources and extensions in extensions
    """{"resourceType": "Patient", "contained": [
        {"resourceType": "Organization", "id": "o", "name": "CH"},
        {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "QUJD"}],
        "extension": [{"url": "urn:a",
                       "extension": [{"url": "b", "valueReference": {"reference": "#o"}}]}]}""",
    # characters
    """{"resourceType": "Patient", "name": [{"text": "é 日本 😀 <&>\\"' \\t\\r\\n  two  spaces "}],
        "address": [{"line": ["a\\nb"]}]}""",
    # narratives, exactly as they came
    r"""{"resourceType": "Patient", "text": {"div":
"<div xmlns=\"http://www.w3.org/1999/xhtml\" lang='fr'>\n&quot;é&#160;&lt;\r\n<br /><!-- c --></div>"}}""",
    r"""{"resourceType": "Patient", "text": {"status": "generated", "div":
        "<h:div xmlns:h=\"http://www.w3.org/1999/xhtml\"/>"}}""",
    # resources in resources, content references
    """{"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "active": true},
         "request": {"method": "POST", "url": "Patient?a=b&c=d"}},
        {"request": {"method": "DELETE", "url": "Patient/1"}}]}""",
    """{"resourceType": "Parameters", "parameter": [{"name": "a", "part": [{"name": "b", "resource":
        {"resourceType": "Questionnaire", "status": "draft", "item": [{"linkId": "1", "type": "group",
         "item": [{"linkId": "1.1", "type": "display"}]}]}}]}]}""",
    '{"resourceType": "Patient"}',
]  # fmt: skip


@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.parametrize("text", RESOURCES)
def test_json_to_xml_to_json_is_the_identity(definitions: Definitions, text: str, pretty: bool) -> None:
    resource = json.parse_resource(text.encode())
    body = xml.format(resource, definitions, pretty=pretty)
    if "h:div" in text:  # A prefix is resolved, nothing else changes.
        resource["text"]["div"] = f"<div {XHTML}/>"
    back = xml.parse(body, definitions)
    assert back == resource
    assert json.parse(json.format(back)) == back
    assert [type(v) for v in leaves(back)] == [type(v) for v in leaves(resource)]
    assert [str(v) for v in leaves(back)] == [str(v) for v in leaves(resource)]
    etree.fromstring(body)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in leaves(value[key])]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


def test_elements_are_written_in_the_order_of_the_definition(definitions: Definitions) -> None:
    patient = {
        "link": [{"type": "seealso", "other": {"reference": "Patient/2"}}],
        "birthDate": "2000",
        "resourceType": "Patient",
        "name": [{"given": ["B"], "family": "A", "id": "n"}],
        "id": "1",
    }
    assert xml.format(patient, definitions).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?><Patient {FHIR}><id value="1"/>'
        '<name id="n"><family value="A"/><given value="B"/></name><birthDate value="2000"/>'
        '<link><other><reference value="Patient/2"/></other><type value="seealso"/></link></Patient>'
    )


def test_pretty(definitions: Definitions) -> None:
    assert xml.format({"resourceType": "Patient", "id": "1"}, definitions, pretty=True).decode() == (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Patient {FHIR}>\n  <id value="1"/>\n</Patient>'
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (f'<!-- a --><?a b?><Patient {FHIR}><!-- b --><id value="1"/>\n</Patient><!-- c -->', {"id": "1"}),
        ('<f:Patient xmlns:f="http://hl7.org/fhir"><f:id value="1"/></f:Patient>', {"id": "1"}),
        (f'\ufeff<?xml version="1.0"?><Patient {FHIR}><active value=" true "/></Patient>', {"active": True}),
        (f"<Patient {FHIR}><id value='&#x41;&amp;'/></Patient>", {"id": "A&"}),
        (f'<Patient {FHIR}><name><given value="A"/></name><active value="true"/>'
         '<name><text value="B"/></name></Patient>',
         {"name": [{"given": ["A"]}, {"text": "B"}], "active": True}),
        (f'<Patient {FHIR} xmlns:h="http://www.w3.org/1999/xhtml"><text><h:div lang="fr"><h:p>a &amp;<h:br/>'
         '<h:b title="&lt;&quot;">é</h:b></h:p></h:div></text></Patient>',
         {"text": {"div": f"<div {XHTML} lang=\"fr\"><p>a &amp;<br/><b title='&lt;\"'>é</b></p></div>"}}),
    ],
)  # fmt: skip
def test_parse(definitions: Definitions, body: str, expected: dict[str, Any]) -> None:
    assert xml.parse(body.encode(), definitions) == {"resourceType": "Patient", **expected}


@pytest.mark.parametrize(
    ("body", "text", "expression"),
    [
        ("", "not XML: no element found", ""),
        ("{}", "not XML", ""),
        (f"<Patient {FHIR}><id value='1'></Patient>", "mismatched tag", ""),
        (f"<Patient {FHIR}/><Patient {FHIR}/>", "junk after document element", ""),
        (f"<Patient {FHIR}>&x;</Patient>", "undefined entity", ""),
        (f"<!DOCTYPE a><Patient {FHIR}/>", "a DOCTYPE is not allowed (line 1)", ""),
        (f'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient {FHIR}><id value="&x;"/></Patient>',
         "a DOCTYPE is not allowed", ""),
        ("<Patient/>", "not in the namespace http://hl7.org/fhir", "Patient"),
        (f"<Ward {FHIR}/>", "'Ward' is not a resource type", ""),
        (f"<DomainResource {FHIR}/>", "'DomainResource' is not a resource type", ""),
        (f'<Patient {FHIR} a="b"/>', "the attribute 'a' is not defined (line 1)", "Patient"),
        (f'<Patient {FHIR} id="b"/>', "the attribute 'id' is not defined", "Patient"),
        (f'<Patient {FHIR}>\n<famly value="a"/></Patient>', "'famly' is not an element of Patient (line 2)",
         "Patient.famly"),
        (f'<Patient {FHIR}><resourceType value="a"/></Patient>', "'resourceType' is not an",
         "Patient.resourceType"),
        (f'<Patient {FHIR}><name><id value="a"/></name></Patient>', "'id' is not an element of HumanName",
         "Patient.name.id"),
        (f'<Patient {FHIR}><id xmlns="urn:x" value="1"/></Patient>', "not in the namespace", "Patient.id"),
        (f"<Patient {FHIR}><id>1</id></Patient>", "the text '1' is not in an attribute (line 1)", ""),
        (f"<Patient {FHIR}><name>A<family value='b'/></name></Patient>", "the text 'A'", ""),
        (f'<Patient {FHIR}><id value="1"/><id value="2"/></Patient>', "<id> does not repeat", "Patient.id"),
        (f'<Patient {FHIR}><maritalStatus><text value="1"/></maritalStatus><maritalStatus><text value="2"/>'
         "</maritalStatus></Patient>", "<maritalStatus> does not repeat", "Patient.maritalStatus"),
        (f"<Patient {FHIR}><id/></Patient>", "<id> is empty", "Patient.id"),
        (f"<Patient {FHIR}><name/></Patient>", "<name> is empty", "Patient.name"),
        (f'<Patient {FHIR}><id value=""/></Patient>', "the attribute 'value' is empty", "Patient.id"),
        (f'<Patient {FHIR}><name value="a"/></Patient>', "the attribute 'value' is not defined",
         "Patient.name"),
        (f'<Patient {FHIR}><active value="yes"/></Patient>', "'yes' is not true or false", "Patient.active"),
        (f'<Patient {FHIR}><multipleBirthInteger value="01"/></Patient>', "'01' is not a number",
         "Patient.multipleBirthInteger"),
        (f'<Patient {FHIR}><contained><Patient/><Patient/></contained></Patient>', "holds one resource",
         "Patient.contained"),
        (f"<Patient {FHIR}><text><div/></text></Patient>",
         "not in the namespace http://www.w3.org/1999/xhtml", "Patient.text.div"),
        (f"<Patient {FHIR}>" + "<extension>" * 100 + "</extension>" * 100 + "</Patient>",
         "nested deeper than 100", ""),
    ],
)  # fmt: skip
def test_parse_refuses(definitions: Definitions, body: str, text: str, expression: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        xml.parse(body.encode(), definitions)
    assert text in str(caught.value)
    assert caught.value.issues[0].expression == expression


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_parse_refuses_other_encodings(definitions: Definitions, encoding: str) -> None:
    body = f'<?xml version="1.0" encoding="{encoding}"?><Patient {FHIR}><id value="é"/></Patient>'
    with pytest.raises(MalformedBody):
        xml.parse(body.encode(encoding), definitions)


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ({"resourceType": "Ward"}, "'Ward' is not a resource type"),
        ({}, "'None' is not a resource type"),
        ({"resourceType": "Patient", "famly": "x"}, "'famly' is not an element of Patient"),
        ({"resourceType": "Patient", "id": "a\x00"}, "the character U+0000"),
        ({"resourceType": "Patient", "id": "a\ud800"}, "the character U+D800"),
        ({"resourceType": "Patient", "text": {"div": "a"}}, "not one XHTML <div>"),
        ({"resourceType": "Patient", "text": {"div": "<div>a</div>"}}, "not one XHTML <div>"),
        ({"resourceType": "Patient", "text": {"div": f"<div {XHTML}>a</div><a/>"}}, "not one XHTML <div>"),
        ({"resourceType": "Patient", "text": {"div": f"<p {XHTML}>a</p>"}}, "not one XHTML <div>"),
        ({"resourceType": "Patient", "text": {"div": f"<?a?><div {XHTML}>a</div>"}}, "not one XHTML <div>"),
    ],
)
def test_format_refuses_what_xml_cannot_say(
    definitions: Definitions, resource: dict[str, Any], text: str
) -> None:
    with pytest.raises(Unprocessable) as caught:
        xml.format(resource, definitions)
    assert text in str(caught.value)


def test_a_large_document(definitions: Definitions) -> None:
    binary = {"resourceType": "Binary", "contentType": "application/pdf", "data": "QUJD" * 4_000_000}
    assert xml.parse(xml.format(binary, definitions), definitions) == binary


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_format_of_anything(definitions: Definitions, data: st.DataObject) -> None:
    """What is not FHIR is refused, never written wrongly and never a traceback."""
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
        ),
        max_leaves=10,
    )
    resource = {"resourceType": "Patient", **data.draw(st.dictionaries(st.sampled_from(NAMES), junk))}
    try:
        body = xml.format(resource, definitions)
    except Unprocessable:
        return
    etree.fromstring(body)
