"""Headers, HEAD, compression. https://hl7.org/fhir/R4/http.html"""

import gzip

from conformance import expect
from conformance.checks import check
from conformance.client import absolute
from conformance.target import Target

AREA = "headers"
READ = ("{type}/read", "{type}/create")


@check(AREA, "HEAD has the headers of GET and no body", "http.html#3.1.0.15", *READ, "{type}/search-type")
def head(target: Target) -> None:
    made = target.create()
    path = f"{target.type}/{made['id']}"
    got, answer = target.get(path), target.get(path, method="HEAD")
    if answer.status in (405, 501):  # HTTP's way to say so
        raise expect.NotOffered
    expect.status(answer, 200)
    expect.require(not answer.body, "HEAD with a body")
    for name in ("etag", "last-modified", "content-type"):
        expect.equal(name, answer.headers.get(name), got.headers.get(name))
    for path in ("metadata", target.type):
        expect.status(target.get(path, method="HEAD"), 200)
    expect.status(target.get(f"{target.type}/{target.mark}", method="HEAD"), 404)


@check(AREA, "The Location of a create can be read", "http.html#create", *READ, "{type}/vread")
def location(target: Target) -> None:
    answer = target.send("POST", target.type, target.sample())
    expect.status(answer, 201)
    url = absolute(target.client.base_url, expect.header(answer, "Location"))
    expect.resource(target.get(url), target.type)


@check(AREA, "X-Request-Id comes back, the same or as X-Correlation-Id", "http.html#3.1.0.16", should=True)
def request_id(target: Target) -> None:
    answer = target.get("metadata", headers={"X-Request-Id": target.mark})
    returned = expect.header(answer, "X-Request-Id")
    if returned != target.mark:
        expect.equal("X-Correlation-Id", answer.headers.get("x-correlation-id"), target.mark)


@check(AREA, "gzip where it is asked for, and only then", "http.html#3.1.0.1.5")
def compressed(target: Target) -> None:
    plain = target.get("metadata")
    expect.equal("Content-Encoding", plain.headers.get("content-encoding"), None)
    answer = target.get("metadata", headers={"Accept-Encoding": "gzip"})
    expect.status(answer, 200)
    if answer.headers.get("content-encoding") != "gzip":
        raise expect.NotOffered
    expect.require(b"CapabilityStatement" in gzip.decompress(answer.body), "it is another body")


@check(
    AREA,
    "Links are of the host that was asked",
    "http.html#3.1.0.1.2",
    "{type}/search-type",
    "{type}/create",
    "{type}?_tag",
)
def links(target: Target) -> None:
    target.create()
    body = target.search(target.type, ("_tag", target.tag))
    for url in (expect.link(body, "self"), body["entry"][0]["fullUrl"]):
        expect.require(url.startswith(f"{target.client.base_url}/"), f"{url} is not below the base")
