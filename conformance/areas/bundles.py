"""batch and transaction. https://hl7.org/fhir/R4/http.html#transaction"""

import uuid
from typing import Any

from conformance import expect
from conformance.checks import check
from conformance.client import Answer, Resource
from conformance.target import Target

MAKES = ("Patient/create", "Patient/read", "Patient/search-type", "Patient?_tag")
OBSERVES = ("Observation/create", "Observation/read")


def entry(
    method: str, url: str, resource: Resource | None = None, full_url: str = "", **more: str
) -> Resource:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        made["resource"] = resource
    return {"fullUrl": full_url, **made} if full_url else made


def post(target: Target, type: str, *entries: Resource) -> Answer:
    """Post a Bundle; what its entries created is deleted when the case is over."""
    bundle = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    answer = target.send("POST", "", bundle if entries else {"resourceType": "Bundle", "type": type})
    body = answer.json()
    if answer.status == 200 and isinstance(body, dict):
        for made in body.get("entry", ()):
            if made.get("response", {}).get("status", "").startswith("201"):
                target.remember(made["response"].get("location", ""))
    return answer


def responses(answer: Answer, type: str, count: int) -> list[Resource]:
    """The entries of the answer: one for each that was asked."""
    entries: list[Resource] = expect.bundle(answer, type)["entry"]
    expect.equal("entries in the answer", len(entries), count)
    for each in entries:
        expect.require(each.get("response", {}).get("status"), "an entry without response.status")
    return entries


def codes(entries: list[Resource]) -> list[str]:
    return [each["response"]["status"][:3] for each in entries]


def id_of(response: Resource) -> str:
    return str(response["response"]["location"]).partition("/_history")[0].rpartition("/")[2]


def count(target: Target) -> int:
    return len(target.search("Patient", ("_tag", target.tag))["entry"])


@check("batch", "Entries are independent: 200, each with its own status", "http.html#brules", "batch", *MAKES)
def batch(target: Target) -> None:
    entries = (
        entry("POST", "Patient", target.sample("Patient")),
        entry("GET", f"Patient/{target.mark}"),
        entry("POST", "Patient", target.sample("Observation")),
        entry("GET", "Patient?_tag=conformance-none"),
    )
    answered = responses(post(target, "batch", *entries), "batch-response", 4)
    first, unknown, wrong, search = codes(answered)
    expect.equal("statuses", (first, unknown, search), ("201", "404", "200"))
    expect.require(wrong.startswith("4"), f"an Observation posted to Patient is {wrong}")
    outcome = answered[1]["response"].get("outcome", {})
    expect.equal("the outcome of a failed entry", outcome.get("resourceType"), "OperationOutcome")
    found = answered[3].get("resource", {})
    expect.equal("a search in a batch", found.get("type"), "searchset")
    expect.equal("created", count(target), 1)


@check("batch", "An empty one is answered by an empty one", "http.html#transaction", "batch")
def empty_batch(target: Target) -> None:
    responses(post(target, "batch"), "batch-response", 0)


@check(
    "transaction",
    "All entries are done; the answers are in the order asked",
    "http.html#trules",
    "transaction",
    *MAKES,
    "Patient/delete",
    "Patient/update",
)
def transaction(target: Target) -> None:
    gone, kept = target.create("Patient"), target.create("Patient")
    entries = (
        entry("GET", f"Patient/{kept['id']}"),
        entry("PUT", f"Patient/{kept['id']}", {**kept, "active": True}),
        entry("POST", "Patient", target.sample("Patient")),
        entry("DELETE", f"Patient/{gone['id']}"),
    )
    answered = responses(post(target, "transaction", *entries), "transaction-response", 4)
    expect.equal("statuses", codes(answered)[:3], ["200", "200", "201"])
    expect.require(codes(answered)[3] in ("200", "202", "204"), f"DELETE is {codes(answered)[3]}")
    expect.equal("GET comes after PUT: active", answered[0].get("resource", {}).get("active"), True)
    for position in (1, 2):
        expect.require(answered[position]["response"].get("etag"), f"no etag in the answer {position}")
    expect.require(id_of(answered[2]), "no id in the location of what was created")
    expect.status(target.get(f"Patient/{gone['id']}"), 404, 410)


@check(
    "transaction",
    "Nothing is done when one entry fails: an OperationOutcome",
    "http.html#trules",
    "transaction",
    *MAKES,
)
def atomic(target: Target) -> None:
    for bad in (
        entry("POST", "Patient", target.sample("Observation")),
        entry("POST", "Patient", target.sample("Patient", gender="conformance")),
        entry("PUT", f"Patient/{target.mark}", target.sample("Patient", id="conformance-other")),
    ):
        answer = post(target, "transaction", entry("POST", "Patient", target.sample("Patient")), bad)
        expect.outcome(answer, 400, 404, 409, 412, 422)
        expect.equal("resources of a failed transaction", count(target), 0)


@check(
    "transaction",
    "References between entries become those of what was created",
    "http.html#trules",
    "transaction",
    *MAKES,
    *OBSERVES,
)
def references(target: Target) -> None:
    full_url = f"urn:uuid:{uuid.uuid4()}"
    other = f"urn:uuid:{uuid.uuid4()}"
    narrative = {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{full_url}">patient</a></div>',
    }
    identifier = [{"system": "urn:ietf:rfc:3986", "value": full_url}]
    back = {"url": "http://conformance.test/back", "valueReference": {"reference": other}}
    observation = target.sample(
        "Observation", subject={"reference": full_url}, text=narrative, identifier=identifier
    )
    entries = (
        entry("POST", "Observation", observation, other),
        entry("POST", "Patient", target.sample("Patient", extension=[back]), full_url),
    )
    answered = responses(post(target, "transaction", *entries), "transaction-response", 2)
    patient = f"Patient/{id_of(answered[1])}"
    stored = expect.resource(target.get(f"Observation/{id_of(answered[0])}"), "Observation")
    reference = stored["subject"]["reference"]
    expect.require(reference.endswith(patient), f"subject is {reference}, not {patient}")
    expect.require(full_url not in stored["text"]["div"], "the link in the narrative is not replaced")
    value = stored["identifier"][0]["value"]
    expect.equal("Identifier.value, which is no link", value, full_url)
    circle = expect.resource(target.get(patient), "Patient")["extension"][0]["valueReference"]["reference"]
    expect.require(circle.endswith(f"Observation/{stored['id']}"), f"the reference back is {circle}")


@check(
    "transaction",
    "Conditional references find one resource, or the transaction fails",
    "http.html#trules",
    "transaction",
    *MAKES,
    *OBSERVES,
)
def conditional_references(target: Target) -> None:
    patient = target.create("Patient")

    def refer() -> Answer:
        subject = {"reference": f"Patient?_tag={target.tag}"}
        return post(
            target,
            "transaction",
            entry("POST", "Observation", target.sample("Observation", subject=subject)),
        )

    answered = responses(refer(), "transaction-response", 1)
    stored = expect.resource(target.get(f"Observation/{id_of(answered[0])}"), "Observation")
    reference = stored["subject"]["reference"]
    expect.require(reference.endswith(f"Patient/{patient['id']}"), f"subject is {reference}")
    target.create("Patient")
    expect.outcome(refer(), 400, 404, 409, 412, 422)


@check(
    "transaction",
    "The same resource twice fails",
    "http.html#trules",
    "transaction",
    *MAKES,
    "Patient/update",
    "Patient/delete",
)
def twice(target: Target) -> None:
    made = target.create("Patient")
    path = f"Patient/{made['id']}"
    expect.outcome(
        post(target, "transaction", entry("DELETE", path), entry("PUT", path, made)), 400, 409, 412, 422
    )
    expect.status(target.get(path), 200)


@check(
    "transaction",
    "ifNoneExist creates once, ifMatch holds",
    "http.html#trules",
    "transaction",
    *MAKES,
    "Patient/update",
    "Patient/conditionalCreate",
)
def conditions(target: Target) -> None:
    once = entry("POST", "Patient", target.sample("Patient"), ifNoneExist=f"_tag={target.tag}")
    first = responses(post(target, "transaction", once), "transaction-response", 1)
    second = responses(post(target, "transaction", once), "transaction-response", 1)
    expect.equal("statuses", codes(first) + codes(second), ["201", "200"])
    expect.equal("resources", count(target), 1)
    id = id_of(first[0])
    stale = entry("PUT", f"Patient/{id}", target.sample("Patient", id=id), ifMatch='W/"7777777"')
    expect.outcome(post(target, "transaction", stale), 409, 412)


@check("transaction", "An empty one is answered by an empty one", "http.html#trules", "transaction")
def empty_transaction(target: Target) -> None:
    responses(post(target, "transaction"), "transaction-response", 0)


@check(
    "transaction", "A body that is no batch or transaction is refused", "http.html#transaction", "transaction"
)
def no_bundle(target: Target) -> None:
    expect.outcome(target.send("POST", "", target.sample("Patient")), 400, 404, 405, 422)
    without_request = {"resource": target.sample("Patient")}
    expect.outcome(post(target, "transaction", without_request), 400, 422)


@check(
    "transaction",
    "Prefer return=representation gives the resources",
    "http.html#transaction-response",
    "transaction",
    *MAKES,
    should=True,
)
def representation(target: Target) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [entry("POST", "Patient", target.sample("Patient"))],
    }
    answer = target.send("POST", "", bundle, {"Prefer": "return=representation"})
    made = responses(answer, "transaction-response", 1)[0]
    target.remember(made["response"].get("location", ""))
    expect.equal("resource", made.get("resource", {}).get("resourceType"), "Patient")
