import re
from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [
        {
            "system": "urn:oid:1.2.250.1.213.1.4.8",
            "value": "279035121518989",
            "type": {
                "coding": [{"system": "https://hl7.fr/ins", "code": "INS-NIR"}],
                "text": "Numéro d'identité",
            },
        },
        {"value": "sans-système"},
        {"system": "urn:vide"},
        {"system": "http://a|b", "value": r"c|d$e,f\g"},
    ],
    "gender": "female",
    "active": False,
    "telecom": [
        {"system": "phone", "value": "06 12.34-56 78"},
        {"system": "email", "value": "Eva@Exemple.FR"},
        {"system": "phone", "use": "home"},
    ],
    "communication": [
        {
            "language": {
                "coding": [
                    {"system": "urn:ietf:bcp:47", "code": "fr", "display": "Langue française (France)"},
                    {"code": "FRA"},
                ],
                "text": "Français",
            }
        },
        {"language": {"text": "Breton"}},
    ],
    "meta": {"tag": [{"system": "http://x/tags", "code": "à-relire"}]},
}
CONTENT = "contenttype=urn:ietf:bcp:13|text/xml"
SYSTOLIC = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
NOTHING: dict[str, Any] = {"resourceType": "Patient"}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("identifier=279035121518989", True),
        ("identifier=urn:oid:1.2.250.1.213.1.4.8|279035121518989", True),
        ("identifier=urn:other|279035121518989", False),
        ("identifier=|279035121518989", False),
        ("identifier=|sans-système", True),
        ("identifier=sans-système", True),
        ("identifier=urn:x|sans-système", False),
        ("identifier=urn:oid:1.2.250.1.213.1.4.8|", True),
        ("identifier=urn:oid:1.2.250.1.213.1.4|", False),
        ("identifier=urn:vide|", True),
        ("identifier=urn:vid|", False),
        ("identifier=27903512151898", False),
        ("identifier=SANS-SYSTÈME", False),
        (r"identifier=http://a\|b|c\|d\$e\,f\\g", True),
        (r"identifier=c\|d\$e\,f\\g", True),
        (r"identifier=http://a|b\|c\|d\$e\,f\\g", False),
        ("identifier=1,sans-système", True),
        ("identifier=1,2", False),
        ("identifier=sans-système&identifier=279035121518989", True),
        ("identifier:of-type=https://hl7.fr/ins|INS-NIR|279035121518989", True),
        ("identifier:of-type=https://hl7.fr/ins|INS-NIR|1", False),
        ("identifier:of-type=https://hl7.fr/ins|INS-NIA|279035121518989", False),
        ("identifier:text=numero", True),
        ("identifier:text=identite", True),
        ("identifier:text=cle", False),
        # The system of a code is implied.
        ("gender=female", True),
        ("gender=male", False),
        ("gender=FEMALE", False),
        ("gender=http://hl7.org/fhir/administrative-gender|female", True),
        ("gender=http://hl7.org/fhir/administrative-gender|male", False),
        ("gender=http://other|female", False),
        ("gender=|female", True),
        ("gender=http://hl7.org/fhir/administrative-gender|", True),
        # :not is the complement of the whole parameter.
        ("gender:not=male", True),
        ("gender:not=female", False),
        ("gender:not=male,female", False),
        ("gender:not=male,other", True),
        ("language:not=en", True),
        ("language:not=fr", False),
        ("deceased:not=true", True),
        ("active=false", True),
        ("active=true", False),
        ("deceased=false", True),
        ("deceased=true", False),
        ("language=fr", True),
        ("language=urn:ietf:bcp:47|fr", True),
        ("language=|fr", False),
        ("language=|FRA", True),
        ("language=urn:ietf:bcp:47|", True),
        ("language:text=français", True),
        ("language:text=LANGUE FRANCAISE", True),
        ("language:text=france", True),
        ("language:text=breton", True),
        ("language:text=rancais", False),
        ("language:text=anglais,breton", True),
        ("phone=0612345678", True),
        ("phone=06 12 34 56 78", True),
        ("phone=06.12.34.56.78", True),
        ("phone=061234567", False),
        ("phone=eva@exemple.fr", False),
        ("email=EVA@exemple.fr", True),
        ("telecom=eva@exemple.fr", True),
        ("telecom=0612345678", True),
        ("_tag=http://x/tags|à-relire", True),
        ("_tag=à-relire", True),
        ("_tag=http://x|à-relire", False),
        ("_security:missing=true", True),
        ("language:missing=false", True),
        ("gender:missing=true", False),
        ("deceased:missing=false", True),
    ],
)
def test_token(finds: Finds, asked: str, found: bool) -> None:
    assert finds(PATIENT, asked) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("gender:not=male", True),
        ("gender:missing=true", True),
        ("gender=male", False),
        ("identifier:text=a", False),
        ("deceased=false", True),
    ],
)
def test_of_a_resource_without_the_element(finds: Finds, asked: str, found: bool) -> None:
    assert finds(NOTHING, asked) is found


@pytest.mark.parametrize(
    "element",
    [{"coding": [{"display": "Français"}]}, {"text": "Français"}, {"coding": [{"system": "urn:x"}]}],
)
def test_an_element_without_a_code_is_not_missing(finds: Finds, element: dict[str, Any]) -> None:
    resource = {"resourceType": "Patient", "communication": [{"language": element}]}
    assert finds(resource, "language:missing=false")
    assert not finds(resource, "language:missing=true")


@pytest.mark.parametrize(
    ("type", "element", "asked", "found"),
    [
        # A token on an element of type string is not case sensitive.
        ("AuditEvent", {"agent": [{"altId": "Dr.No-1"}]}, "altid=dr.no-1", True),
        ("AuditEvent", {"agent": [{"altId": "Dr.No-1"}]}, "altid=dr.no", False),
        ("AuditEvent", {"agent": [{"altId": "Dr.No-1"}]}, "altid=|DR.NO-1", True),
        ("Appointment", {"participant": [{"status": "accepted"}]}, "part-status=accepted", True),
        # The system of MIME types is one without a list of its codes.
        ("DocumentReference", {"content": [{"attachment": {"contentType": "text/xml"}}]}, CONTENT, True),
        ("DocumentReference", {"content": [{"attachment": {"contentType": "text/plain"}}]}, CONTENT, False),
        ("Observation", {"code": SYSTOLIC}, "combo-code=http://loinc.org|8480-6", True),
        ("Observation", {"component": [{"code": SYSTOLIC}]}, "combo-code=8480-6", True),
        ("Observation", {"component": [{"code": SYSTOLIC}]}, "code=8480-6", False),
        ("Bundle", {"type": "document"}, "type=document", True),
        ("Subscription", {"channel": {"type": "rest-hook"}}, "type=rest-hook", True),
    ],
)
def test_tokens_of_other_types(
    finds: Finds, type: str, element: dict[str, Any], asked: str, found: bool
) -> None:
    assert finds({"resourceType": type, **element}, asked) is found


STATUS, GENDER = (
    f"http://hl7.org/fhir/ValueSet/{name}" for name in ("observation-status", "administrative-gender")
)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"gender:in={GENDER}", True),
        (f"gender:in={GENDER}|4.0.1", True),
        (f"gender:not-in={GENDER}", False),
        (f"gender:in={STATUS}", False),
        (f"gender:not-in={STATUS}", True),
        (f"gender:in={STATUS},{GENDER}", True),
        (f"language:in={GENDER}", False),
        (f"language:not-in={GENDER}", True),
    ],
)
def test_value_sets_of_the_definitions(finds: Finds, asked: str, found: bool) -> None:
    assert finds({"resourceType": "Patient", "gender": "female"}, asked) is found


def test_value_sets_compare_systems(finds: Finds) -> None:
    gender = {"system": "http://hl7.org/fhir/administrative-gender", "code": "male"}
    for coding, found in ((gender, True), (gender | {"system": "urn:other"}, False)):
        resource = {"resourceType": "Observation", "code": {"coding": [coding]}}
        assert finds(resource, f"code:in={GENDER}") is found
        assert finds(resource, f"combo-code:in={GENDER}") is found


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        ("text/xml", "text/xml", True),
        ("text/xml; charset=UTF-8", "text/xml", True),
        ("text/xml ;charset=UTF-8", "text/xml", True),
        ("text/xml-external", "text/xml", False),
        ("text/plain", "text/xml", False),
        ("text/xml", "text/xml; charset=UTF-8", False),
    ],
)
def test_mime_types_are_below_their_base(finds: Finds, stored: str, asked: str, found: bool) -> None:
    resource = {"resourceType": "DocumentReference", "content": [{"attachment": {"contentType": stored}}]}
    assert finds(resource, f"contenttype:below={asked}") is found


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("active:below=true", "has no codes"),
        ("identifier:above=x", "system|code"),
        ("language:below=http://x|", "system|code"),
        ("identifier=a|b|c", "more than one |"),
        ("identifier=|", "use :missing=true"),
        ("active=http://x|true", "has no system"),
        ("phone=|06", "has no system"),
        ("identifier:of-type=a|b", "system|code|value"),
        ("identifier:of-type=a||b", "system|code|value"),
        ("gender:of-type=a|b|c", "for identifiers"),
        ("language:text=--", "no letter"),
        (r"identifier=a\b", "must be followed"),
        ("gender:missing=oui", "not true or false"),
    ],
)
def test_refused(finds: Finds, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        finds(PATIENT, asked)
