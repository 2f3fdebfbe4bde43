"""Each row breaks one invariant; the last column makes it whole again."""

from decimal import Decimal
from typing import Any

Element = dict[str, Any]

ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
SUBJECT = {"reference": "Patient/1"}


def concept(system: str, code: str) -> Element:
    return {"coding": [{"system": system, "code": code}]}


ACTIVE_ALLERGY = concept("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active")


def allergy(**elements: Any) -> Element:
    return {"resourceType": "AllergyIntolerance", "patient": SUBJECT, **elements}


def observation(**elements: Any) -> Element:
    code = concept("http://loinc.org", "8480-6")
    return {"resourceType": "Observation", "status": "final", "code": code, **elements}


def condition(**elements: Any) -> Element:
    return {"resourceType": "Condition", "subject": SUBJECT, **elements}


def patient(**elements: Any) -> Element:
    return {"resourceType": "Patient", **elements}


def bundle(type: str, *entries: Element, **elements: Any) -> Element:
    return {
        "resourceType": "Bundle",
        "type": type,
        **({"entry": list(entries)} if entries else {}),
        **elements,
    }


def timing(**repeat: Any) -> Element:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": SUBJECT,
        "occurrenceTiming": {"repeat": {"count": 1, **repeat}},
    }


def quantity(value: Any, **elements: Any) -> Element:
    return {"value": value, **elements}


UCUM = {"system": "http://unitsofmeasure.org", "code": "a"}
POST = {"method": "POST", "url": "Patient"}
DONE = {"status": "200 OK"}
PATIENT = patient(id="1")
COMPOSITION = {
    "resourceType": "Composition",
    "status": "final",
    "type": concept("http://loinc.org", "60591-5"),
    "date": "2024",
    "author": [{"reference": "Practitioner/1"}],
    "title": "VSM",
}
DOCUMENT = bundle(
    "document",
    {"resource": COMPOSITION},
    {"resource": {"resourceType": "Practitioner", "id": "1"}},
    identifier={"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2"},
    timestamp="2024-01-01T00:00:00Z",
)
HEADER = {"resourceType": "MessageHeader", "eventUri": "urn:x", "source": {"endpoint": "https://example.org"}}


def without(resource: Element, name: str) -> Element:
    return {key: value for key, value in resource.items() if key != name}


def image(id: str) -> Any:
    """A narrative that shows what is contained under the id."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><img src="#{id}" alt="a"/></div>'
    return {"status": "additional", "div": div}


def contained(**elements: Any) -> Element:
    return {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Organization", "id": "o", "name": "CH", **elements}],
        "managingOrganization": {"reference": "#o"},
    }


def communicating(education: Element) -> Element:
    return {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"text": "BCG"},
        "patient": SUBJECT,
        "occurrenceDateTime": "2024",
        "education": [education],
    }


def appointment(**elements: Any) -> Element:
    participant = {"status": "accepted", "actor": SUBJECT}
    times = {"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T11:00:00Z"}
    base = {"resourceType": "Appointment", "status": "booked", "participant": [participant], **times}
    return {name: value for name, value in (base | elements).items() if value is not None}


def consent(**elements: Any) -> Element:
    scope = concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
    category = concept("http://loinc.org", "59284-0")
    return {"resourceType": "Consent", "status": "active", "scope": scope, "category": [category], **elements}


def listed(mode: str, **entry: Any) -> Element:
    entry = {"item": SUBJECT, **entry}
    return {"resourceType": "List", "status": "current", "mode": mode, "entry": [entry]}


def audited(**entity: Any) -> Element:
    agent = {"requestor": True, "who": {"display": "x"}}
    source = {"observer": {"display": "x"}}
    return {
        "resourceType": "AuditEvent",
        "type": {"system": "urn:x", "code": "a"},
        "recorded": "2024-01-01T10:00:00Z",
        "agent": [agent],
        "source": source,
        "entity": [entity],
    }


def something(**extension: Any) -> Element:
    """A Patient with an extension that holds a datatype."""
    return patient(extension=[{"url": "urn:x", **extension}])


VALUE = "Patient.extension[0].value"


def included(**include: Any) -> Element:
    return {"resourceType": "ValueSet", "name": "A", "status": "draft", "compose": {"include": [include]}}


def expanded(**contains: Any) -> Element:
    expansion = {"timestamp": "2024", "contains": [contains]}
    return {"resourceType": "ValueSet", "name": "A", "status": "draft", "expansion": expansion}


def code_system(*codes: str) -> Element:
    concepts = [{"code": code} for code in codes]
    return {"resourceType": "CodeSystem", "name": "A", "status": "draft", "content": "complete",
            "concept": concepts}  # fmt: skip


def concept_map(**group: Any) -> Element:
    element = [{"code": "a", "target": [{"code": "b", "equivalence": "equal"}]}]
    group = {"element": element, **group}
    return {"resourceType": "ConceptMap", "name": "A", "status": "draft", "group": [group]}


def narrower(**target: Any) -> Element:
    target = {"code": "b", "equivalence": "narrower", **target}
    return concept_map(element=[{"code": "a", "target": [target]}])


def search_parameter(**elements: Any) -> Element:
    base = {"name": "A", "status": "draft", "description": "a", "code": "a", "base": ["Patient"]}
    return {"resourceType": "SearchParameter", "url": "urn:x", "type": "token", **base, **elements}


CASES: list[tuple[str, str, Element, Element]] = [
    ("cmd-1", "ConceptMap.group[0].element[0].target[0]", narrower(), narrower(comment="less")),
    ("cmd-2", "ConceptMap.group[0].unmapped", concept_map(unmapped={"mode": "fixed"}),
     concept_map(unmapped={"mode": "fixed", "code": "b"})),
    ("cmd-3", "ConceptMap.group[0].unmapped", concept_map(unmapped={"mode": "other-map"}),
     concept_map(unmapped={"mode": "other-map", "url": "urn:x"})),
    ("csd-1", "CodeSystem", code_system("a", "a"), code_system("a", "b")),
    ("spd-1", "SearchParameter", search_parameter(xpath="f:a"),
     search_parameter(xpath="f:a", xpathUsage="normal")),
    ("spd-2", "SearchParameter", search_parameter(chain=["name"]),
     search_parameter(chain=["name"], type="reference")),
    ("vsd-1", "ValueSet.compose.include[0]", included(version="1"), included(valueSet=["urn:x"])),
    ("vsd-2", "ValueSet.compose.include[0]", included(valueSet=["urn:x"], concept=[{"code": "a"}]),
     included(valueSet=["urn:x"], concept=[{"code": "a"}], system="urn:x")),
    ("vsd-3", "ValueSet.compose.include[0]",
     included(system="urn:x", concept=[{"code": "a"}],
              filter=[{"property": "a", "op": "=", "value": "b"}]),
     included(system="urn:x", concept=[{"code": "a"}])),
    ("vsd-6", "ValueSet.expansion.contains[0]", expanded(abstract=True),
     expanded(display="a", abstract=True)),
    ("vsd-9", "ValueSet.expansion.contains[0]", expanded(display="a"), expanded(display="a", abstract=True)),
    ("vsd-10", "ValueSet.expansion.contains[0]", expanded(code="a"), expanded(code="a", system="urn:x")),
    ("app-1", "Appointment.participant[0]", appointment(participant=[{"status": "accepted"}]), appointment()),
    ("app-2", "Appointment", appointment(end=None), appointment()),
    ("app-3", "Appointment", appointment(start=None, end=None),
     appointment(start=None, end=None, status="proposed")),
    ("app-4", "Appointment", appointment(cancelationReason={"text": "a"}),
     appointment(cancelationReason={"text": "a"}, status="noshow")),
    ("cnt-3", f"{VALUE}.ofType(Count)", something(valueCount=quantity(Decimal("1.5"))),
     something(valueCount=quantity(1, system=UCUM["system"], code="1"))),
    ("dis-1", f"{VALUE}.ofType(Distance)", something(valueDistance=quantity(1)),
     something(valueDistance=quantity(1, system=UCUM["system"], code="m"))),
    ("drq-1", f"{VALUE}.ofType(DataRequirement).codeFilter[0]",
     something(valueDataRequirement={"type": "Patient", "codeFilter": [{"code": [{"code": "a"}]}]}),
     something(valueDataRequirement={"type": "Patient", "codeFilter": [{"path": "a"}]})),
    ("drq-2", f"{VALUE}.ofType(DataRequirement).dateFilter[0]",
     something(valueDataRequirement={"type": "Patient", "dateFilter": [{"valueDateTime": "2024"}]}),
     something(valueDataRequirement={"type": "Patient", "dateFilter": [{"path": "a"}]})),
    ("drt-1", f"{VALUE}.ofType(Duration)", something(valueDuration={"code": "h"}),
     something(valueDuration=quantity(1, system=UCUM["system"], code="h"))),
    ("exp-1", f"{VALUE}.ofType(Expression)", something(valueExpression={"language": "text/fhirpath"}),
     something(valueExpression={"language": "text/fhirpath", "expression": "id"})),
    ("lst-2", "List", listed("working", deleted=True), listed("changes", deleted=True)),
    ("lst-3", "List", listed("snapshot", date="2024"), listed("working", date="2024")),
    ("ppc-1", "Consent", consent(), consent(policyRule={"text": "a"})),
    ("prr-1", "ServiceRequest",
     {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": SUBJECT,
      "orderDetail": [{"text": "a"}]},
     {"resourceType": "ServiceRequest", "status": "active", "intent": "order", "subject": SUBJECT,
      "orderDetail": [{"text": "a"}], "code": {"text": "a"}}),
    ("sev-1", "AuditEvent.entity[0]", audited(name="a", query="QUJD"), audited(name="a")),
    ("tim-9", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(offset=10, when=["C"]),
     timing(offset=10, when=["PCM"])),
    ("trd-1", f"{VALUE}.ofType(TriggerDefinition)",
     something(valueTriggerDefinition={"type": "data-added", "data": [{"type": "Patient"}],
                                       "timingDate": "2024"}),
     something(valueTriggerDefinition={"type": "data-added", "data": [{"type": "Patient"}]})),
    ("trd-2", f"{VALUE}.ofType(TriggerDefinition)",
     something(valueTriggerDefinition={"type": "named-event", "name": "a",
                                       "condition": {"language": "text/fhirpath", "expression": "id"}}),
     something(valueTriggerDefinition={"type": "named-event", "name": "a"})),
    ("trd-3", f"{VALUE}.ofType(TriggerDefinition)", something(valueTriggerDefinition={"type": "periodic"}),
     something(valueTriggerDefinition={"type": "periodic", "timingDate": "2024"})),
    ("age-1", "Condition.onset.ofType(Age)",
     condition(onsetAge=quantity(Decimal("3"))), condition(onsetAge=quantity(3, **UCUM))),
    ("ait-1", "AllergyIntolerance", allergy(), allergy(clinicalStatus=ACTIVE_ALLERGY)),
    ("ait-2", "AllergyIntolerance",
     allergy(verificationStatus=concept(ALLERGY, "entered-in-error"), clinicalStatus=ACTIVE_ALLERGY),
     allergy(verificationStatus=concept(ALLERGY, "entered-in-error"))),
    ("att-1", "Patient.photo[0]", patient(photo=[{"data": "QUJD"}]),
     patient(photo=[{"data": "QUJD", "contentType": "image/png"}])),
    ("bdl-1", "Bundle", bundle("collection", total=1), bundle("searchset", total=1)),
    ("bdl-2", "Bundle.entry[0].search",
     bundle("collection", {"resource": PATIENT, "search": {"mode": "match"}}),
     bundle("searchset", {"resource": PATIENT, "search": {"mode": "match"}})),
    ("bdl-3", "Bundle.entry[1].request",
     bundle("transaction", {"resource": PATIENT, "request": POST}, {"resource": PATIENT}),
     bundle("transaction", {"resource": PATIENT, "request": POST})),
    ("bdl-3", "Bundle.entry[0].request",
     bundle("collection", {"resource": PATIENT, "request": POST}),
     bundle("collection", {"resource": PATIENT})),
    ("bdl-4", "Bundle.entry[0].response", bundle("batch-response", {"resource": PATIENT}),
     bundle("batch-response", {"resource": PATIENT, "response": DONE})),
    ("bdl-5", "Bundle.entry[0]", bundle("collection", {"fullUrl": "urn:uuid:1"}),
     bundle("collection", {"fullUrl": "urn:uuid:1", "resource": PATIENT})),
    ("bdl-7", "Bundle.entry[1].fullUrl",
     bundle("collection", *[{"fullUrl": "urn:uuid:1", "resource": PATIENT}] * 2),
     bundle("collection", {"fullUrl": "urn:uuid:1", "resource": PATIENT},
            {"fullUrl": "urn:uuid:1", "resource": patient(meta={"versionId": "2"})})),
    ("bdl-8", "Bundle.entry[0]",
     bundle("collection", {"fullUrl": "https://a/Patient/1/_history/1", "resource": PATIENT}),
     bundle("collection", {"fullUrl": "https://a/Patient/1", "resource": PATIENT})),
    ("bdl-9", "Bundle", without(DOCUMENT, "identifier"), DOCUMENT),
    ("bdl-10", "Bundle", without(DOCUMENT, "timestamp"), DOCUMENT),
    ("bdl-11", "Bundle", {**DOCUMENT, "entry": [{"resource": PATIENT}]}, DOCUMENT),
    ("bdl-12", "Bundle", bundle("message", {"resource": PATIENT}), bundle("message", {"resource": HEADER})),
    ("cmp-1", "Composition.section[0]", {**COMPOSITION, "section": [{"title": "a"}]},
     {**COMPOSITION, "section": [{"title": "a", "entry": [{"display": "x"}]}]}),
    ("cmp-2", "Composition.section[0]",
     {**COMPOSITION, "section": [{"emptyReason": {"text": "a"}, "entry": [{"display": "x"}]}]},
     {**COMPOSITION, "section": [{"entry": [{"display": "x"}]}]}),
    ("con-1", "Condition.stage[0]", condition(stage=[{"type": {"text": "x"}}]),
     condition(stage=[{"summary": {"text": "x"}}])),
    ("con-2", "Condition.evidence[0]",
     condition(evidence=[{"extension": [{"url": "urn:x", "valueCode": "a"}]}]),
     condition(evidence=[{"code": [{"text": "x"}]}])),
    ("con-4", "Condition", condition(abatementDateTime="2024", clinicalStatus=concept(CLINICAL, "active")),
     condition(abatementDateTime="2024", clinicalStatus=concept(CLINICAL, "resolved"))),
    ("con-5", "Condition",
     condition(clinicalStatus=concept(CLINICAL, "active"),
               verificationStatus=concept(VERIFICATION, "entered-in-error")),
     condition(verificationStatus=concept(VERIFICATION, "entered-in-error"))),
    ("cpl-3", "CarePlan.activity[0]",
     {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": SUBJECT,
      "activity": [{"reference": {"display": "x"}, "detail": {"status": "scheduled"}}]},
     {"resourceType": "CarePlan", "status": "active", "intent": "plan", "subject": SUBJECT,
      "activity": [{"detail": {"status": "scheduled"}}]}),
    ("cpt-2", "Patient.telecom[0]", patient(telecom=[{"value": "1"}]),
     patient(telecom=[{"value": "1", "system": "phone"}])),
    ("dom-2", "Patient.contained[0].contained",
     contained(contained=[{"resourceType": "Patient", "id": "p"}]), contained()),
    ("dom-3", "Patient.contained[0]", without(contained(), "managingOrganization"), contained()),
    ("dom-3", "Patient.contained[0]", {**without(contained(), "managingOrganization"), "text": image("x")},
     {**without(contained(), "managingOrganization"),
      "text": image(contained()["contained"][0]["id"])}),
    ("dom-4", "Patient.contained[0].meta.versionId", contained(meta={"versionId": "1"}), contained()),
    ("dom-4", "Patient.contained[0].meta.lastUpdated",
     contained(meta={"lastUpdated": "2024-01-01T00:00:00Z"}), contained(meta={"source": "urn:x"})),
    ("dom-5", "Patient.contained[0].meta.security",
     contained(meta={"security": [{"code": "R"}]}), contained(meta={"tag": [{"code": "R"}]})),
    ("ext-1", "Patient.extension[0]", patient(extension=[{"url": "urn:x"}]),
     patient(extension=[{"url": "urn:x", "valueBoolean": False}])),
    ("ext-1", "Patient.extension[0]",
     patient(extension=[{"url": "urn:x", "valueCode": "a", "extension": [{"url": "y", "valueCode": "a"}]}]),
     patient(extension=[{"url": "urn:x", "extension": [{"url": "y", "valueCode": "a"}]}])),
    ("fhs-1", "FamilyMemberHistory",
     {"resourceType": "FamilyMemberHistory", "status": "partial", "patient": SUBJECT,
      "relationship": {"text": "mother"}, "ageString": "70", "bornDate": "1950"},
     {"resourceType": "FamilyMemberHistory", "status": "partial", "patient": SUBJECT,
      "relationship": {"text": "mother"}, "bornDate": "1950"}),
    ("fhs-2", "FamilyMemberHistory",
     {"resourceType": "FamilyMemberHistory", "status": "partial", "patient": SUBJECT,
      "relationship": {"text": "mother"}, "estimatedAge": True},
     {"resourceType": "FamilyMemberHistory", "status": "partial", "patient": SUBJECT,
      "relationship": {"text": "mother"}, "estimatedAge": True, "ageString": "70"}),
    ("grp-1", "Group",
     {"resourceType": "Group", "type": "person", "actual": False, "member": [{"entity": SUBJECT}]},
     {"resourceType": "Group", "type": "person", "actual": True, "member": [{"entity": SUBJECT}]}),
    ("imm-1", "Immunization.education[0]", communicating({"publicationDate": "2024"}),
     communicating({"documentType": "x"})),
    ("inv-1", "Parameters.parameter[0]",
     {"resourceType": "Parameters", "parameter": [{"name": "a"}]},
     {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "x"}]}),
    ("inv-1", "Parameters.parameter[0]",
     {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": "x", "resource": PATIENT}]},
     {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": PATIENT}]}),
    ("lst-1", "List",
     {"resourceType": "List", "status": "current", "mode": "working", "emptyReason": {"text": "a"},
      "entry": [{"item": SUBJECT}]},
     {"resourceType": "List", "status": "current", "mode": "working", "emptyReason": {"text": "a"}}),
    ("obs-3", "Observation.referenceRange[0]", observation(referenceRange=[{"type": {"text": "a"}}]),
     observation(referenceRange=[{"text": "a"}])),
    ("obs-6", "Observation", observation(valueString="a", dataAbsentReason={"text": "a"}),
     observation(dataAbsentReason={"text": "a"})),
    ("obs-7", "Observation",
     observation(valueString="a", component=[{"code": concept("http://loinc.org", "8480-6")}]),
     observation(valueString="a", component=[{"code": concept("http://loinc.org", "8462-4")}])),
    ("org-1", "Organization", {"resourceType": "Organization", "active": True},
     {"resourceType": "Organization", "name": "CH"}),
    ("pat-1", "Patient.contact[0]", patient(contact=[{"gender": "male"}]),
     patient(contact=[{"gender": "male", "name": {"text": "x"}}])),
    ("per-1", "Patient.name[0].period", patient(name=[{"period": {"start": "2024-02", "end": "2024-01-31"}}]),
     patient(name=[{"period": {"start": "2024-02-28", "end": "2024-02"}}])),
    ("per-1", "Patient.name[0].period",
     patient(name=[{"period": {"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T10:30:00+01:00"}}]),
     patient(name=[{"period": {"start": "2024-01-01T10:30:00+01:00", "end": "2024-01-01T10:00:00Z"}}])),
    ("qrs-1", "QuestionnaireResponse.item[0]",
     {"resourceType": "QuestionnaireResponse", "status": "completed",
      "item": [{"linkId": "1", "answer": [{"valueBoolean": True}], "item": [{"linkId": "2"}]}]},
     {"resourceType": "QuestionnaireResponse", "status": "completed",
      "item": [{"linkId": "1", "item": [{"linkId": "2"}]}]}),
    ("qty-3", "Observation.value.ofType(Quantity)", observation(valueQuantity=quantity(1, code="mg")),
     observation(valueQuantity=quantity(1, **UCUM))),
    ("rat-1", "Observation.value.ofType(Ratio)", observation(valueRatio={"numerator": quantity(1)}),
     observation(valueRatio={"numerator": quantity(1), "denominator": quantity(2)})),
    ("rng-2", "Observation.value.ofType(Range)",
     observation(valueRange={"low": quantity(Decimal("2.0")), "high": quantity(1)}),
     observation(valueRange={"low": quantity(Decimal("2.0"), unit="g"), "high": quantity(1, unit="kg")})),
    ("tim-1", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(duration=1),
     timing(duration=1, durationUnit="h")),
    ("tim-2", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(period=1),
     timing(period=1, periodUnit="h")),
    ("tim-4", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(duration=-1, durationUnit="h"),
     timing(duration=0, durationUnit="h")),
    ("tim-5", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(period=-1, periodUnit="h"),
     timing(period=0, periodUnit="h")),
    ("tim-6", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(periodMax=1),
     timing(period=1, periodMax=1, periodUnit="h")),
    ("tim-7", "ServiceRequest.occurrence.ofType(Timing).repeat", timing(durationMax=1),
     timing(duration=1, durationMax=1, durationUnit="h")),
    ("tim-8", "ServiceRequest.occurrence.ofType(Timing).repeat",
     {**timing(), "occurrenceTiming": {"repeat": {"countMax": 2}}}, timing(countMax=2)),
    ("tim-10", "ServiceRequest.occurrence.ofType(Timing).repeat",
     timing(timeOfDay=["10:00:00"], when=["MORN"]), timing(when=["MORN"])),
]  # fmt: skip
