"""read and vread. https://hl7.org/fhir/R4/http.html#read"""

from conformance import expect
from conformance.checks import check
from conformance.target import Target


@check(
    "read",
    "The resource with its id, ETag, Last-Modified",
    "http.html#read",
    "{type}/read",
    "{type}/create",
    each="type",
)
def read(target: Target) -> None:
    made = target.create()
    answer = target.get(f"{target.type}/{made['id']}")
    body = expect.resource(answer, target.type)
    expect.equal("id", body.get("id"), made["id"])
    expect.require(expect.header(answer, "Last-Modified").endswith("GMT"), "Last-Modified is no HTTP date")
    if version := body.get("meta", {}).get("versionId"):
        expect.equal("ETag", expect.header(answer, "ETag"), f'W/"{version}"')


@check("read", "What never was is 404", "http.html#read", "{type}/read", each="type")
def unknown(target: Target) -> None:
    expect.outcome(target.get(f"{target.type}/{target.mark}"), 404)


@check("read", "What was deleted is 410", "http.html#read", "{type}/read", "{type}/create", "{type}/delete")
def deleted(target: Target) -> None:
    made = target.create()
    target.delete(made)
    expect.status(target.get(f"{target.type}/{made['id']}"), 410)


@check("read", "An id that cannot be one is refused", "datatypes.html#id", "{type}/read")
def impossible_id(target: Target) -> None:
    for id in ("a_b", "x" * 65, "%C3%A9"):
        expect.refused(target.get(f"{target.type}/{id}"), 400, 404)


@check(
    "read",
    "_summary and _elements give a marked part",
    "http.html#read",
    "Patient/read",
    "Patient/create",
    should=True,
)
def parts(target: Target) -> None:
    made = target.create("Patient", name=[{"family": "Durand"}], photo=[{"title": "not in the summary"}])
    for query in ({"_summary": "true"}, {"_elements": "name"}):
        body = expect.resource(target.get(f"Patient/{made['id']}", query), "Patient")
        expect.require("name" in body and "photo" not in body, f"{query} gives {sorted(body)}")
        tags = [tag.get("code") for tag in body.get("meta", {}).get("tag", ())]
        expect.require("SUBSETTED" in tags, f"{query}: no tag SUBSETTED")


@check(
    "vread", "Every version by its own URL", "http.html#vread", "{type}/vread", "{type}/create", each="type"
)
def vread(target: Target) -> None:
    made = target.create()
    path = f"{target.type}/{made['id']}/_history/{made['meta']['versionId']}"
    answer = target.get(path)
    body = expect.resource(answer, target.type)
    expect.equal("id", body.get("id"), made["id"])
    expect.equal("versionId", body["meta"]["versionId"], made["meta"]["versionId"])
    expect.equal("ETag", expect.header(answer, "ETag"), f'W/"{made["meta"]["versionId"]}"')


@check("vread", "A version that never was is 404", "http.html#vread", "{type}/vread", "{type}/create")
def unknown_version(target: Target) -> None:
    made = target.create()
    for version in ("7777777", "none-such"):
        expect.outcome(target.get(f"{target.type}/{made['id']}/_history/{version}"), 404)


@check(
    "vread",
    "An earlier version is what it was",
    "http.html#vread",
    "{type}/readHistory",
    "{type}/vread",
    "{type}/create",
    "{type}/update",
    each="type",
)
def earlier(target: Target) -> None:
    made = target.create()
    tags = [*made["meta"]["tag"], {"system": "urn:conformance", "code": "later"}]
    expect.status(target.update({**made, "meta": {"tag": tags}}), 200)
    before = target.get(f"{target.type}/{made['id']}/_history/{made['meta']['versionId']}")
    body = expect.resource(before, target.type)
    expect.require("later" not in [tag.get("code") for tag in body["meta"]["tag"]], "it has changed")


@check(
    "vread",
    "The version of the deletion is 410",
    "http.html#vread",
    "{type}/vread",
    "{type}/create",
    "{type}/delete",
    "{type}/history-instance",
)
def deletion(target: Target) -> None:
    made = target.create()
    target.delete(made)
    history = expect.bundle(target.get(f"{target.type}/{made['id']}/_history"), "history")
    etag = history["entry"][0].get("response", {}).get("etag", "")
    expect.require(etag, "the entry of the deletion has no etag to take the version from")
    version = etag.removeprefix("W/").strip('"')
    expect.status(target.get(f"{target.type}/{made['id']}/_history/{version}"), 410)
