from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirserver.validation import Validator

Element = dict[str, Any]

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
EXTENSION = {"url": "urn:x", "valueCode": "a"}
CONTAINED = {"resourceType": "Organization", "id": "o", "name": "CH"}


def patient(**elements: Any) -> Element:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> Element:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def reference(reference: str, **elements: Any) -> Element:
    return patient(managingOrganization={"reference": reference, **elements})


def allergy(system: str, code: str, *more: Element) -> Element:
    return {
        "resourceType": "AllergyIntolerance",
        "patient": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [{"system": system, "code": code}, *more]},
    }


ALLERGY_STATUS = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"

RIGHT: list[Element] = [
    patient(),
    patient(id="1"),
    patient(
        id="1",
        meta={"versionId": "1", "lastUpdated": "2024-01-01T00:00:00Z"},
        text={"status": "generated", "div": f"<div {XHTML}>a</div>"},
        extension=[EXTENSION],
        name=[{"id": "a", "given": ["A", None], "_given": [None, {"extension": [EXTENSION]}]}],
        birthDate="1980",
        _birthDate={"id": "b"},
        _gender={"extension": [EXTENSION]},
        deceasedBoolean=False,
        _deceasedBoolean={"extension": [EXTENSION]},
        multipleBirthInteger=2,
        link=[{"other": {"reference": "RelatedPerson/1"}, "type": "seealso"}],
    ),
    # A required element may have an extension in the place of its value.
    {**observation(), "_status": {"extension": [EXTENSION]}},
    {"resourceType": "Observation", "_status": {"extension": [EXTENSION]}, "code": {"text": "x"}},
    observation(valueQuantity={"value": Decimal("1.10")}),
    observation(valueQuantity={"value": 1, "comparator": "<"}),
    # A twin alone in an array, and shorter lists of extensions cannot be: null pads.
    patient(name=[{"_given": [{"extension": [EXTENSION]}]}]),
    # MIME types and currencies are not listed by the package: any code is taken.
    patient(photo=[{"contentType": "image/x-new", "url": "https://example.org/a"}]),
    # The recursion of Questionnaire.item
    {
        "resourceType": "Questionnaire",
        "status": "draft",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "2", "type": "display"}]}],
    },
    # references
    reference("Organization/1"),
    reference("Organization/1/_history/2"),
    reference("https://example.org/fhir/Organization/1"),
    reference("https://example.org/somewhere/else"),
    reference("urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    reference("Organization?identifier=urn:x|1"),
    reference("Organization/1", type="Organization"),
    reference("https://example.org/else", type="http://hl7.org/fhir/StructureDefinition/Organization"),
    patient(managingOrganization={"display": "CH"}),
    patient(contained=[CONTAINED], managingOrganization={"reference": "#o"}),
    {"resourceType": "Provenance", "target": [{"reference": "Binary/1"}], "recorded": "2024-01-01T00:00:00Z",
     "agent": [{"who": {"reference": "Practitioner/1"}}]},
    # A contained resource may refer to the one that contains it.
    patient(contained=[{"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"},
                        "subject": {"reference": "#"}}]),
    # bindings
    allergy(ALLERGY_STATUS, "active"),
    allergy("urn:local", "A", {"system": ALLERGY_STATUS, "code": "active"}),
    # resources inside
    {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]},
    {"resourceType": "Parameters", "parameter": [{"name": "a", "part": [{"name": "b", "valueId": "x"}]}]},
]  # fmt: skip


@pytest.mark.parametrize("resource", RIGHT)
def test_right(validator: Validator, resource: Element) -> None:
    assert validator.validate(resource) == []


WRONG: list[tuple[Any, str, str, str]] = [
    # resources
    (None, "Resource", "structure", "an object with its resourceType"),
    ([], "Resource", "structure", "an object with its resourceType"),
    ({}, "Resource", "structure", "an object with its resourceType"),
    ({"resourceType": "Ward"}, "Resource", "structure", "'Ward' is not a resource type"),
    ({"resourceType": "DomainResource"}, "Resource", "structure", "'DomainResource' is not a resource type"),
    ({"resourceType": 1}, "Resource", "structure", "1 is not a resource type"),
    # names
    (patient(nam=[]), "Patient.nam", "structure", "'nam' is not an element of Patient; did you mean 'name'?"),
    (patient(name=[{"famly": "A"}]), "Patient.name[0].famly", "structure", "did you mean 'family'?"),
    (patient(contact=[{"name": {"text": "a"}, "nom": 1}]), "Patient.contact[0].nom", "structure",
     "not an element of Patient.contact"),
    (patient(fhir_comments=["a"]), "Patient.fhir_comments", "structure", "not an element"),
    (patient(name=[{"text": "a", "resourceType": "HumanName"}]), "Patient.name[0].resourceType", "structure",
     "not an element"),
    (patient(name=[{"text": "a", "x" * 1000: 1}]), "Patient.name[0]", "structure", "not an element"),
    (patient(_name=[{"id": "1"}]), "Patient._name", "structure", "not an element"),
    (patient(_id={"extension": [EXTENSION]}), "Patient._id", "structure", "not an element"),
    # choices
    (patient(deceased=True), "Patient.deceased", "structure", "deceasedBoolean, deceasedDateTime"),
    (patient(deceasedString="a"), "Patient.deceasedString", "structure", "not an element"),
    (patient(deceasedBoolean=True, deceasedDateTime="2024"), "Patient.deceased", "structure",
     "can be there once"),
    (patient(deceasedBoolean=True, _deceasedDateTime={"extension": [EXTENSION]}), "Patient.deceased",
     "structure",
     "not as deceasedBoolean and deceasedDateTime"),
    (observation(value="a"), "Observation.value", "structure", "such as valueQuantity"),
    (observation(valueQuantity={"value": "1"}), "Observation.value.ofType(Quantity).value", "value",
     "'1' is not a number"),
    # cardinality and JSON types
    ({"resourceType": "Observation", "code": {"text": "x"}}, "Observation.status", "required",
     "Observation needs status"),
    ({"resourceType": "Immunization", "status": "completed", "vaccineCode": {"text": "x"},
      "patient": {"reference": "Patient/1"}}, "Immunization.occurrence", "required", "needs occurrence"),
    (patient(link=[{"type": "seealso"}]), "Patient.link[0].other", "required", "Patient.link needs other"),
    (patient(name={"text": "a"}), "Patient.name", "structure", "has to be an array"),
    (patient(name=[]), "Patient.name", "structure", "ele-1: an array cannot be empty"),
    (patient(name=[{}]), "Patient.name[0]", "structure", "ele-1"),
    (patient(name=[{"id": "a"}]), "Patient.name[0]", "structure", "ele-1"),
    (patient(name=[None]), "Patient.name[0]", "structure", "not null"),
    (patient(name=["a"]), "Patient.name[0]", "structure", "has to be an object, not 'a'"),
    (patient(name=[["a"]]), "Patient.name[0]", "structure", "not an array"),
    (patient(maritalStatus=[{"text": "a"}]), "Patient.maritalStatus", "structure", "cannot be an array"),
    (patient(maritalStatus=None), "Patient.maritalStatus", "structure", "not null"),
    (patient(gender=["male"]), "Patient.gender", "structure", "cannot be an array"),
    (patient(gender={"a": 1}), "Patient.gender", "structure", "an object is not"),
    (patient(gender=None), "Patient.gender", "structure", "cannot be null or empty"),
    (patient(gender=""), "Patient.gender", "structure", "cannot be null or empty"),
    (patient(active="true"), "Patient.active", "value", "'true' is not true or false"),
    (patient(birthDate=True), "Patient.birthDate", "value", "true is not a date"),
    (patient(multipleBirthInteger="2"), "Patient.multipleBirth.ofType(integer)", "value",
     "'2' is not a whole"),
    (patient(name=[{"given": "A"}]), "Patient.name[0].given", "structure", "has to be an array"),
    (patient(name=[{"given": ["A", ""]}]), "Patient.name[0].given[1]", "structure",
     "cannot be null or empty"),
    (patient(name=[{"given": ["A", 1]}]), "Patient.name[0].given[1]", "value", "1 is not a string"),
    (patient(id="a" * 65), "Patient.id", "value", "is not an id"),
    (patient(birthDate="2023-02-29"), "Patient.birthDate", "value", "'2023-02-29' is not a date that exists"),
    (patient(name=[{"id": "a b", "text": "a"}]), "Patient.name[0].id", "value", "without white space"),
    # nulls and twins
    (patient(name=[{"given": ["A", None]}]), "Patient.name[0].given[1]", "structure", "null needs an object"),
    (patient(name=[{"given": ["A"], "_given": [None, {"id": "a"}]}]), "Patient.name[0].given", "structure",
     "1 and 2 items"),
    (patient(name=[{"given": ["A"], "_given": {"id": "a"}}]), "Patient.name[0].given", "structure", "array"),
    (patient(name=[{"_given": [None, {"extension": [EXTENSION]}]}]), "Patient.name[0].given[0]", "structure",
     "ele-1: null"),
    (patient(_birthDate={"id": "a"}), "Patient.birthDate", "structure", "nothing but an id"),
    (patient(_birthDate={}), "Patient.birthDate", "structure", "cannot be empty"),
    (patient(_birthDate=[{"extension": [EXTENSION]}]), "Patient.birthDate", "structure",
     "cannot be an array"),
    (patient(_birthDate={"value": "2000"}), "Patient.birthDate.value", "structure",
     "not an element of Element"),
    # extensions
    (patient(extension=[{"valueCode": "a"}]), "Patient.extension[0].url", "required", "Extension needs url"),
    (patient(extension=[{"url": "urn:x", "valueFoo": "a"}]), "Patient.extension[0].valueFoo", "structure",
     "not an element"),
    (patient(extension=[{"url": "urn:x", "valuePeriod": {"start": "x"}}]),
     "Patient.extension[0].value.ofType(Period).start", "value", "not a date"),
    # narratives
    (patient(text={"status": "generated", "div": f"<div {XHTML}><script/></div>"}), "Patient.text.div",
     "value",
     "The narrative is refused: txt-1"),
    (patient(text={"status": "generated", "div": 1}), "Patient.text.div", "value", "1 is not a narrative"),
    # bindings
    (patient(gender="man"), "Patient.gender", "code-invalid",
     "'man' is not one of male, female, other, unknown"),
    (observation(status="done"), "Observation.status", "code-invalid", "one of registered, preliminary"),
    (allergy("urn:local", "active"), "AllergyIntolerance.clinicalStatus", "code-invalid",
     "'urn:local|active'"),
    (allergy(ALLERGY_STATUS, "zzz"), "AllergyIntolerance.clinicalStatus", "code-invalid",
     "no coding is one of"),
    ({**allergy(ALLERGY_STATUS, "active"), "clinicalStatus": {"text": "active"}},
     "AllergyIntolerance.clinicalStatus", "code-invalid", "a coding is needed"),
    (patient(communication=[{"language": {"coding": [{"code": " fr"}]}}]),
     "Patient.communication[0].language.coding[0].code", "value", "is not a code"),
    (patient(meta={"security": [{"system": "urn:x", "code": "a  b"}]}), "Patient.meta.security[0].code",
     "value",
     "is not a code"),
    # quantities
    (observation(referenceRange=[{"low": {"value": 1, "comparator": "<"}}]),
     "Observation.referenceRange[0].low.comparator", "invariant", "sqty-1"),
    # references
    (reference("Patient/1"), "Patient.managingOrganization", "value",
     "'Patient' cannot be referred to here, only"),
    (reference("https://example.org/fhir/Patient/1"), "Patient.managingOrganization", "value",
     "cannot be referred"),
    (reference("Patient?identifier=1"), "Patient.managingOrganization", "value", "cannot be referred"),
    (reference("urn:uuid:1", type="Patient"), "Patient.managingOrganization", "value", "cannot be referred"),
    (reference("Organization/1", type="Patient"), "Patient.managingOrganization.type", "value",
     "the reference points to Organization"),
    (reference("Ward/1"), "Patient.managingOrganization.reference", "value", "'Ward' is not a resource type"),
    (reference("#o"), "Patient.managingOrganization.reference", "invariant", "ref-1"),
    (reference("#"), "Patient.managingOrganization.reference", "invariant", "ref-1"),
    (patient(contained=[CONTAINED], managingOrganization={"reference": "#o"},
             generalPractitioner=[{"reference": "#p"}]), "Patient.generalPractitioner[0].reference",
             "invariant",
     "ref-1"),
    (patient(contained=[CONTAINED], link=[{"other": {"reference": "#o"}, "type": "refer"}]),
     "Patient.link[0].other",
     "value", "'Organization' cannot be referred to here, only Patient, RelatedPerson"),
    # resources inside
    (patient(contained=[{**CONTAINED, "nam": 1}], managingOrganization={"reference": "#o"}),
     "Patient.contained[0].nam", "structure", "'nam' is not an element of Organization"),
    (patient(contained=CONTAINED), "Patient.contained", "structure", "has to be an array"),
    (patient(contained=[{"id": "a"}]), "Patient.contained[0]", "structure", "resourceType"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}, {"resource": {
        "resourceType": "Ward"}}]}, "Bundle.entry[1].resource", "structure", "'Ward' is not a resource type"),
    ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(gender="x")}]},
     "Bundle.entry[0].resource.gender", "code-invalid", "'x' is not"),
    # What is contained in one entry cannot be referred to from another.
    ({"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": patient(contained=[CONTAINED], managingOrganization={"reference": "#o"})},
        {"resource": reference("#o")}]}, "Bundle.entry[1].resource.managingOrganization.reference",
        "invariant",
     "ref-1"),
    (patient(contained=[CONTAINED, CONTAINED], managingOrganization={"reference": "#o"}),
     "Patient.contained[1].id", "duplicate", "'o' occurs twice"),
    ({"resourceType": "Bundle", "type": "document", "timestamp": "2024-01-01T00:00:00Z",
      "identifier": {"system": "urn:x", "value": "1"}, "entry": [
        {"fullUrl": "https://example.org/fhir/Composition/c", "resource": {
            "resourceType": "Composition", "id": "c", "status": "final", "type": {"text": "x"},
            "date": "2024", "title": "x", "author": [{"reference": "Practitioner/p"}, {"display": "y"}],
            "section": [{"entry": [{"reference": "List/none"}]}]}},
        {"fullUrl": "https://example.org/fhir/Practitioner/p", "resource": {
            "resourceType": "Practitioner"}}]},
     "Bundle.entry[0].resource.section[0].entry[0].reference", "not-found", "'List/none' is not in"),
    # what a reference points to in the same Bundle
    ({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "resource": patient()},
        {"resource": reference("urn:uuid:c757873d-ec9a-4326-a141-556f43239520")}]},
     "Bundle.entry[1].resource.managingOrganization", "value", "'Patient' cannot be referred to"),
    (patient(photo=[{"contentType": "image/png", "data": "QUJD", "size": 4}]), "Patient.photo[0].size",
     "value", "size says 4, data has 3 bytes"),
    (patient(photo=[{"contentType": "png"}]), "Patient.photo[0].contentType", "code-invalid", "'png' is not"),
    (patient(language="French"), "Patient.language", "code-invalid", "'French' is not a code of"),
    (patient(communication=[{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "français"}]}}]),
     "Patient.communication[0].language", "code-invalid", "no coding is"),
    (patient(identifier=[{"system": "urn:oid:1.02", "value": "1"}]), "Patient.identifier[0].system", "value",
     "is not a URI"),
    (patient(maritalStatus={"coding": [
        {"system": "http://hl7.org/fhir/administrative-gender", "code": "m"}]}),
     "Patient.maritalStatus.coding[0].code", "code-invalid", "'m' is not a code of"),
    ({"resourceType": "Parameters", "parameter": [{"name": "a", "resource": patient(active=1)}]},
     "Parameters.parameter[0].resource.active", "value", "1 is not true or false"),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "expression", "code", "text"), WRONG)
def test_wrong(validator: Validator, resource: Any, expression: str, code: str, text: str) -> None:
    issues = validator.validate(resource)
    found = [issue for issue in issues if issue.expression == expression and text in issue.text]
    assert [(issue.severity, issue.code) for issue in found] == [("error", code)]
    # Nothing else is said; what belongs to the same fault is.
    assert {issue.code for issue in issues} <= {code, "invariant"}


def test_a_full_url_that_disagrees_is_told(validator: Validator) -> None:
    entry = {"fullUrl": "https://example.org/fhir/Patient/1", "resource": patient(id="2")}
    (issue,) = validator.validate({"resourceType": "Bundle", "type": "collection", "entry": [entry]})
    assert (issue.severity, issue.rule) == ("warning", "full-url")
    assert issue.expression == "Bundle.entry[0].fullUrl"


def test_every_fault_is_named(validator: Validator) -> None:
    resource = patient(nam=1, gender="x", birthDate="x", name=[{"given": ["A", 1]}, {}], active="x")
    assert sorted(issue.expression for issue in validator.validate(resource)) == [
        "Patient.active",
        "Patient.birthDate",
        "Patient.gender",
        "Patient.nam",
        "Patient.name[0].given[1]",
        "Patient.name[1]",
    ]


def test_location(validator: Validator) -> None:
    (issue,) = validator.validate(patient(active=1), location="Bundle.entry[2].resource")
    assert issue.expression == "Bundle.entry[2].resource.active"


@pytest.mark.parametrize(
    ("faults", "last"), [(101, "1 more issue is not shown"), (5000, "4900 more issues are")]
)
def test_a_hundred_issues_and_the_number_of_the_rest(validator: Validator, faults: int, last: str) -> None:
    issues = validator.validate(patient(name=[{"x": 1}] * faults))
    assert len(issues) == 101
    assert issues[-1].text.startswith(last)


def test_a_hundred_issues_are_all_shown(validator: Validator) -> None:
    assert len(validator.validate(patient(name=[{"x": 1}] * 100))) == 100


@pytest.mark.parametrize(("levels", "accepted"), [(90, True), (110, False), (900, False)])
def test_depth(validator: Validator, levels: int, accepted: bool) -> None:
    item: Element = {"linkId": "0", "type": "display"}
    for level in range(levels):
        item = {"linkId": f"in {level}", "type": "group", "item": [item]}
    issues = validator.validate({"resourceType": "Questionnaire", "status": "draft", "item": [item]})
    assert [issue.code for issue in issues] == ([] if accepted else ["too-long"])


def test_a_long_value_is_cut_in_messages(validator: Validator) -> None:
    (issue,) = validator.validate(patient(birthDate="x" * 100_000))
    assert len(issue.text) < 200


def test_validation_changes_nothing(validator: Validator) -> None:
    resource = patient(name=[{"given": ["A", 1]}], contained=[CONTAINED])
    before = repr(resource)
    validator.validate(resource)
    assert repr(resource) == before


def replaced(value: Any, data: st.DataObject) -> Any:
    """A copy with something else in one place."""
    junk: list[Any] = [None, "", "x", "#", 1, True, [], {}, [None], [{}], {"coding": "x"}, ["x"], {"x": 1}]
    if not value or not isinstance(value, dict | list) or data.draw(st.integers(0, 4)) == 0:
        return data.draw(st.sampled_from(junk))
    if isinstance(value, list):
        at = data.draw(st.integers(0, len(value) - 1))
        return [replaced(item, data) if index == at else item for index, item in enumerate(value)]
    name = data.draw(st.sampled_from(sorted(value)))
    return {key: replaced(item, data) if key == name else item for key, item in value.items()}


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_gets_an_answer(validator: Validator, data: st.DataObject) -> None:
    resource = data.draw(st.sampled_from([*RIGHT, *(wrong for wrong, *_ in WRONG)]))
    for _ in range(2):
        resource = replaced(resource, data)
    for issue in validator.validate(resource):
        assert issue.text
        assert issue.expression
