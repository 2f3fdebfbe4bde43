"""history of an instance, a type, the server. https://hl7.org/fhir/R4/http.html#history"""

from collections.abc import Iterator

from conformance import expect
from conformance.areas.writing import later
from conformance.checks import check
from conformance.client import Resource
from conformance.target import Target

AREA = "history"
INSTANCE = ("{type}/history-instance", "{type}/create")


def checked(body: Resource) -> list[Resource]:
    """The entries; each with what was asked, newest first. https://hl7.org/fhir/R4/bundle.html#history"""
    entries: list[Resource] = body["entry"]
    for entry in entries:
        method = entry.get("request", {}).get("method")
        expect.require(method, "an entry without request.method (bdl-3)")
        expect.require(entry.get("response"), "an entry without response (bdl-4)")
        if method in ("POST", "PUT"):
            expect.require("resource" in entry, f"a {method} entry without resource")
    moments = [entry["response"].get("lastModified", "") for entry in entries]
    if all(moment.endswith("Z") for moment in moments):
        expect.require(moments == sorted(moments, reverse=True), "the oldest versions are not last")
    return entries


def walk(target: Target, url: str, limit: int = 50) -> Iterator[list[Resource]]:
    """The entries of every page, by the next links."""
    for _ in range(limit):
        body = expect.bundle(target.get(url), "history")
        yield checked(body)
        url = expect.link(body, "next")
        if not url:
            return
    raise expect.Failed(f"more than {limit} pages")


@check(
    AREA,
    "Every version of a resource, newest first",
    "http.html#history",
    *INSTANCE,
    "{type}/update",
    each="type",
)
def instance(target: Target) -> None:
    made = target.create()
    expect.status(target.update(later(made)), 200)
    body = expect.bundle(target.get(f"{target.type}/{made['id']}/_history"), "history")
    entries = checked(body)
    expect.equal("methods", [entry["request"]["method"] for entry in entries], ["PUT", "POST"])
    expect.equal("total", body.get("total", 2), 2)
    expect.equal("oldest", entries[1]["resource"]["meta"]["versionId"], made["meta"]["versionId"])
    for entry in entries:
        expect.require("/_history/" not in entry.get("fullUrl", ""), "fullUrl is of a version (bdl-8)")


@check(AREA, "A deletion is an entry without resource", "http.html#history", *INSTANCE, "{type}/delete")
def deletion(target: Target) -> None:
    made = target.create()
    target.delete(made)
    entries = checked(expect.bundle(target.get(f"{target.type}/{made['id']}/_history"), "history"))
    expect.equal("methods", [entry["request"]["method"] for entry in entries], ["DELETE", "POST"])
    expect.require("resource" not in entries[0], "the entry of the deletion has a resource")


@check(AREA, "Of what never was: 404", "http.html#history", "{type}/history-instance")
def unknown(target: Target) -> None:
    expect.outcome(target.get(f"{target.type}/{target.mark}/_history"), 404)


@check(
    AREA, "_count is not exceeded, next leads to the others", "http.html#paging", *INSTANCE, "{type}/update"
)
def count(target: Target) -> None:
    made = target.create()
    expect.status(target.update(later(made)), 200)
    expect.status(target.update(made), 200)
    pages = list(walk(target, f"{target.type}/{made['id']}/_history?_count=2"))
    longest = max(len(page) for page in pages)
    expect.require(longest <= 2, f"_count=2 gives {longest} entries")
    versions = [entry["resource"]["meta"]["versionId"] for page in pages for entry in page]
    expect.equal("entries", len(versions), 3)
    expect.equal("versions", len(set(versions)), 3)


@check(
    AREA,
    "_since gives what came at or after an instant",
    "http.html#history",
    *INSTANCE,
    "{type}/update",
    "{type}/read",
    should=True,
)
def since(target: Target) -> None:
    made = target.create()
    expect.status(target.update(later(made)), 200)
    path = f"{target.type}/{made['id']}"
    current = expect.resource(target.get(path), target.type)["meta"]
    body = expect.bundle(target.get(f"{path}/_history", {"_since": current["lastUpdated"]}), "history")
    versions = [entry["resource"]["meta"]["versionId"] for entry in checked(body)]
    expect.require(current["versionId"] in versions, f"_since the update gives versions {versions}")
    future = expect.bundle(target.get(f"{path}/_history", {"_since": "2999-01-01T00:00:00Z"}), "history")
    expect.equal("entries since 2999", len(future["entry"]), 0)


@check(AREA, "_at gives what was current then", "http.html#history", *INSTANCE, should=True)
def at(target: Target) -> None:
    made = target.create()
    path = f"{target.type}/{made['id']}/_history"
    body = expect.bundle(target.get(path, {"_at": "1999"}), "history")
    expect.equal("entries current in 1999", len(body["entry"]), 0)


@check(AREA, "A malformed _since is refused", "http.html#history", *INSTANCE, should=True)
def malformed(target: Target) -> None:
    made = target.create()
    expect.refused(target.get(f"{target.type}/{made['id']}/_history", {"_since": "yesterday"}), 400)


@check(
    AREA,
    "The versions of all resources of a type",
    "http.html#history",
    "{type}/history-type",
    "{type}/create",
    each="type",
)
def type_level(target: Target) -> None:
    made = target.create()
    entries = checked(expect.bundle(target.get(f"{target.type}/_history", {"_count": "50"}), "history"))
    ids = {entry["resource"]["id"] for entry in entries if "resource" in entry}
    expect.require(made["id"] in ids, f"what was just created is not among the newest {len(entries)}")
    types = {entry["resource"]["resourceType"] for entry in entries if "resource" in entry}
    expect.equal("types", types, {target.type})


@check(AREA, "The versions of all resources", "http.html#history", "history-system", "{type}/create")
def system_level(target: Target) -> None:
    made = target.create()
    since = {"_since": made["meta"].get("lastUpdated", "2020-01-01T00:00:00Z"), "_count": "200"}
    entries = checked(expect.bundle(target.get("_history", since), "history"))
    ids = {entry["resource"]["id"] for entry in entries if "resource" in entry}
    expect.require(made["id"] in ids, f"what was just created is not among the newest {len(entries)}")
