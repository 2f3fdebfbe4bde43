"""Named queries, claimed as operations of a type. https://hl7.org/fhir/R4/search.html#query

What a query finds is its author's to say: these are the ones of a health record.
"""

from conformance import expect
from conformance.checks import check
from conformance.target import Target

AREA = "named queries"
SPEC = "search.html#query"


def asked(target: Target, type: str, name: str) -> list[str]:
    """The ids of the case's own resources that the query finds."""
    body = target.search(type, ("_query", name), ("_tag", target.tag))
    return [each["id"] for each in expect.resources(body)]


@check(
    AREA, "emergency is answered", SPEC, "{type}/$emergency", "{type}/search-type", "{type}?_tag", each="type"
)
def emergency(target: Target) -> None:
    asked(target, target.type, "emergency")


@check(
    AREA,
    "emergency finds an active allergy, and none that was refuted",
    SPEC,
    "AllergyIntolerance/$emergency",
    "AllergyIntolerance/create",
    "AllergyIntolerance?_tag",
)
def emergency_allergies(target: Target) -> None:
    base = "http://terminology.hl7.org/CodeSystem/allergyintolerance-"
    active = {"coding": [{"system": f"{base}clinical", "code": "active"}]}
    refuted = {"coding": [{"system": f"{base}verification", "code": "refuted"}]}
    made = target.create("AllergyIntolerance", clinicalStatus=active)["id"]
    target.create("AllergyIntolerance", clinicalStatus=active, verificationStatus=refuted)
    expect.same("allergies", asked(target, "AllergyIntolerance", "emergency"), [made])


@check(
    AREA,
    "current-documents finds what is current",
    SPEC,
    "DocumentReference/$current-documents",
    "DocumentReference/create",
    "DocumentReference?_tag",
)
def current_documents(target: Target) -> None:
    made = target.create("DocumentReference", status="current")["id"]
    target.create("DocumentReference", status="superseded")
    expect.same("documents", asked(target, "DocumentReference", "current-documents"), [made])


@check(
    AREA,
    "upcoming finds the appointments that are to come",
    SPEC,
    "Appointment/$upcoming",
    "Appointment/create",
    "Appointment?_tag",
)
def upcoming(target: Target) -> None:
    to_come = {"start": "2999-01-01T09:00:00Z", "end": "2999-01-01T10:00:00Z"}
    gone = {"start": "2000-01-01T09:00:00Z", "end": "2000-01-01T10:00:00Z"}
    made = target.create("Appointment", status="booked", **to_come)["id"]
    target.create("Appointment", status="booked", **gone)
    target.create("Appointment", status="cancelled", **to_come)
    expect.same("appointments", asked(target, "Appointment", "upcoming"), [made])


@check(AREA, "A query that is none is refused", SPEC, "DocumentReference/$current-documents")
def unknown(target: Target) -> None:
    expect.outcome(target.get("DocumentReference", {"_query": "conformance-unknown"}), 400, 404)
