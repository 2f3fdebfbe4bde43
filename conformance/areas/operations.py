"""Operations. https://hl7.org/fhir/R4/operationslist.html; those without a page there name their guide"""

from typing import Any

from conformance import expect
from conformance.checks import check
from conformance.client import Answer, Resource
from conformance.target import Target

AREA = "operations"
VALIDATE = "resource-operation-validate.html"
META = "resource-operation-meta.html"
BULK_IMPORT = "https://github.com/smart-on-fhir/bulk-import"
BACKPORT = "https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-"


def parameters(**values: Any) -> Resource:
    """A Parameters resource; a dict is a resource, else the key of a value is ``name_valueType``."""
    parameter = []
    for name, value in values.items():
        if isinstance(value, dict) and "resourceType" in value:
            parameter.append({"name": name, "resource": value})
        else:
            parameter.append({"name": name.partition("_")[0], name.partition("_")[2]: value})
    return {"resourceType": "Parameters", **({"parameter": parameter} if parameter else {})}


def tags(answer: Answer) -> list[str]:
    """The codes of the tags that a $meta operation returns."""
    body = expect.resource(answer, "Parameters")
    named = {each["name"]: each for each in body.get("parameter", ())}
    meta = named.get("return", {}).get("valueMeta")
    expect.require(meta is not None, f"no parameter return of type Meta: {sorted(named)}")
    return [tag.get("code") for tag in meta.get("tag", ())]


def severities(answer: Answer) -> set[str]:
    return {issue["severity"] for issue in expect.outcome(answer, 200)["issue"]}


@check(
    AREA,
    "$validate: 200 with issues, valid or not; nothing is stored",
    VALIDATE,
    "{type}/$validate",
    each="type",
)
def validate(target: Target) -> None:
    path = f"{target.type}/$validate"
    good = target.sample()
    for body in (good, parameters(resource=good)):
        found = severities(target.send("POST", path, body))
        expect.require(not found & {"error", "fatal"}, "a valid resource has errors")
    found = severities(target.send("POST", path, parameters(resource={**good, "conformance": "x"})))
    expect.require(found & {"error", "fatal"}, "a resource with an unknown element has no error")


@check(
    AREA, "$validate of an instance, with mode and profile", VALIDATE, "Patient/$validate", "Patient/create"
)
def validate_instance(target: Target) -> None:
    made = target.create("Patient")
    path = f"Patient/{made['id']}/$validate"
    update = parameters(resource=made, mode_valueCode="update")
    expect.require("error" not in severities(target.send("POST", path, update)), "mode=update has errors")
    profile = parameters(resource=made, profile_valueUri="http://hl7.org/fhir/StructureDefinition/Patient")
    answer = target.send("POST", "Patient/$validate", profile)
    expect.require("error" not in severities(answer), "the profile Patient has errors")


@check(
    AREA,
    "$validate knows the profiles that are supported",
    VALIDATE,
    "{type}/profile:{item}",
    "{type}/$validate",
    each="claim",
)
def validate_supported(target: Target) -> None:
    """A profile that is not known is told as that, in an issue that a known one has not."""

    def told(profile: str) -> set[str]:
        asked = parameters(resource=target.sample(), profile_valueUri=profile)
        body = expect.outcome(target.send("POST", f"{target.type}/$validate", asked), 200)
        return {issue["code"] for issue in body["issue"]}

    unheard_of = told("urn:conformance:unheard-of")
    expect.require("not-supported" in unheard_of, "an unknown profile is not told")
    expect.require("not-supported" not in told(target.item), "the profile is not known")


@check(AREA, "$meta gives the tags", META, "{type}/$meta", "{type}/create", each="type")
def meta(target: Target) -> None:
    made = target.create()
    expect.require(
        target.mark in tags(target.get(f"{target.type}/{made['id']}/$meta")), "the tag is not there"
    )


@check(AREA, "$meta of the whole server gives what is in use", META, "$meta", "{type}/create")
def meta_of_all(target: Target) -> None:
    target.create()
    expect.require(target.mark in tags(target.get("$meta")), "a tag in use is not there")


@check(AREA, "$meta-add adds a tag", META, "{type}/$meta-add", "{type}/create", "{type}/read", each="type")
def meta_add(target: Target) -> None:
    made = target.create()
    added = parameters(meta_valueMeta={"tag": [{"system": "urn:conformance", "code": "added"}]})
    answer = target.send("POST", f"{target.type}/{made['id']}/$meta-add", added)
    expect.require({target.mark, "added"} <= set(tags(answer)), "the answer has not both tags")
    stored = expect.resource(target.get(f"{target.type}/{made['id']}"), target.type)
    expect.require("added" in [tag.get("code") for tag in stored["meta"]["tag"]], "the tag is not stored")


@check(
    AREA,
    "$meta-delete removes a tag",
    META,
    "{type}/$meta-delete",
    "{type}/create",
    "{type}/read",
    each="type",
)
def meta_delete(target: Target) -> None:
    made = target.create()
    gone = parameters(meta_valueMeta={"tag": made["meta"]["tag"]})
    answer = target.send("POST", f"{target.type}/{made['id']}/$meta-delete", gone)
    expect.require(target.mark not in tags(answer), "the answer still has the tag")
    stored = expect.resource(target.get(f"{target.type}/{made['id']}"), target.type)
    left = [tag.get("code") for tag in stored["meta"].get("tag", ())]
    expect.require(target.mark not in left, "the tag is still stored")


@check(
    AREA,
    "$everything: the patient and what belongs to it, nothing else",
    "patient-operation-everything.html",
    "Patient/$everything",
    "Patient/create",
    "Observation/create",
)
def everything(target: Target) -> None:
    patient, other = target.create("Patient"), target.create("Patient")
    own = target.create("Observation", subject={"reference": f"Patient/{patient['id']}"})
    target.create("Observation", subject={"reference": f"Patient/{other['id']}"})
    found: list[str] = []
    url = f"Patient/{patient['id']}/$everything"
    while url and len(found) < 20:
        body = expect.bundle(target.get(url), "searchset")
        found += [entry["resource"]["id"] for entry in body["entry"]]
        url = expect.link(body, "next")
    expect.same("ids", found, [patient["id"], own["id"]])
    expect.outcome(target.get(f"Patient/{target.mark}/$everything"), 404)


@check(
    AREA,
    "$match finds a person by demographics, with a score",
    "patient-operation-match.html",
    "Patient/$match",
    "Patient/create",
)
def match(target: Target) -> None:
    person = {
        "name": [{"family": f"Z{target.mark[-12:]}", "given": ["Éloïse"]}],
        "birthDate": "1980-02-29",
        "gender": "female",
        "identifier": [{"system": "urn:conformance", "value": target.mark}],
    }
    made = target.create("Patient", **person)
    asked = parameters(resource={"resourceType": "Patient", **person}, count_valueInteger=5)
    body = expect.bundle(target.send("POST", "Patient/$match", asked), "searchset")
    scores = {entry["resource"]["id"]: entry["search"].get("score") for entry in body["entry"]}
    expect.require(made["id"] in scores, f"the person is not among {len(scores)} matches")
    expect.require(0 < scores[made["id"]] <= 1, f"search.score is {scores[made['id']]}")


@check(
    AREA,
    "$docref finds the documents of a patient",
    "https://hl7.org/fhir/uv/ipa/OperationDefinition-docref.html",
    "DocumentReference/$docref",
    "DocumentReference/create",
    "Patient/create",
)
def docref(target: Target) -> None:
    patient = target.create("Patient")["id"]
    made = target.create("DocumentReference", subject={"reference": f"Patient/{patient}"})["id"]
    target.create("DocumentReference")
    body = expect.bundle(target.get("DocumentReference/$docref", {"patient": patient}), "searchset")
    expect.same("documents", [each["id"] for each in expect.resources(body)], [made])
    expect.refused(target.get("DocumentReference/$docref"), 400, 422)


@check(
    AREA,
    "$document makes a document of a Composition and what it refers to",
    "composition-operation-document.html",
    "Composition/$document",
    "Composition/create",
    "Patient/create",
)
def document(target: Target) -> None:
    patient = target.create("Patient")["id"]
    made = target.create("Composition", subject={"reference": f"Patient/{patient}"})
    body = expect.bundle(target.get(f"Composition/{made['id']}/$document"), "document")
    types = [entry["resource"]["resourceType"] for entry in body["entry"]]
    expect.equal("the first entry", types[0], "Composition")
    expect.require("Patient" in types, "the subject is not in the document")
    for element in ("identifier", "timestamp"):
        expect.require(body.get(element), f"a document has a {element} (bdl-9, bdl-10)")


@check(
    AREA,
    "$merge lets one patient replace another, with what refers to it",
    "https://build.fhir.org/patient-operation-merge.html",
    "Patient/$merge",
    "Patient/create",
    "Patient/read",
    "Observation/create",
    "Observation/read",
)
def merge(target: Target) -> None:
    source, survivor = target.create("Patient"), target.create("Patient")
    own = target.create("Observation", subject={"reference": f"Patient/{source['id']}"})
    asked = {
        "source-patient_valueReference": {"reference": f"Patient/{source['id']}"},
        "target-patient_valueReference": {"reference": f"Patient/{survivor['id']}"},
    }
    preview = parameters(**asked, preview_valueBoolean=True)
    expect.resource(target.send("POST", "Patient/$merge", preview), "Parameters")
    links = expect.resource(target.get(f"Patient/{source['id']}"), "Patient").get("link", [])
    expect.require(not links, "a preview has changed the source")
    expect.resource(target.send("POST", "Patient/$merge", parameters(**asked)), "Parameters")
    replaced = expect.resource(target.get(f"Patient/{source['id']}"), "Patient")
    expect.equal("active of the source", replaced.get("active"), False)
    expect.equal("links of the source", [each["type"] for each in replaced["link"]], ["replaced-by"])
    moved = expect.resource(target.get(f"Observation/{own['id']}"), "Observation")
    expect.equal("subject", moved["subject"].get("reference"), f"Patient/{survivor['id']}")
    expect.outcome(target.send("POST", "Patient/$merge", parameters()), 400, 422)


@check(
    AREA,
    "$purge leaves nothing of a patient, no history either",
    "https://build.fhir.org/patient-operation-purge.html",
    "Patient/$purge",
    "Patient/create",
    "Observation/create",
)
def purge(target: Target) -> None:
    patient = target.create("Patient")
    own = target.create("Observation", subject={"reference": f"Patient/{patient['id']}"})
    other = target.create("Observation")
    answer = target.send("POST", f"Patient/{patient['id']}/$purge", parameters())
    expect.status(answer, 200, 204)
    for path in (f"Patient/{patient['id']}", f"Observation/{own['id']}"):
        expect.status(target.get(path), 404)
        expect.status(target.get(f"{path}/_history"), 404)
    expect.status(target.get(f"Observation/{other['id']}"), 200)


@check(
    AREA,
    "Subscription/$status tells how a subscription is",
    f"{BACKPORT}status.html",
    "Subscription/$status",
    "Subscription/create",
)
def subscription_status(target: Target) -> None:
    made = target.create("Subscription")
    body = expect.bundle(target.get(f"Subscription/{made['id']}/$status"), "searchset")
    expect.equal("status", told(body).get("status"), "off")
    expect.outcome(target.get(f"Subscription/{target.mark}/$status"), 404)


@check(
    AREA,
    "Subscription/$events gives what was sent",
    f"{BACKPORT}events.html",
    "Subscription/$events",
    "Subscription/create",
)
def subscription_events(target: Target) -> None:
    made = target.create("Subscription")
    body = expect.bundle(target.get(f"Subscription/{made['id']}/$events"), "history")
    expect.equal("type", told(body).get("type"), "query-event")
    expect.equal("entries of a subscription that is off", len(body["entry"]), 1)
    expect.outcome(target.get(f"Subscription/{target.mark}/$events"), 404)


def told(body: Resource) -> dict[str, Any]:
    """The codes of the status that comes first in a Bundle about a subscription: in R4 a Parameters."""
    status = body["entry"][0]["resource"]
    expect.equal("the first entry", status["resourceType"], "Parameters")
    return {each["name"]: each.get("valueCode") for each in status["parameter"]}


@check(AREA, "$export is accepted, has a status URL, and can be cancelled", "async.html#3.1.6.2", "$export")
def export(target: Target) -> None:
    cancelled(target, "$export")


@check(
    AREA,
    "Patient/$export is accepted, has a status URL, and can be cancelled",
    "async.html#3.1.6.2",
    "Patient/$export",
)
def export_patients(target: Target) -> None:
    cancelled(target, "Patient/$export")


@check(
    AREA,
    "Group/$export is accepted, has a status URL, and can be cancelled",
    "async.html#3.1.6.2",
    "Group/$export",
    "Group/create",
)
def export_group(target: Target) -> None:
    cancelled(target, f"Group/{target.create('Group')['id']}/$export")


@check(AREA, "$import without inputs is refused", BULK_IMPORT, "$import")
def bulk_import(target: Target) -> None:
    headers = {"Prefer": "respond-async"}
    for body in (parameters(), parameters(inputFormat_valueCode="text/csv")):
        expect.outcome(target.send("POST", "$import", body, headers), 400, 422)


@check(AREA, "$reindex is accepted, has a status URL, and can be cancelled", "async.html#3.1.6.2", "$reindex")
def reindex(target: Target) -> None:
    # Of one type only where that can be said: a server may hold much.
    answer = target.send(
        "POST", "$reindex", parameters(type_valueCode="Patient"), {"Prefer": "respond-async"}
    )
    ended(target, answer)


@check(
    AREA,
    "$reindex of a type is accepted, has a status URL, and can be cancelled",
    "async.html#3.1.6.2",
    "{type}/$reindex",
    each="type",
)
def reindex_type(target: Target) -> None:
    path = f"{target.type}/$reindex"
    ended(target, target.send("POST", path, parameters(), {"Prefer": "respond-async"}))


def cancelled(target: Target, path: str) -> None:
    ended(target, target.get(path, {"_type": "Patient"}, {"Prefer": "respond-async"}))


def ended(target: Target, answer: Answer) -> None:
    """The answer to what begins a job: its status can be asked for, and the job cancelled."""
    expect.status(answer, 202)
    location = expect.header(answer, "Content-Location")
    expect.status(target.get(location, headers={"Accept": "application/json"}), 200, 202)
    expect.status(target.request("DELETE", location), 202, 204)


@check(
    AREA,
    "SearchParameter/$status tells which of them can be searched",
    "searchparameter.html",
    "SearchParameter/$status",
    "SearchParameter/create",
)
def search_parameter_status(target: Target) -> None:
    expect.resource(target.get("SearchParameter/$status"), "Parameters")
    draft = target.create("SearchParameter")["id"]
    expect.outcome(target.get(f"SearchParameter/{draft}/$status"), 404)


@check(AREA, "An operation that is none is refused", "operations.html", "{type}/read")
def unknown(target: Target) -> None:
    for path in (f"{target.type}/$conformance-unknown", "$conformance-unknown"):
        expect.outcome(target.get(path), 400, 404, 405, 422, 501)
