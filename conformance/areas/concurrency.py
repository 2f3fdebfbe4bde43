"""Clients that do the same at the same time. https://hl7.org/fhir/R4/http.html#concurrency"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from conformance import expect
from conformance.areas.history import walk
from conformance.checks import check
from conformance.target import Target

AREA = "concurrency"
CLIENTS = 16
UPDATED = ("Patient/create", "Patient/update", "Patient/read", "Patient/history-instance")


def at_once(ask: Callable[[int], int]) -> list[int]:
    """The statuses of as many clients, in order of number."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sorted(pool.map(ask, range(CLIENTS)))


@check(
    AREA,
    "16 clients that create on the same condition make one resource",
    "http.html#ccreate",
    "Patient/conditionalCreate",
    "Patient/create",
    "Patient/search-type",
    "Patient?_tag",
)
def conditional_create(target: Target) -> None:
    headers = {"If-None-Exist": urlencode({"_tag": target.tag})}

    def create(_: int) -> int:
        return target.send("POST", "Patient", target.sample("Patient"), headers).status

    statuses = at_once(create)
    found = len(target.search("Patient", ("_tag", target.tag))["entry"])
    expect.equal("resources", found, 1)
    expect.equal("answers of 201", statuses.count(201), 1)
    expect.require(statuses[-1] < 500, f"statuses {statuses}")


@check(
    AREA,
    "Of 16 clients that update the same version, one wins",
    "http.html#concurrency",
    *UPDATED,
    "Patient/versioning:versioned-update",
)
def if_match(target: Target) -> None:
    made = target.create("Patient")
    headers = {"If-Match": f'W/"{made["meta"]["versionId"]}"'}
    statuses = at_once(lambda n: target.update({**made, "multipleBirthInteger": n + 1}, headers).status)
    expect.equal("answers of 200", statuses.count(200), 1)
    expect.require(set(statuses) <= {200, 409, 412}, f"statuses {statuses}")


@check(AREA, "Every update that is answered by 200 is a version", "http.html#update", *UPDATED)
def updates(target: Target) -> None:
    made = target.create("Patient")
    statuses = at_once(lambda n: target.update({**made, "multipleBirthInteger": n + 1}).status)
    expect.require(set(statuses) <= {200, 409, 412}, f"statuses {statuses}")
    pages = walk(target, f"Patient/{made['id']}/_history")
    versions = {entry["resource"]["meta"]["versionId"] for page in pages for entry in page}
    expect.equal("versions", len(versions), 1 + statuses.count(200))


@check(
    AREA,
    "Of 16 clients that create under the same id, one creates",
    "http.html#upsert",
    "Patient/updateCreate",
    "Patient/update",
    "Patient/read",
)
def update_as_create(target: Target) -> None:
    body = target.sample("Patient", id=target.mark)
    statuses = at_once(lambda n: target.update({**body, "multipleBirthInteger": n + 1}).status)
    expect.equal("answers of 201", statuses.count(201), 1)
    expect.require(set(statuses) <= {200, 201, 409, 412}, f"statuses {statuses}")
