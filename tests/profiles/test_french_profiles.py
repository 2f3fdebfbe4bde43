"""What France requires (docs/profiles.md): for each profile a resource that conforms, and changes to it that
make it one that does not."""

import copy
from pathlib import Path
from typing import Any

import pytest

from fhirserver.errors import Issue
from fhirserver.model.definitions import Definitions, operators
from fhirserver.validation import Policy, Validator
from mappings.mail.mapping import REPLY_CLOSED

Element = dict[str, Any]

ROOT = Path(__file__).parents[2]
PROFILE = "urn:x-fhirserver:profile:"
FR = "https://hl7.fr/ig/fhir/core/"
FR_EXTENSION = FR + "StructureDefinition/fr-core-"
CLASSES = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
VISIBILITIES = (
    "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
)
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def concept(system: str, code: str) -> Element:
    return {"coding": [{"system": system, "code": code}]}


def ins(kind: str, oid: str, value: str, use: str = "official") -> Element:
    type = concept(FR + "CodeSystem/fr-core-cs-v2-0203", kind)
    return {"use": use, "type": type, "system": f"urn:oid:1.2.250.1.213.1.4.{oid}", "value": value}


def reliability(status: str) -> Element:
    coding = {"system": FR + "CodeSystem/fr-core-cs-v2-0445", "code": status}
    part = {"url": "identityStatus", "valueCoding": coding}
    return {"url": FR_EXTENSION + "identity-reliability", "extension": [part]}


def birth_place(code: str) -> Element:
    insee = {"url": FR_EXTENSION + "address-insee-code", "valueCoding": {"code": code}}
    return {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
        "valueAddress": {"city": "Ville-Test", "extension": [insee]},
    }


def quantity(value: int, code: str) -> Element:
    return {"value": value, "unit": code, "system": UCUM, "code": code}


NIR = "285077505601284"
NAMES = {"url": FR_EXTENSION + "patient-birth-list-given-name", "valueString": "CAMILLE ANNE"}
PATIENT: Element = {
    "resourceType": "Patient",
    "extension": [reliability("VALI"), birth_place("75056")],
    "identifier": [ins("INS-NIR", "8", NIR), {"system": "urn:oid:1.2.250.1.999.1", "value": "42"}],
    "name": [
        {"use": "official", "family": "LEROUX-TEST", "given": ["CAMILLE"], "extension": [NAMES]},
        {"use": "usual", "family": "MOREL-TEST"},
    ],
    "gender": "female",
    "birthDate": "1985-07-14",
}
DOCUMENT: Element = {
    "resourceType": "DocumentReference",
    "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.2.1"},
    "status": "current",
    "type": concept(LOINC, "34112-3"),
    "category": [concept(CLASSES, "10")],
    "subject": {"reference": "Patient/1"},
    "date": "2024-03-12T09:15:00+01:00",
    "author": [{"reference": "PractitionerRole/1"}],
    "custodian": {"reference": "Organization/1"},
    "securityLabel": [concept(CONFIDENTIALITY, "N"), concept(VISIBILITIES, "MASQUE_PS")],
    "content": [
        {
            "attachment": {
                "contentType": "text/xml",
                "language": "fr-FR",
                "url": "Binary/1",
                "size": 6073,
                "hash": "KZlI9Z2OxvhpJ+Gys3TCLiHxNKk=",
                "title": "Compte rendu",
                "creation": "2024-03-12T09:15:00+01:00",
            },
            "format": {
                "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                "code": "urn:ihe:iti:xds-sd:pdf:2008",
            },
        }
    ],
    "context": {
        "period": {"start": "2024-03-12T09:00:00+01:00", "end": "2024-03-12T09:30:00+01:00"},
        "facilityType": concept("urn:oid:1.2.250.1.71.4.2.4", "SA07"),
        "practiceSetting": concept("urn:oid:1.2.250.1.213.1.1.4.9", "AMBULATOIRE"),
    },
}
IMMUNIZATION: Element = {
    "resourceType": "Immunization",
    "status": "completed",
    "vaccineCode": {
        "coding": [
            {"system": "https://smt.esante.gouv.fr/terminologie-bdpm", "code": "60000001"},
            {"system": "http://www.whocc.no/atc", "code": "J07AM01"},
        ]
    },
    "patient": {"reference": "Patient/1"},
    "occurrenceDateTime": "2024-03",
}
ALLERGY: Element = {
    "resourceType": "AllergyIntolerance",
    "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active"),
    "code": {"text": "Pollen de graminées"},
    "patient": {"reference": "Patient/1"},
    "onsetPeriod": {"start": "2000"},
}
WEIGHT: Element = {
    "resourceType": "Observation",
    "status": "final",
    "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
    "code": concept(LOINC, "29463-7"),
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-03-12",
    "valueQuantity": quantity(3900, "g"),
}
PRESSURE: Element = {
    **{name: value for name, value in WEIGHT.items() if name != "valueQuantity"},
    "code": concept(LOINC, "85354-9"),
    "component": [
        {"code": concept(LOINC, "8480-6"), "valueQuantity": quantity(120, "mm[Hg]")},
        {"code": concept(LOINC, "8462-4"), "valueQuantity": quantity(80, "mm[Hg]")},
    ],
}
MESSAGE: Element = {
    "resourceType": "Communication",
    "extension": [{"url": REPLY_CLOSED, "valueBoolean": True}],
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": "mid:m1@chu.mssante.fr"}],
    "status": "completed",
    "category": [concept("http://terminology.hl7.org/CodeSystem/communication-category", "notification")],
    "medium": [concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationMode", "EMAILWRIT")],
    "subject": {"reference": "Patient/1"},
    "sent": "2024-03-12T09:15:00+01:00",
    "recipient": [{"reference": "Patient/1"}],
    "sender": {"identifier": {"system": "urn:ietf:rfc:3986", "value": "mailto:a@chu.mssante.fr"}},
    "payload": [{"contentString": "Bonjour"}],
}


def changed(resource: Element, changes: Element) -> Element:
    """A copy with other values by path (``name.0.given``); None takes away."""
    made = copy.deepcopy(resource)
    for path, value in changes.items():
        *steps, last = (int(step) if step.isdecimal() else step for step in path.split("."))
        place: Any = made
        for step in steps:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return made


def issues_of(french: Validator, resource: Element, profile: str) -> list[Issue]:
    return french.validate(resource, profiles=[PROFILE + profile])


LOCAL = PATIENT["identifier"][1:]
TEST_INS = ins("INS-NIR-TEST", "10", NIR)
TEMPORARY = ins("INS-NIA", "9", NIR, "temp")
CORSICAN = ins("INS-NIR", "8", "285072A05601244")
OLD = ins("INS-NIR", "8", "185077505601237", "old")
PATIENT_ANSWERS = {"sender": {"reference": "Patient/1"}, "recipient": [{"reference": "Organization/1"}]}
ATTACHED = {
    **{
        name: DOCUMENT["content"][0]["attachment"][name]
        for name in ("contentType", "language", "title", "creation")
    },
    "data": "YQ==",
    "size": 1,
    "hash": "hvfkN/qlp/zhXR3cuerq6jd2Z7g=",
}
LABELS = [concept(CONFIDENTIALITY, "N")]


@pytest.mark.parametrize(
    ("profile", "resource", "changes"),
    [
        ("fr-patient", PATIENT, {}),
        ("fr-patient", PATIENT, {"extension": None}),
        ("fr-patient", PATIENT, {"identifier": LOCAL, "extension": [reliability("PROV")]}),
        ("fr-patient-ins", PATIENT, {}),
        ("fr-patient-ins", PATIENT, {"extension.0": reliability("QUAL")}),
        ("fr-patient-ins", PATIENT, {"identifier.0": TEST_INS}),
        ("fr-patient-ins", PATIENT, {"identifier.0": ins("INS-NIR-DEMO", "11", NIR)}),
        ("fr-patient-ins", PATIENT, {"identifier.0": TEMPORARY}),
        ("fr-patient-ins", PATIENT, {"identifier.1": OLD}),
        ("fr-patient-ins", PATIENT, {"extension.1": birth_place("2A004"), "gender": "unknown"}),
        ("fr-patient-ins", PATIENT, {"identifier.0": CORSICAN}),
        ("fr-document", DOCUMENT, {}),
        ("fr-document", DOCUMENT, {"masterIdentifier": {"system": "urn:oid:1.2.250.1.999", "value": "a-1"}}),
        ("fr-document", DOCUMENT, {"content.0.attachment": ATTACHED}),
        ("fr-immunization", IMMUNIZATION, {}),
        ("fr-allergy", ALLERGY, {}),
        ("fr-allergy", ALLERGY, {"onsetPeriod": None, "recordedDate": "2024-01-15"}),
        ("fr-measure", WEIGHT, {}),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "8310-5"), "valueQuantity": quantity(37, "Cel")}),
        ("fr-measure", PRESSURE, {}),
        ("fr-message", MESSAGE, {}),
        ("fr-message", MESSAGE, PATIENT_ANSWERS | {"inResponseTo": [{"reference": "Communication/1"}]}),
        ("fr-message", MESSAGE, {"status": "in-progress", "sent": None}),
    ],
)  # fmt: skip
def test_conforms(french: Validator, profile: str, resource: Element, changes: Element) -> None:
    assert issues_of(french, changed(resource, changes), profile) == []


@pytest.mark.parametrize(
    ("profile", "resource", "changes", "rule", "expression"),
    [
        # identity
        ("fr-patient", PATIENT, {"identifier.0.value": NIR[:-1] + "5"}, "ins-key", "Patient.identifier[0]"),
        ("fr-patient", PATIENT, {"identifier.0.type": concept("urn:x", "NH")}, "profile-pattern",
         "Patient.identifier[0].type"),
        ("fr-patient", PATIENT, {"identifier.0.type": None}, "profile-min", "Patient.identifier[0].type"),
        ("fr-patient", PATIENT, {"identifier.0.use": None}, "profile-min", "Patient.identifier[0].use"),
        ("fr-patient", PATIENT, {"identifier.0.use": "temp"}, "ins-use", "Patient.identifier[0]"),
        ("fr-patient", PATIENT, {"identifier.0": ins("INS-NIA", "9", NIR)}, "ins-use",
         "Patient.identifier[0]"),
        ("fr-patient", PATIENT, {"identifier.0.value": NIR[:13]}, "ins-form", "Patient.identifier[0]"),
        ("fr-patient", PATIENT, {"identifier.1": TEST_INS}, "fr-pat-2", "Patient"),
        ("fr-patient", PATIENT, {"extension.0": reliability("PROV")}, "fr-pat-1", "Patient"),
        ("fr-patient", PATIENT, {"identifier": None}, "profile-min", "Patient.identifier"),
        ("fr-patient", PATIENT, {"name.0.use": "maiden"}, "profile-min", "Patient.name"),
        ("fr-patient", PATIENT, {"name.1.use": "official", "name.1.given": ["A"]}, "profile-max",
         "Patient.name"),
        ("fr-patient", PATIENT, {"name.0.family": None}, "profile-min", "Patient.name[0].family"),
        ("fr-patient", PATIENT, {"name.0.given": None}, "profile-min", "Patient.name[0].given"),
        ("fr-patient", PATIENT, {"gender": None}, "profile-min", "Patient.gender"),
        ("fr-patient", PATIENT, {"birthDate": None}, "profile-min", "Patient.birthDate"),
        ("fr-patient-ins", PATIENT, {"identifier": LOCAL}, "fr-ins-1", "Patient"),
        ("fr-patient-ins", PATIENT, {"identifier.0": OLD}, "fr-ins-1", "Patient"),
        ("fr-patient-ins", PATIENT, {"extension": PATIENT["extension"][1:]}, "fr-ins-2", "Patient"),
        ("fr-patient-ins", PATIENT, {"gender": "other"}, "fr-ins-3", "Patient"),
        ("fr-patient-ins", PATIENT, {"extension.1": birth_place("75")}, "fr-ins-4", "Patient"),
        ("fr-patient-ins", PATIENT, {"extension.1.valueAddress.extension": None}, "fr-ins-4", "Patient"),
        ("fr-patient-ins", PATIENT, {"name.0.extension": None}, "fr-ins-5", "Patient.name[0]"),
        ("fr-patient-ins", PATIENT, {"name.0.given": ["CAMILLE", "ANNE"]}, "profile-max",
         "Patient.name[0].given"),
        # document
        *(("fr-document", DOCUMENT, {name: None}, "profile-min", f"DocumentReference.{name}")
          for name in ("masterIdentifier", "type", "category", "subject", "date", "author", "custodian",
                       "context", "context.period", "context.period.start", "context.facilityType",
                       "context.practiceSetting")),
        *(("fr-document", DOCUMENT, {f"content.0.attachment.{name}": None}, "profile-min",
           f"DocumentReference.content[0].attachment.{name}")
          for name in ("contentType", "language", "size", "hash", "title", "creation")),
        ("fr-document", DOCUMENT, {"content.0.format": None}, "profile-min",
         "DocumentReference.content[0].format"),
        ("fr-document", DOCUMENT, {"content.0.attachment.url": None}, "fr-doc-4",
         "DocumentReference.content[0].attachment"),
        ("fr-document", DOCUMENT, {"content.0.attachment.hash": "YQ=="}, "fr-doc-5",
         "DocumentReference.content[0].attachment.hash"),
        ("fr-document", DOCUMENT, {"content": DOCUMENT["content"] * 2}, "profile-max",
         "DocumentReference.content"),
        ("fr-document", DOCUMENT, {"category": DOCUMENT["category"] * 2}, "profile-max",
         "DocumentReference.category"),
        ("fr-document", DOCUMENT, {"masterIdentifier.value": "1.2.250.1.999.2.1"}, "fr-doc-3",
         "DocumentReference.masterIdentifier"),
        ("fr-document", DOCUMENT, {"masterIdentifier.system": None}, "profile-min",
         "DocumentReference.masterIdentifier.system"),
        ("fr-document", DOCUMENT, {"subject.reference": "Group/1"}, "profile-target",
         "DocumentReference.subject"),
        ("fr-document", DOCUMENT, {"securityLabel": DOCUMENT["securityLabel"][1:]}, "fr-doc-1",
         "DocumentReference"),
        ("fr-document", DOCUMENT, {"securityLabel": [*LABELS, concept(CONFIDENTIALITY, "R")]}, "fr-doc-1",
         "DocumentReference"),
        ("fr-document", DOCUMENT, {"securityLabel": [*LABELS, concept(VISIBILITIES, "MASQUE")]}, "fr-doc-6",
         "DocumentReference"),
        # vaccination
        ("fr-immunization", IMMUNIZATION, {"status": "not-done"}, "profile-fixed", "Immunization.status"),
        ("fr-immunization", IMMUNIZATION, {"vaccineCode": {"text": "BCG"}}, "profile-min",
         "Immunization.vaccineCode.coding"),
        ("fr-immunization", IMMUNIZATION, {"vaccineCode": concept("http://www.whocc.no/atc", "J07AM01")},
         "profile-min", "Immunization.vaccineCode.coding"),
        ("fr-immunization", IMMUNIZATION, {"vaccineCode.coding.0.code": "3400930000001"}, "fr-imm-1",
         "Immunization.vaccineCode.coding[0]"),
        ("fr-immunization", IMMUNIZATION, {"occurrenceDateTime": None, "occurrenceString": "1975"},
         "profile-choice", "Immunization.occurrence.ofType(string)"),
        # allergy
        ("fr-allergy", ALLERGY, {"code": None}, "profile-min", "AllergyIntolerance.code"),
        ("fr-allergy", ALLERGY, {"code": {"coding": [{"display": "Pollen"}]}}, "fr-alg-3",
         "AllergyIntolerance.code"),
        ("fr-allergy", ALLERGY, {"onsetPeriod": {"end": "2000"}}, "fr-alg-2", "AllergyIntolerance"),
        # measures
        ("fr-measure", WEIGHT, {"valueQuantity.code": "[lb_av]"}, "fr-obs-weight", "Observation"),
        ("fr-measure", WEIGHT, {"valueQuantity.system": "urn:x"}, "fr-obs-weight", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "8302-2")}, "fr-obs-length", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "9843-4")}, "fr-obs-head", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "39156-5")}, "fr-obs-bmi", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "8310-5")}, "fr-obs-temperature", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "8867-4")}, "fr-obs-rate", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "59408-5")}, "fr-obs-saturation", "Observation"),
        ("fr-measure", WEIGHT, {"code": concept(LOINC, "8480-6")}, "fr-obs-pressure", "Observation"),
        ("fr-measure", PRESSURE, {"component": PRESSURE["component"][:1]}, "fr-obs-panel", "Observation"),
        ("fr-measure", PRESSURE, {"component.0.valueQuantity.code": "kPa"}, "fr-obs-panel", "Observation"),
        ("fr-measure", WEIGHT, {"effectiveDateTime": None}, "profile-min", "Observation.effective"),
        ("fr-measure", WEIGHT, {"subject": None}, "profile-min", "Observation.subject"),
        # message
        *(("fr-message", MESSAGE, {name: None}, "profile-min", f"Communication.{name}")
          for name in ("identifier", "category", "medium", "subject", "recipient", "sender", "payload")),
        ("fr-message", MESSAGE, {"sent": None}, "fr-msg-1", "Communication"),
        ("fr-message", MESSAGE, PATIENT_ANSWERS, "fr-msg-2", "Communication"),
        ("fr-message", MESSAGE, {"sender": {"reference": "Patient/2"},
                                 "inResponseTo": [{"reference": "Communication/1"}]}, "fr-msg-3",
         "Communication"),
    ],
)  # fmt: skip
def test_does_not_conform(
    french: Validator, profile: str, resource: Element, changes: Element, rule: str, expression: str
) -> None:
    found = issues_of(french, changed(resource, changes), profile)
    assert ("error", rule, expression) in [(i.severity, i.rule, i.expression) for i in found]


@pytest.mark.parametrize(
    ("profile", "resource", "changes", "rule"),
    [
        ("fr-patient", PATIENT, {"identifier.0": ins("INS-NIR-TEST", "10", NIR[:-1] + "5")}, "ins-key"),
        ("fr-patient-ins", PATIENT, {"name.0.given": ["ANNE"]}, "fr-ins-6"),
        ("fr-document", DOCUMENT,
         {"securityLabel": [*DOCUMENT["securityLabel"], concept(VISIBILITIES, "INVISIBLE_PATIENT")]},
         "fr-doc-2"),
        ("fr-allergy", ALLERGY, {"onsetPeriod": None}, "fr-alg-1"),
    ],
)  # fmt: skip
def test_is_worth_a_warning(
    french: Validator, profile: str, resource: Element, changes: Element, rule: str
) -> None:
    found = issues_of(french, changed(resource, changes), profile)
    assert [(i.severity, i.rule) for i in found] == [("warning", rule)]


def test_a_type_that_has_to_conform(definitions: Definitions, tmp_path: Path) -> None:
    """As FHIRSERVER_REQUIRED_PROFILES says it; nothing is claimed."""
    directory = ROOT / "profiles"
    policy = Policy({"*": "refuse"}, {"Patient": (PROFILE + "fr-patient",)})
    validator = Validator(definitions, operators(directory, directory / "packages", tmp_path), policy)
    assert validator.validate(PATIENT) == []
    assert [i.severity for i in validator.validate(changed(PATIENT, {"gender": None}))] == ["error"]
