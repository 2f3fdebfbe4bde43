"""create, update, delete, and what a client may prefer to see. https://hl7.org/fhir/R4/http.html#create"""

from conformance import expect
from conformance.checks import check
from conformance.client import Resource
from conformance.samples import NOT_DOMAIN_RESOURCES
from conformance.target import Target


def later(resource: Resource) -> Resource:
    """The resource with one more tag: something to update in any type."""
    tags = [*resource["meta"]["tag"], {"system": "urn:conformance", "code": "later"}]
    return {**resource, "meta": {**resource["meta"], "tag": tags}}


@check("create", "201 with Location, ETag, Last-Modified", "http.html#create", "{type}/create", each="type")
def create(target: Target) -> None:
    answer = target.send("POST", target.type, target.sample())
    expect.status(answer, 201)
    id, version = target.location(answer)
    expect.require(id, f"Location {answer.headers['location']} names no {target.type}")
    expect.require(expect.header(answer, "Last-Modified").endswith("GMT"), "Last-Modified is no HTTP date")
    if version:
        expect.equal("ETag", expect.header(answer, "ETag"), f'W/"{version}"')


@check(
    "create",
    "id, versionId and lastUpdated are the server's",
    "http.html#create",
    "{type}/create",
    "{type}/read",
)
def server_assigned(target: Target) -> None:
    sent = target.sample(id="conformance-not-mine")
    sent["meta"] |= {"versionId": "777", "lastUpdated": "1990-01-01T00:00:00Z"}
    answer = target.send("POST", target.type, sent)
    expect.status(answer, 201)
    id, version = target.location(answer)
    body = expect.resource(target.get(f"{target.type}/{id}"), target.type)
    expect.require(id != "conformance-not-mine", "the client's id was taken")
    expect.require(body["meta"].get("versionId") != "777", "the client's versionId was taken")
    expect.equal("versionId and Location", body["meta"].get("versionId", ""), version)
    stamp = str(body["meta"].get("lastUpdated"))
    expect.require(not stamp.startswith("1990"), "the client's lastUpdated was taken")


@check(
    "create",
    "What was sent is what is read",
    "http.html#create",
    "Patient/create",
    "Patient/read",
    should=True,
)
def as_submitted(target: Target) -> None:
    sent = target.sample(
        "Patient",
        name=[{"use": "official", "family": "Lefèvre-Œuvrard", "given": ["Éloïse", "Marie"]}],
        identifier=[{"system": "urn:conformance", "value": target.mark}],
        birthDate="1980-02",
        _gender={"extension": [{"url": "http://conformance.test/x", "valueDecimal": 1.5}]},
        contact=[{"name": {"family": "Durand"}, "telecom": [{"system": "phone", "value": "+33 1"}]}],
    )
    answer = target.send("POST", "Patient", sent)
    expect.status(answer, 201)
    body = expect.resource(target.get(f"Patient/{target.location(answer)[0]}"), "Patient")
    for element in sent.keys() - {"meta", "text"}:
        expect.equal(element, body.get(element), sent[element])
    expect.require(sent["meta"]["tag"][0] in body["meta"].get("tag", ()), "meta.tag is not kept")


@check("create", "A body of another type is 400", "http.html#create", "{type}/create")
def other_type(target: Target) -> None:
    other = "Basic" if target.type != "Basic" else "Patient"
    expect.outcome(target.send("POST", target.type, target.sample(other)), 400, 422)


@check(
    "update",
    "200 and a new version",
    "http.html#update",
    "{type}/update",
    "{type}/create",
    "{type}/read",
    each="type",
)
def update(target: Target) -> None:
    made = target.create()
    answer = target.update(later(made))
    expect.status(answer, 200)
    expect.header(answer, "Last-Modified")
    version = expect.header(answer, "ETag").removeprefix("W/").strip('"')
    expect.require(version != made["meta"]["versionId"], f"the version is still {version}")
    body = expect.resource(target.get(f"{target.type}/{made['id']}"), target.type)
    expect.require("later" in [tag.get("code") for tag in body["meta"]["tag"]], "it has not changed")


@check(
    "update",
    "A body without the URL's id is 400",
    "http.html#update",
    "{type}/update",
    "{type}/create",
    each="type",
)
def wrong_id(target: Target) -> None:
    made = target.create()
    path = f"{target.type}/{made['id']}"
    expect.outcome(target.send("PUT", path, {**made, "id": f"{made['id'][:60]}-x"}), 400)
    expect.outcome(target.send("PUT", path, target.sample()), 400)


@check(
    "update",
    "The client's id is taken for a new resource",
    "http.html#upsert",
    "{type}/updateCreate",
    "{type}/update",
    each="type",
)
def update_as_create(target: Target) -> None:
    answer = target.update(target.sample(id=target.mark))
    expect.status(answer, 201)
    expect.header(answer, "ETag")
    expect.resource(target.get(f"{target.type}/{target.mark}"), target.type)


@check(
    "update",
    "versioned: every update has its own versionId",
    "http.html#3.1.0.1.12",
    "{type}/versioning:versioned",
    "{type}/update",
    "{type}/create",
    "{type}/read",
    each="type",
)
def versioned(target: Target) -> None:
    made = target.create()
    expect.status(target.update(later(made)), 200)
    body = expect.resource(target.get(f"{target.type}/{made['id']}"), target.type)
    version = body["meta"].get("versionId", "")
    expect.require(version not in ("", made["meta"]["versionId"]), f"versionId is {version or 'absent'}")


@check(
    "update",
    "versioned-update: If-Match with the current version only",
    "http.html#concurrency",
    "{type}/versioning:versioned-update",
    "{type}/update",
    "{type}/create",
    each="type",
)
def if_match(target: Target) -> None:
    made = target.create()
    expect.outcome(target.update(later(made), {"If-Match": 'W/"7777777"'}), 409, 412)
    current = f'W/"{made["meta"]["versionId"]}"'
    expect.status(target.update(later(made), {"If-Match": current}), 200)
    expect.outcome(target.update(made, {"If-Match": current}), 409, 412)


@check(
    "update",
    "What was deleted comes back to life: 201",
    "http.html#update",
    "{type}/update",
    "{type}/create",
    "{type}/delete",
)
def revive(target: Target) -> None:
    made = target.create()
    target.delete(made)
    expect.status(target.update(made), 201)
    expect.resource(target.get(f"{target.type}/{made['id']}"), target.type)


@check(
    "update",
    "References to what is there are kept",
    "references.html#literal",
    "{type}/referencePolicy:literal",
    "{type}/create",
    "{type}/read",
    each="type",
)
def literal_reference(target: Target) -> None:
    other = target.create()
    kept(target, {"reference": f"{target.type}/{other['id']}"})


@check(
    "update",
    "References by identifier are kept",
    "references.html#logical",
    "{type}/referencePolicy:logical",
    "{type}/create",
    "{type}/read",
    each="type",
)
def logical_reference(target: Target) -> None:
    kept(target, {"identifier": {"system": "urn:conformance", "value": target.mark}})


@check(
    "update",
    "References to nothing are refused",
    "capabilitystatement.html",
    "{type}/referencePolicy:enforced",
    "{type}/create",
    each="type",
)
def enforced_reference(target: Target) -> None:
    answer = target.send("POST", target.type, referring(target, {"reference": f"Patient/{target.mark}"}))
    expect.outcome(answer, 400, 409, 412, 422)


def kept(target: Target, reference: Resource) -> None:
    answer = target.send("POST", target.type, referring(target, reference))
    expect.status(answer, 201)
    body = expect.resource(target.get(f"{target.type}/{target.location(answer)[0]}"), target.type)
    holder = body["meta"] if target.type in NOT_DOMAIN_RESOURCES else body
    found = holder.get("extension", [{}])[0].get("valueReference", {})
    for name, value in reference.items():
        expect.equal(f"Reference.{name}", found.get(name), value)


def referring(target: Target, reference: Resource) -> Resource:
    """A resource of any type that refers to something: an extension can be had by all."""
    extension = [{"url": "http://conformance.test/reference", "valueReference": reference}]
    if target.type not in NOT_DOMAIN_RESOURCES:
        return target.sample(extension=extension)
    made = target.sample()
    made["meta"]["extension"] = extension
    return made


@check(
    "delete", "200, 202 or 204, and again", "http.html#delete", "{type}/delete", "{type}/create", each="type"
)
def delete(target: Target) -> None:
    made = target.create()
    for _ in range(2):
        answer = target.delete(made)
        expect.status(answer, 200, 202, 204)
        expect.require(answer.status != 204 or not answer.body, "204 with a body")
    expect.status(target.get(f"{target.type}/{made['id']}"), 404, 410)


@check("delete", "What never was is deleted already", "http.html#delete", "{type}/delete")
def delete_unknown(target: Target) -> None:
    answer = target.send("DELETE", f"{target.type}/{target.mark}")
    expect.status(answer, 200, 202, 204, 404)


@check(
    "delete",
    "Search does not find what was deleted",
    "http.html#delete",
    "{type}/delete",
    "{type}/create",
    "{type}/search-type",
    "{type}?_id",
)
def deleted_is_not_found(target: Target) -> None:
    made = target.create()
    expect.equal("before", len(target.search(target.type, ("_id", made["id"]))["entry"]), 1)
    target.delete(made)
    expect.equal("after", len(target.search(target.type, ("_id", made["id"]))["entry"]), 0)


@check("prefer", "return=minimal answers without a body", "http.html#ops", "{type}/create", should=True)
def minimal(target: Target) -> None:
    answer = target.send("POST", target.type, target.sample(), {"Prefer": "return=minimal"})
    expect.status(answer, 201)
    expect.require(not answer.body, f"a body of {len(answer.body)} bytes")


@check(
    "prefer",
    "return=representation answers the resource",
    "http.html#ops",
    "{type}/create",
    "{type}/update",
    should=True,
)
def representation(target: Target) -> None:
    headers = {"Prefer": "return=representation"}
    created = target.send("POST", target.type, target.sample(), headers)
    body = expect.resource(created, target.type, 201)
    expect.equal("id", body.get("id"), target.location(created)[0])
    expect.resource(target.update(later(body), headers), target.type, 200)


@check(
    "prefer",
    "return=OperationOutcome answers an OperationOutcome",
    "http.html#ops",
    "{type}/create",
    should=True,
)
def operation_outcome(target: Target) -> None:
    headers = {"Prefer": "return=OperationOutcome"}
    body = expect.outcome(target.send("POST", target.type, target.sample(), headers), 201)
    severities = {issue["severity"] for issue in body["issue"]}
    expect.require(not severities & {"error", "fatal"}, "an error in a success")


@check(
    "prefer",
    "handling=strict refuses unknown parameters, lenient ignores them",
    "search.html#3.1.1.3",
    "{type}/search-type",
    should=True,
)
def handling(target: Target) -> None:
    query = {"conformance-unknown": "x"}
    expect.outcome(target.get(target.type, query, {"Prefer": "handling=strict"}), 400)
    body = expect.bundle(target.get(target.type, query, {"Prefer": "handling=lenient"}), "searchset")
    expect.require("conformance-unknown" not in expect.link(body, "self"), "self shows what was ignored")


@check(
    "prefer",
    "respond-async answers 202 with a status URL that can be cancelled",
    "async.html#3.1.6.2",
    "{type}/search-type",
    should=True,
)
def respond_async(target: Target) -> None:
    answer = target.get(target.type, headers={"Prefer": "respond-async"})
    expect.status(answer, 202)
    location = expect.header(answer, "Content-Location")
    expect.status(target.get(location), 200, 202)
    expect.status(target.request("DELETE", location), 202, 204)
