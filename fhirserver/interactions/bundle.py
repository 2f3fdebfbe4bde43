"""https://hl7.org/fhir/R4/http.html#transaction: a Bundle posted to the base, a batch or a transaction"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fhirserver.errors import BadRequest, Issue, TooLarge
from fhirserver.interactions import prepare, publications
from fhirserver.interactions.respond import RETURN
from fhirserver.interactions.transaction import READS, Entry, transact
from fhirserver.model import json, outcome
from fhirserver.model.json import Resource
from fhirserver.request import Request, Result
from fhirserver.storage.documents import instant

if TYPE_CHECKING:
    from fhirserver.server import Server

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CONCURRENT = 16
DECODED = 100
"""The entries of a Bundle with more are held encoded."""
CONDITIONS = {
    "ifNoneExist": "if-none-exist",
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
}
REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 304: "Not Modified"}


async def bundle(request: Request, server: "Server") -> Result:
    """Process a batch or a transaction; the answer has the entries in the order asked."""
    request.type = "Bundle"
    resource = prepare.read_body(request, server)
    if resource.get("resourceType") != "Bundle":
        raise BadRequest(
            f"The base takes a Bundle, not a {resource.get('resourceType')}", expression="resourceType"
        )
    kind = resource.get("type")
    if kind not in ("batch", "transaction"):
        raise BadRequest(
            f"The base takes a Bundle of type batch or transaction, not {kind}", expression="Bundle.type"
        )
    given = resource.get("entry", [])
    if not isinstance(given, list):
        raise BadRequest("Bundle.entry is not an array", expression="Bundle.entry")
    most = server.settings.bundle_max
    if len(given) > most:
        raise TooLarge(
            f"The Bundle has {len(given)} entries; at most {most} are processed", expression="Bundle.entry"
        )
    if kind == "transaction" and server.publishing and publications.is_submission(resource):
        return await server.publishing.provide(resource, request)
    return await process(resource, request, server)


async def process(resource: Resource, request: Request, server: "Server") -> Result:
    """Process a batch or transaction as it is, a submission of documents, too."""
    given = resource.get("entry", [])
    preference = request.prefer("return", RETURN)
    language = request.headers.get("accept-language", "")
    entries = []
    for position in range(len(given)):
        entry = read_entry(position, given[position], preference, language, request.base_url, server)
        if len(given) > DECODED:
            entry.hold_encoded()
            given[position] = None
        entries.append(entry)
    kind = resource["type"]
    if kind == "batch":
        await _batch(entries, request.once, server)
    else:
        await server.repeat(lambda: transact(entries, request.once, server), request)
    answers = b",".join(answer(entry, preference) for entry in entries)
    body = b'{"resourceType":"Bundle","type":"%s-response"' % kind.encode()
    return Result(200, body + (b',"entry":[' + answers + b"]}" if answers else b"}"))


def read_entry(
    position: int, entry: Any, preference: str, language: str, base_url: str, server: "Server"
) -> Entry:
    """Raises BadRequest naming the entry whose request is missing or not understood."""
    path = f"Bundle.entry[{position}]"
    asked = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(asked, dict):
        raise BadRequest("An entry has no request", expression=f"{path}.request")
    method, url = asked.get("method"), asked.get("url")
    if method not in METHODS:
        raise BadRequest(
            f"The method {method!r} is not one of {', '.join(METHODS)}", expression=f"{path}.request.method"
        )
    if not isinstance(url, str):
        raise BadRequest("An entry's request has no url", expression=f"{path}.request.url")
    resource, full_url = entry.get("resource"), entry.get("fullUrl", "")
    if method in ("POST", "PUT", "PATCH") and not isinstance(resource, dict):
        raise BadRequest(f"A {method} entry has no resource", expression=f"{path}.resource")
    if not isinstance(full_url, str):
        raise BadRequest("A fullUrl is not a string", expression=f"{path}.fullUrl")
    relative = url.removeprefix(base_url).removeprefix(server.base_url)
    location, _, query = relative.lstrip("/").partition("?")
    headers = {header: str(asked[name]) for name, header in CONDITIONS.items() if asked.get(name)}
    headers["accept"] = "application/fhir+json"  # a Binary, too, is answered as a resource
    if language:
        headers["accept-language"] = language
    if preference:
        headers["prefer"] = f"return={preference}"
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    inner = Request(method, location, pairs, headers, base_url=base_url)
    return Entry(position, full_url, inner, resource)


async def _batch(entries: list[Entry], once: str, server: "Server") -> None:
    """Each entry on its own, several at a time. https://hl7.org/fhir/R4/http.html#brules"""
    slots = asyncio.Semaphore(CONCURRENT)

    async def run(entry: Entry) -> None:
        if once:
            entry.request.once = f"{once}/{entry.position}"
        async with slots:
            if entry.held is not None:
                entry.request.resource = entry.resource
            entry.result = await server.answer(entry.request)
            entry.request.resource = None

    await asyncio.gather(*(run(entry) for entry in entries))


def answer(entry: Entry, preference: str, issues: Sequence[Issue] = ()) -> bytes:
    """An entry of the response: https://hl7.org/fhir/R4/http.html#transaction-response

    ``issues`` are what there is to say of an entry that succeeded.
    """
    result = entry.result
    assert result is not None
    facts: dict[str, Any] = {"status": f"{result.status} {REASONS.get(result.status, '')}".strip()}
    if result.location:
        facts["location"] = "/".join(result.location.rsplit("/", 4)[1:])
    if result.etag:
        facts["etag"] = result.etag
    if result.last_modified:
        facts["lastModified"] = instant(result.last_modified)
    response = json.format(facts)
    reads = entry.request.method in READS
    told = b',"outcome":' + outcome.body(issues) if issues else b""
    if result.status >= 400 or (preference == "OperationOutcome" and result.body and not reads):
        return b'{"response":' + response[:-1] + b',"outcome":' + result.body + b"}}"
    if result.body and (reads or preference == "representation"):
        return b'{"resource":' + result.body + b',"response":' + response[:-1] + told + b"}}"
    return b'{"response":' + response[:-1] + told + b"}}"
