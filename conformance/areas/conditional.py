"""Conditional create, update, delete, read. https://hl7.org/fhir/R4/http.html#cond-update

The criteria are the tag that the case puts on what it makes.
"""

from urllib.parse import urlencode

from conformance import expect
from conformance.areas.writing import later
from conformance.checks import check
from conformance.target import Target

AREA = "conditional"


@check(
    AREA,
    "create: no match 201, one 200, several 412",
    "http.html#ccreate",
    "{type}/conditionalCreate",
    "{type}/create",
    "{type}?_tag",
    each="type",
)
def create(target: Target) -> None:
    headers = {"If-None-Exist": urlencode({"_tag": target.tag})}
    first = target.send("POST", target.type, target.sample(), headers)
    expect.status(first, 201)
    second = target.send("POST", target.type, target.sample(), headers)
    expect.status(second, 200)
    found = target.search(target.type, ("_tag", target.tag))["entry"]
    expect.equal("resources after two conditional creates", len(found), 1)
    target.create()
    expect.outcome(target.send("POST", target.type, target.sample(), headers), 412)


@check(
    AREA,
    "create: criteria that select nothing in particular create nothing",
    "http.html#ccreate",
    "{type}/conditionalCreate",
    "{type}/create",
)
def create_without_criteria(target: Target) -> None:
    for criteria in ("_tag=", "conformance-unknown=x"):
        answer = target.send("POST", target.type, target.sample(), {"If-None-Exist": criteria})
        expect.refused(answer, 400, 412)


@check(
    AREA,
    "update: no match 201, one 200, several 412",
    "http.html#cond-update",
    "{type}/conditionalUpdate",
    "{type}/create",
    "{type}?_tag",
    each="type",
)
def update(target: Target) -> None:
    query = {"_tag": target.tag}
    first = target.send("PUT", target.type, target.sample(), query=query)
    expect.status(first, 201)
    id, _ = target.location(first)
    second = target.send("PUT", target.type, later(target.sample()), query=query)
    expect.status(second, 200)
    found = expect.resources(target.search(target.type, ("_tag", target.tag)))
    expect.equal("ids after two conditional updates", [each["id"] for each in found], [id])
    target.create()
    expect.outcome(target.send("PUT", target.type, target.sample(), query=query), 412)


@check(
    AREA,
    "update: another id than the match's is 400",
    "http.html#cond-update",
    "{type}/conditionalUpdate",
    "{type}/create",
    "{type}?_tag",
)
def update_other_id(target: Target) -> None:
    target.create()
    body = target.sample(id="conformance-other")
    expect.outcome(target.send("PUT", target.type, body, query={"_tag": target.tag}), 400)


@check(
    AREA,
    "delete: the one that matches",
    "http.html#3.1.0.7.1",
    "{type}/conditionalDelete:single",
    "{type}/create",
    "{type}?_tag",
    each="type",
)
def delete_single(target: Target) -> None:
    made = target.create()
    delete_matching(target)
    expect.status(target.get(f"{target.type}/{made['id']}"), 404, 410)
    for _ in range(2):
        target.create()
    expect.outcome(target.send("DELETE", target.type, query={"_tag": target.tag}), 412)


@check(
    AREA,
    "delete: all that match",
    "http.html#3.1.0.7.1",
    "{type}/conditionalDelete:multiple",
    "{type}/create",
    "{type}?_tag",
    each="type",
)
def delete_multiple(target: Target) -> None:
    made = [target.create() for _ in range(3)]
    delete_matching(target)
    for each in made:
        expect.status(target.get(f"{target.type}/{each['id']}"), 404, 410)


def delete_matching(target: Target) -> None:
    answer = target.send("DELETE", target.type, query={"_tag": target.tag})
    expect.status(answer, 200, 202, 204)


@check(
    AREA,
    "delete: criteria that are not understood delete nothing",
    "http.html#3.1.0.7.1",
    "{type}/delete",
    "{type}/conditionalDelete:single",
    "{type}/create",
    "{type}/read",
)
def delete_single_strictly(target: Target) -> None:
    delete_nothing(target)


@check(
    AREA,
    "delete: criteria that are not understood delete nothing of many",
    "http.html#3.1.0.7.1",
    "{type}/delete",
    "{type}/conditionalDelete:multiple",
    "{type}/create",
    "{type}/read",
)
def delete_multiple_strictly(target: Target) -> None:
    delete_nothing(target)


def delete_nothing(target: Target) -> None:
    # Harmless on a server that ignores what it does not know: the second criterion matches one resource.
    made = target.create()
    query = {"conformance-unknown": "x", "_tag": target.tag}
    expect.refused(target.send("DELETE", target.type, query=query))
    expect.status(target.get(f"{target.type}/{made['id']}"), 200)


def unchanged(target: Target, *conditions: str) -> None:
    """GET with these conditions answers 304 with the ETag and no body, and 200 after an update."""
    made = target.create()
    path = f"{target.type}/{made['id']}"
    got = target.get(path)
    values = {"If-None-Match": "etag", "If-Modified-Since": "last-modified"}
    for condition in conditions:
        answer = target.get(path, headers={condition: expect.header(got, values[condition])})
        expect.status(answer, 304)
        expect.require(not answer.body, "304 with a body")
        past = {"If-None-Match": 'W/"7777777"', "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"}
        expect.status(target.get(path, headers={condition: past[condition]}), 200)


READ = ("{type}/read", "{type}/create")


@check(
    AREA,
    "read: If-None-Match and If-Modified-Since answer 304",
    "http.html#3.1.0.1.7",
    "{type}/conditionalRead:full-support",
    *READ,
    each="type",
)
def read_full(target: Target) -> None:
    unchanged(target, "If-None-Match", "If-Modified-Since")


@check(
    AREA,
    "read: If-None-Match answers 304",
    "http.html#3.1.0.1.7",
    "{type}/conditionalRead:not-match",
    *READ,
    each="type",
)
def read_not_match(target: Target) -> None:
    unchanged(target, "If-None-Match")


@check(
    AREA,
    "read: If-Modified-Since answers 304",
    "http.html#3.1.0.1.7",
    "{type}/conditionalRead:modified-since",
    *READ,
    each="type",
)
def read_modified_since(target: Target) -> None:
    unchanged(target, "If-Modified-Since")
