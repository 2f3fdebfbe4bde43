"""Each row is a profile's differential, a resource that conforms to it and one that does not."""

from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation import Policy, Validator

Element = dict[str, Any]

BASE = "http://hl7.org/fhir/StructureDefinition/"
URL = "https://example.org/profiles/one"
LOINC = "http://loinc.org"


def profile(type: str, *elements: Element, base: str = "", url: str = URL, **more: Any) -> Element:
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "version": "1.0",
        "name": "One",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type,
        "baseDefinition": base or BASE + type,
        "derivation": "constraint",
        "differential": {"element": [{"id": type, "path": type}, *elements]},
        **more,
    }


def element(path: str, **constraints: Any) -> Element:
    return {"id": path, "path": path, **constraints}


def sliced(path: str, kind: str, discriminator: str, rules: str = "open", ordered: bool = False) -> Element:
    found = {"type": kind, "path": discriminator}
    return element(path, slicing={"discriminator": [found], "rules": rules, "ordered": ordered})


def slice(path: str, name: str, **constraints: Any) -> Element:
    return {"id": f"{path}:{name}", "path": path, "sliceName": name, **constraints}


def concept(code: str, system: str = LOINC) -> Element:
    return {"coding": [{"system": system, "code": code}]}


def patient(**elements: Any) -> Element:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> Element:
    return {"resourceType": "Observation", "status": "final", "code": concept("1-1"), **elements}


def identifier(system: str, value: str = "1") -> Element:
    return {"system": system, "value": value}


def component(code: str, **value: Any) -> Element:
    return {"code": concept(code), **value}


def invariant(expression: str, severity: str = "error") -> list[Element]:
    return [{"key": "one-1", "severity": severity, "human": "It has to be so", "expression": expression}]


NIR = "urn:oid:1.2.250.1.213.1.4.8"
IPP = "urn:oid:1.2.250.1.999"
IDENTIFIERS = [
    sliced("Patient.identifier", "value", "system"),
    slice("Patient.identifier", "nir", min=1, max="1"),
    element("Patient.identifier.system", min=1, fixedUri=NIR),
    slice("Patient.identifier", "ipp", max="1"),
    element("Patient.identifier.system", fixedUri=IPP),
]
KIN = {"relationship": [concept("a")], "name": {"text": "x"}}
UNITS = {"system": "http://unitsofmeasure.org", "code": "kg"}
ANY: Element = {"reference": "https://elsewhere.example.org/1"}

CASES: list[tuple[str, list[Element], Element, Element, str, str]] = [
    # cardinality, values
    ("min", [element("Patient.birthDate", min=1)], patient(birthDate="2000"), patient(),
     "profile-min", "Patient.birthDate"),
    ("min of what has a value elsewhere", [element("Patient.birthDate", min=1)],
     patient(_birthDate={"extension": [{"url": "urn:x", "valueCode": "a"}]}), patient(),
     "profile-min", "Patient.birthDate"),
    ("max", [element("Patient.name", max="1")], patient(name=[{"text": "a"}]),
     patient(name=[{"text": "a"}, {"text": "b"}]), "profile-max", "Patient.name"),
    ("forbidden", [element("Patient.photo", max="0")], patient(),
     patient(photo=[{"url": "https://example.org/x"}]), "profile-max", "Patient.photo"),
    ("inside a datatype", [element("Patient.name.family", min=1)], patient(name=[{"family": "A"}]),
     patient(name=[{"family": "A"}, {"text": "b"}]), "profile-min", "Patient.name[1].family"),
    ("fixed", [element("Patient.active", fixedBoolean=True)], patient(active=True), patient(active=False),
     "profile-fixed", "Patient.active"),
    ("pattern", [element("Observation.code", patternCodeableConcept=concept("1-1"))],
     observation(code={"text": "x", **concept("1-1")}), observation(code=concept("2-2")),
     "profile-pattern", "Observation.code"),
    ("length", [element("Patient.name.text", maxLength=3)], patient(name=[{"text": "abc"}]),
     patient(name=[{"text": "abcd"}]), "profile-length", "Patient.name[0].text"),
    ("range", [element("Patient.birthDate", minValueDate="1900-01-01")], patient(birthDate="1900-01-01"),
     patient(birthDate="1899"), "profile-range", "Patient.birthDate"),
    ("binding", [element("Patient.name.use", binding={
        "strength": "required", "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender"})],
     patient(name=[{"text": "a"}]), patient(name=[{"use": "usual"}]), "code", "Patient.name[0].use"),
    ("invariant", [element("Patient.name", constraint=invariant("family.exists() or text.exists()"))],
     patient(name=[{"text": "a"}]), patient(name=[{"use": "usual"}]), "one-1", "Patient.name[0]"),
    # types
    ("choice", [element("Observation.value[x]", type=[{"code": "Quantity"}])],
     observation(valueQuantity={"value": 1}), observation(valueString="a"),
     "profile-choice", "Observation.value.ofType(string)"),
    ("choice by its JSON name", [element("Observation.valueQuantity.unit", min=1)],
     observation(valueQuantity={"value": 1, "unit": "kg"}), observation(valueQuantity={"value": 1}),
     "profile-min", "Observation.value.ofType(Quantity).unit"),
    ("a choice's type", [
        sliced("Observation.value[x]", "type", "$this"),
        slice("Observation.value[x]", "valueQuantity", type=[{"code": "Quantity"}]),
        element("Observation.value[x].code", fixedCode="kg")],
     observation(valueQuantity=UNITS), observation(valueQuantity={**UNITS, "code": "g"}),
     "profile-fixed", "Observation.value.ofType(Quantity).code"),
    ("target", [element("Observation.subject", type=[
        {"code": "Reference", "targetProfile": [BASE + "Patient"]}])],
     observation(subject={"reference": "Patient/1"}), observation(subject={"reference": "Group/1"}),
     "profile-target", "Observation.subject"),
    ("a datatype's profile", [element("Observation.subject.identifier", type=[
        {"code": "Identifier", "profile": ["https://example.org/profiles/identifier"]}])],
     observation(subject={"identifier": identifier("urn:x")}),
     observation(subject={"identifier": {"use": "usual"}}),
     "profile-min", "Observation.subject.identifier.value"),
    # slicing
    ("slice by value", IDENTIFIERS, patient(identifier=[identifier("urn:x"), identifier(NIR)]),
     patient(identifier=[identifier("urn:x")]), "profile-min", "Patient.identifier"),
    ("slice at most", IDENTIFIERS, patient(identifier=[identifier(NIR), identifier(IPP)]),
     patient(identifier=[identifier(NIR), identifier(NIR, "2")]), "profile-max", "Patient.identifier"),
    ("slice by pattern", [
        sliced("Observation.component", "pattern", "code"),
        slice("Observation.component", "a", min=1),
        element("Observation.component.code", patternCodeableConcept=concept("a")),
        element("Observation.component.value[x]", min=1)],
     observation(component=[component("b"), component("a", valueString="x")]),
     observation(component=[component("a")]), "profile-min", "Observation.component[0].value"),
    ("slice by a part of a pattern", [
        sliced("Observation.component", "value", "code.coding.code"),
        slice("Observation.component", "a", max="0"),
        element("Observation.component.code", patternCodeableConcept=concept("a"))],
     observation(component=[component("b")]), observation(component=[component("a")]),
     "profile-max", "Observation.component"),
    ("slice that exists", [
        sliced("Patient.contact", "exists", "relationship"),
        slice("Patient.contact", "kin"), element("Patient.contact.relationship", min=1),
        element("Patient.contact.name", min=1)],
     patient(contact=[KIN, {"telecom": [{"system": "phone"}]}]),
     patient(contact=[{"relationship": [concept("a")], "address": {"city": "Lyon"}}]),
     "profile-min", "Patient.contact[0].name"),
    ("slice by type of a resource", [
        sliced("Bundle.entry", "type", "resource"),
        slice("Bundle.entry", "p", min=1), element("Bundle.entry.resource", type=[{"code": "Patient"}])],
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation()}]},
     "profile-min", "Bundle.entry"),
    ("a profile that is the type of a resource", [
        element("Bundle.entry.resource", type=[{"code": "Resource", "profile": [BASE + "Patient"]}])],
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation()}]},
     "profile-choice", "Bundle.entry[0].resource"),
    ("what an entry's resource contains is found from the Bundle", [
        element("Bundle", constraint=invariant(
            "entry.resource.managingOrganization.all(resolve().exists())"))],
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(
         contained=[{"resourceType": "Organization", "id": "o", "name": "CH"}],
         managingOrganization={"reference": "#o"})}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(
         managingOrganization={"reference": "urn:uuid:1"})}]},
     "one-1", "Bundle"),
    ("slice that only one of the discriminators is about", [
        element("Patient.identifier", slicing={"rules": "open", "discriminator": [
            {"type": "value", "path": "system"}, {"type": "value", "path": "use"}]}),
        slice("Patient.identifier", "nir", min=1), element("Patient.identifier.system", fixedUri=NIR)],
     patient(identifier=[identifier(NIR)]), patient(identifier=[identifier(IPP)]),
     "profile-min", "Patient.identifier"),
    ("slice by profile", [
        sliced("Bundle.entry", "profile", "resource", "closed"),
        slice("Bundle.entry", "p"),
        element("Bundle.entry.resource", type=[{"code": "Patient", "profile": [URL + "/born"]}])],
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(birthDate="2000")}]},
     {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]},
     "slice-closed", "Bundle.entry[0]"),
    ("slice by what is referred to", [
        sliced("Observation.performer", "type", "resolve()", "closed"),
        slice("Observation.performer", "p", type=[
            {"code": "Reference", "targetProfile": [BASE + "Practitioner"]}])],
     observation(performer=[{"reference": "Practitioner/1"}]),
     observation(performer=[{"reference": "Patient/1"}]), "slice-closed", "Observation.performer[0]"),
    ("closed", [sliced("Patient.identifier", "value", "system", "closed"), *IDENTIFIERS[1:]],
     patient(identifier=[identifier(NIR)]), patient(identifier=[identifier(NIR), identifier("urn:x")]),
     "slice-closed", "Patient.identifier[1]"),
    ("ordered", [sliced("Patient.identifier", "value", "system", ordered=True), *IDENTIFIERS[1:]],
     patient(identifier=[identifier(NIR), identifier(IPP)]),
     patient(identifier=[identifier(IPP), identifier(NIR)]), "slice-order", "Patient.identifier[1]"),
    ("sliced again", [
        *IDENTIFIERS[:3],
        {**sliced("Patient.identifier", "value", "use"), "sliceName": "nir", "min": 1},
        slice("Patient.identifier", "nir/official", min=1),
        element("Patient.identifier.use", fixedCode="official")],
     patient(identifier=[{**identifier(NIR), "use": "official"}]), patient(identifier=[identifier(NIR)]),
     "profile-min", "Patient.identifier"),
    ("the rest of the slices", [
        sliced("Patient.identifier", "value", "system"), *IDENTIFIERS[1:3],
        slice("Patient.identifier", "@default"), element("Patient.identifier.value", min=1)],
     patient(identifier=[{"system": NIR}, identifier("urn:x")]),
     patient(identifier=[identifier(NIR), {"system": "urn:x"}]),
     "profile-min", "Patient.identifier[1].value"),
    # extensions
    ("extension", [
        slice("Patient.extension", "place", min=1, type=[
            {"code": "Extension", "profile": [BASE + "patient-birthPlace"]}])],
     patient(extension=[{"url": BASE + "patient-birthPlace", "valueAddress": {"city": "Lyon"}}]),
     patient(extension=[{"url": "urn:x", "valueCode": "a"}]), "profile-min", "Patient.extension"),
]  # fmt: skip


@pytest.fixture(scope="module")
def validators(definitions: Definitions) -> Validator:
    """A validator of this module's own: profiles are put into it."""
    validator = Validator(definitions)
    element_ = element("Identifier.value", min=1)
    validator.profiles.put(profile("Identifier", element_, url="https://example.org/profiles/identifier"))
    validator.profiles.put(profile("Patient", element("Patient.birthDate", min=1), url=URL + "/born"))
    return validator


@pytest.mark.parametrize(
    ("elements", "right", "wrong", "rule", "expression"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_profile(
    validators: Validator, elements: list[Element], right: Element, wrong: Element, rule: str, expression: str
) -> None:
    validators.profiles.put(profile(right["resourceType"], *elements))
    assert validators.validate(right, profiles=[URL]) == []
    issues = validators.validate(wrong, profiles=[URL])
    assert [(i.severity, i.rule, i.expression) for i in issues] == [("error", rule, expression)]


BLOOD_PRESSURE: Element = {
    "resourceType": "Observation",
    "meta": {"profile": [BASE + "bp"]},
    "status": "final",
    "category": [concept("vital-signs", "http://terminology.hl7.org/CodeSystem/observation-category")],
    "code": concept("85354-9"),
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-01-01",
    "component": [
        component("8480-6", valueQuantity={"value": 120, **UNITS, "unit": "mmHg", "code": "mm[Hg]"}),
        component("8462-4", valueQuantity={"value": 80, **UNITS, "unit": "mmHg", "code": "mm[Hg]"}),
    ],
}


def wrong_pressure(**elements: Any) -> Element:
    return {**BLOOD_PRESSURE, **elements}


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (wrong_pressure(category=[concept("laboratory")]), {"Observation.category"}),
        (wrong_pressure(component=BLOOD_PRESSURE["component"][:1]), {"Observation.component"}),
        (wrong_pressure(code=concept("1-1")), {"Observation.code.coding"}),
        (
            wrong_pressure(component=[BLOOD_PRESSURE["component"][0], component("8462-4", valueString="80")]),
            {"Observation.component[1].value.ofType(string)"},
        ),
    ],
)
def test_a_snapshot_of_the_specification_that_is_claimed(
    validator: Validator, wrong: Element, found: set[str]
) -> None:
    assert validator.validate(BLOOD_PRESSURE) == []
    issues = validator.validate(wrong)
    assert {i.expression for i in issues if i.severity == "error"} >= found


def test_a_profile_of_a_profile(validators: Validator) -> None:
    derived = profile("Observation", element("Observation.performer", min=1), base=BASE + "bp")
    validators.profiles.put(derived)
    issues = validators.validate(wrong_pressure(component=[]), profiles=[URL])
    assert {"Observation.performer", "Observation.component"} <= {i.expression for i in issues}


@pytest.mark.parametrize(
    ("definition", "url", "severity", "code", "text"),
    [
        (None, "https://example.org/none", "warning", "not-supported", "is not known here"),
        (None, URL + "|9.9", "warning", "not-supported", "is not known here"),
        (None, BASE + "Organization", "error", "invalid", "is about Organization"),
        (profile("Organization"), URL, "error", "invalid", "is about Organization"),
        (profile("Patient", base="https://example.org/none"), URL, "warning", "incomplete", "its base"),
        (profile("Patient", base=URL), URL, "warning", "incomplete", "its base"),
        (profile("Patient", {"id": "x"}), URL, "warning", "incomplete", "not well-formed"),
        (profile("Patient", element("Patient", constraint=invariant("a.b("))), URL, "warning",
         "incomplete", "one-1 could not be checked"),
        (profile("Patient", element("Patient", constraint=invariant("%unknown"))), URL, "warning",
         "incomplete", "%unknown is not known"),
        (profile("Patient", element("Patient", constraint=invariant("active", "warning"))), URL, "warning",
         "invariant", "It has to be so"),
        (profile("Patient", element("Patient.gender", binding={
            "strength": "required", "valueSet": "https://example.org/vs"})), URL, "warning", "incomplete",
         "the value set https://example.org/vs is not known"),
        (profile("Patient", sliced("Patient.name", "value", "period.start.x("),
                 slice("Patient.name", "a")), URL, "warning", "incomplete", "could not be told apart"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_a_warning(
    validators: Validator, definition: Element | None, url: str, severity: str, code: str, text: str
) -> None:
    validators.profiles.put(definition or profile("Patient"))
    resource = patient(gender="male", name=[{"text": "a"}])
    issues = validators.validate(resource, profiles=[url])
    assert [(i.severity, i.code) for i in issues] == [(severity, code)]
    assert text in issues[0].text


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(), ["error"]),
        (Policy({"*": "refuse"}), ["error"]),
        (Policy({"*": "refuse", "Patient": "warn"}), ["warning"]),
        (Policy({"*": "off"}), []),
        (Policy({"*": "off", "Patient": "refuse"}), ["error"]),
        (Policy({"*": "refuse"}, {"Patient": (URL,)}), ["error", "error"]),
    ],
)
def test_policy(definitions: Definitions, policy: Policy, expected: list[str]) -> None:
    validator = Validator(definitions, None, policy)
    validator.profiles.put(profile("Patient", element("Patient.birthDate", min=1)))
    claimed = URL + "|1.0"
    issues = validator.validate(patient(meta={"profile": [claimed]}))
    assert [issue.severity for issue in issues] == expected


def test_a_profile_that_was_removed_is_unknown(validators: Validator) -> None:
    validators.profiles.put(profile("Patient", element("Patient.birthDate", min=1)))
    validators.profiles.remove(URL)
    (issue,) = validators.validate(patient(), profiles=[URL])
    assert (issue.severity, issue.rule) == ("warning", "profile-unknown")


def test_issues_of_a_contained_resource(validators: Validator) -> None:
    """What a reference points to inside conforms to the profile of its target."""
    target = [{"code": "Reference", "targetProfile": [URL + "/born"]}]
    validators.profiles.put(profile("Observation", element("Observation.subject", type=target)))
    inside = {"resourceType": "Patient", "id": "p"}
    resource = observation(contained=[inside], subject={"reference": "#p"})
    (issue,) = validators.validate(resource, profiles=[URL])
    assert (issue.rule, issue.expression) == ("profile-target", "Observation.subject")
    resource["contained"] = [{**inside, "birthDate": "2000"}]
    assert validators.validate(resource, profiles=[URL]) == []


def test_every_profile_of_the_specification_compiles(definitions: Definitions, validator: Validator) -> None:
    for url in definitions.profiles:
        assert validator.profiles.find(url) is not None  # raises UnusableProfile
