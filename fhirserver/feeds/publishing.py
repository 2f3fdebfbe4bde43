"""Documents published with FHIR (IHE MHD): stored by the rules of every other channel, in one transaction.

ITI-65 Provide Document Bundle, ITI-105 Simplified Publish, ITI-106 Generate Metadata. One uniqueId is one
document; what it replaces is superseded; what its CDA asserts becomes resources. docs/api/documents.md
"""

import asyncio
import base64
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeVar

from fhirserver.errors import (
    BadRequest,
    Issue,
    Unprocessable,
)
from fhirserver.feeds import mapping
from fhirserver.feeds.classes import classify
from fhirserver.feeds.merge import point
from fhirserver.feeds.publication import (
    addressed,
    check_members,
    check_parts,
    find_subject,
    is_apart,
    knows_patient,
    name_targets,
)
from fhirserver.feeds.resolve import Resolved, resolve
from fhirserver.feeds.rounds import in_rounds
from fhirserver.interactions import claims, prepare
from fhirserver.interactions.bundle import answer, process, read_entry
from fhirserver.interactions.criteria import single_match
from fhirserver.interactions.respond import RETURN, respond
from fhirserver.interactions.transaction import Entry
from fhirserver.model import json, outcome
from fhirserver.model.json import Resource
from fhirserver.request import Request, Result
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now
from fhirserver.validation import language_of
from mappings import mhd
from mappings.core.result import Issue as Remark
from mappings.core.result import Mapped, MappingError
from mappings.core.source import Source
from mappings.mhd.submission import list_type

SOURCE = "mhd"
"""Whose the local names in published documents are."""
LIST, DOCUMENT = "urn:fhirserver:submission-set", "urn:fhirserver:document"
"""The fullUrls of what is published alone."""
FHIR_JSON, FHIR_XML = "application/fhir+json", "application/fhir+xml"
Given = TypeVar("Given")
Made = TypeVar("Made")
_OTHER = "urn:fhirserver:entry:"
_ENTRY = re.compile(r"Bundle\.entry\[\d+\]\.resource")
_PLACE = re.compile(r"Bundle\.entry\[(\d+)\]")


@dataclass(slots=True)
class _Done:
    """What a submission came to: the transaction's response to each fullUrl that was written, the references
    of all others, and what there is to say."""

    written: dict[str, Resource]
    targets: dict[str, str]
    issues: list[Issue] = field(default_factory=list)

    def reference(self, url: str) -> str:
        location = str(self.written.get(url, {}).get("location", ""))
        return location.partition("/_history/")[0] or self.targets.get(url, "")

    def status(self, url: str) -> int:
        return 201 if str(self.written.get(url, {}).get("status", "")).startswith("201") else 200


class Publishing:
    """See ``interactions.publications.Publishing``."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._server = server
        self._settings = settings

    async def provide(self, bundle: Resource, request: Request) -> Result:
        """Store a submission.

        Raises:
            FHIRError: it is refused as a whole: not valid, a file that is missing or not what its hash says,
                several patients, a uniqueId that is stored with other content, a replaced document that is
                not here or not current.
        """
        preference = request.prefer("return", RETURN)
        language = request.headers.get("accept-language", "")
        entries = [
            read_entry(position, entry, preference, language, request.base_url, self._server)
            for position, entry in enumerate(bundle.get("entry", []))
        ]
        bundle, issues = check_parts(bundle, self._server, language_of(language))
        submission = _mapped(mhd.read, bundle)
        _check_urls(entries, submission)
        if not submission.sets:
            issues.append(Issue("warning", "required", "The Bundle has no submission set", "Bundle.entry"))
        done = await self._store(bundle, submission, request)
        done.issues[:0] = issues
        return await self._answer(entries, submission, done, preference)

    async def publish(self, document: Resource, request: Request) -> Result:
        """Store a document that comes inside its DocumentReference, in a submission set of its own.

        Raises:
            FHIRError: as ``provide``.
        """
        if condition := request.headers.get("if-none-exist", ""):
            unit = self._server.unit(request)
            if existing := await single_match(request.type, condition, self._server, unit):
                return await respond(200, existing, request, self._server)
        created = {"method": "POST", "url": "DocumentReference"}
        sent = {"resourceType": "Bundle", "entry": [{"resource": document, "request": created}]}
        language = language_of(request.headers.get("accept-language", ""))
        try:
            checked, issues = check_parts(sent, self._server, language)
            document = self._apart(checked["entry"][0]["resource"])
            made = mhd.submission_set_of(
                document, DOCUMENT, source=self._settings.xds_source_id, time=instant(now())
            )
            if claims.holds(made, claims.MINIMAL_SUBMISSION, self._server):
                made = claims.with_claims(made, add={claims.MINIMAL_SUBMISSION}, without=set())
            entries = [
                {"fullUrl": DOCUMENT, "resource": document, "request": created},
                {"fullUrl": LIST, "resource": made, "request": {"method": "POST", "url": "List"}},
            ]
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            done = await self._store(bundle, _mapped(mhd.read, bundle), request)
        except (BadRequest, Unprocessable) as error:
            error.issues = tuple(_alone(error.issues))
            raise
        [found] = await self._find([done.reference(DOCUMENT)])
        assert found is not None  # it was stored above, or before
        told = _alone([*issues, *done.issues])
        return await respond(done.status(DOCUMENT), found, request, self._server, told)

    async def knows_patient(self, document: Resource) -> bool:
        """Raises Unavailable."""
        return await knows_patient(document, self._server)

    async def describe(self, document: Resource, request: Request) -> Result:
        """Store a structured document under metadata made of it; the answer refers to its DocumentReference.

        Raises:
            FHIRError: it is neither a CDA nor a FHIR document, or refused as ``provide`` says.
        """
        source = mapping.source_of(SOURCE, self._settings)
        described = await asyncio.to_thread(_mapped, lambda each: self._described(each, source), document)
        await classify(described.mapped, self._server)
        resolved, written = await self._perform(described.mapped, {}, request)
        done = _Done(written, resolved.targets)
        reference = done.reference(described.url)
        if request.prefer("return", RETURN) == "OperationOutcome":
            told = Issue("information", "informational", f"The document is {reference}")
            issues = [*_issues(described.mapped.issues), *_issues(resolved.issues)]
            return Result(200, outcome.body([told, *issues]))
        parameter = {"name": "DocumentReference", "valueReference": {"reference": reference}}
        return Result(200, json.format({"resourceType": "Parameters", "parameter": [parameter]}))

    def _described(self, document: Resource, source: Source) -> mhd.Described:
        made = mhd.Made(self._settings.xds_source_id, instant(now()))
        if document.get("resourceType") == "Bundle":
            return mhd.describe_bundle(document, json.format(document), FHIR_JSON, source, made)
        raw = base64.b64decode(document.get("data", ""))
        media_type = str(document.get("contentType", "")).partition(";")[0].strip().lower()
        if media_type in (FHIR_JSON, "application/json", FHIR_XML):
            bundle = self._server.parse_xml(raw) if media_type == FHIR_XML else json.parse_resource(raw)
            errors = [i for i in self._server.validator.validate(bundle) if i.severity in ("error", "fatal")]
            if errors or bundle["resourceType"] != "Bundle":
                raise prepare.Invalid("The document in the Binary is no valid Bundle", issues=errors)
            return mhd.describe_bundle(bundle, raw, media_type, source, made)
        return mhd.describe_cda(raw, source, made)

    def _apart(self, document: Resource) -> Resource:
        """The document claiming what will hold of it once its file is a Binary."""
        contents = [
            {
                **c,
                "attachment": {
                    "url": "Binary/1",
                    **{k: v for k, v in c["attachment"].items() if k != "data"},
                },
            }
            for c in document["content"]
        ]
        stored = {**document, "content": contents}
        simplified = not claims.SIMPLIFIED.isdisjoint(claims.claimed(document))
        holds = simplified and claims.holds(stored, claims.MINIMAL_DOCUMENT, self._server)
        add = {claims.MINIMAL_DOCUMENT} if holds else set()
        return claims.with_claims(document, add=add, without=claims.SIMPLIFIED)

    # --- store

    async def _store(self, bundle: Resource, submission: mhd.Submission, request: Request) -> _Done:
        subject = await find_subject(submission, self._server)
        await check_members(submission, subject, self._server)
        submission = await name_targets(submission, self._server)
        source = mapping.source_of(SOURCE, self._settings)
        mapped = await asyncio.to_thread(
            _mapped, lambda each: mhd.to_bundle(each, subject, source), submission
        )
        others = {
            f"{_OTHER}{position}": await addressed(bundle["entry"][position], self._server)
            for position in submission.others
        }
        resolved, written = await self._perform(mapped, others, request)
        return _Done(written, resolved.targets, [*_issues(mapped.issues), *_issues(resolved.issues)])

    async def _perform(
        self, mapped: Mapped, others: dict[str, Resource], request: Request
    ) -> tuple[Resolved, dict[str, Resource]]:
        """Resolve and perform, with the entries beside the submission, again while others change what was
        read; the responses by fullUrl or by the names of the others."""
        seed = str(uuid.uuid4())

        async def attempt(round: int) -> tuple[Resolved, dict[str, Resource]]:
            try:
                resolved = await resolve(mapped, self._server, seed, repeated=round > 0)
            except MappingError as error:
                _refuse(error)
            entries = [*(resolved.bundle or {"entry": []})["entry"]]
            _check_folders(mapped, entries)
            named = {entry["fullUrl"]: entry for entry in entries}
            touched = {entry["request"]["url"] for entry in entries}
            for name, entry in others.items():
                if is_apart(entry, touched):
                    named[name] = point(entry, resolved.targets)
                else:
                    resolved.targets[name] = entry["request"]["url"]
            transaction = {"resourceType": "Bundle", "type": "transaction", "entry": list(named.values())}
            headers = {**request.headers, "prefer": "return=minimal"}
            result = await process(transaction, replace(request, headers=headers), self._server)
            responses = (entry["response"] for entry in json.stored(result.body).get("entry", []))
            return resolved, dict(zip(named, responses, strict=True))

        return await in_rounds(attempt)

    # --- answer

    async def _answer(
        self, entries: list[Entry], submission: mhd.Submission, done: _Done, preference: str
    ) -> Result:
        """The response of a transaction, in the order of the entries as they were sent; what there is to say
        stands with the entry that it is about, else with the submission set."""
        parts = {part.position: part.url for part in submission.parts}
        parts |= {p: name for p in submission.others if (name := f"{_OTHER}{p}") in done.targets}
        found = await self._find([done.reference(url) for url in parts.values()])
        stored = dict(zip(parts, found, strict=True))
        first = submission.sets[0].position if submission.sets else 0
        answers = []
        for entry in entries:
            told = [issue for issue in done.issues if _position(issue, first) == entry.position]
            if (one := stored.get(entry.position)) is not None:
                status = done.status(parts[entry.position])
                entry.result = await respond(status, one, entry.request, self._server)
                answers.append(answer(entry, preference, told))
            else:
                response = done.written.get(f"{_OTHER}{entry.position}", {"status": "200 OK"})
                response |= {"outcome": outcome.outcome(told)} if told else {}
                answers.append(json.format({"response": response}))
        start = b'{"resourceType":"Bundle","type":"transaction-response","entry":['
        return Result(200, start + b",".join(answers) + b"]}")

    async def _find(self, references: Iterable[str]) -> list[Stored | None]:
        """What is stored under references; None for one that is empty."""
        addresses = [reference.partition("/")[::2] for reference in references]
        known = list(dict.fromkeys(address for address in addresses if address[1]))
        found = dict(zip(known, await self._server.repository.find_many(known), strict=True))
        return [found.get(address) for address in addresses]


def _check_urls(entries: list[Entry], submission: mhd.Submission) -> None:
    """Raises BadRequest: an entry creates a resource where others are."""
    for part in submission.parts:
        type, path = part.resource["resourceType"], entries[part.position].request.path.strip("/")
        if path != type:
            place = f"Bundle.entry[{part.position}].request.url"
            raise BadRequest(f"The entry has a {type}, its url says {path[:64]}", expression=place)


def _check_folders(mapped: Mapped, entries: list[Resource]) -> None:
    """Raises Unprocessable: a new document is in a folder that is stored, which would stay as it is."""
    written = {entry["fullUrl"]: entry["resource"]["resourceType"] for entry in entries}
    new = {url for url, type in written.items() if type == "DocumentReference" and ":" in url}
    for entry in mapped.bundle["entry"]:
        if entry["fullUrl"] in written or list_type(entry["resource"]) != "folder":
            continue
        if not new.isdisjoint(each["item"].get("reference") for each in entry["resource"].get("entry", ())):
            text = "XDSDuplicateUniqueIdInRegistry: the folder is stored already, PATCH its List"
            raise Unprocessable(text, issues=[Issue("error", "duplicate", text, "List.identifier")])


def _mapped(step: Callable[[Given], Made], given: Given) -> Made:
    """Raises Unprocessable for what the mappings refuse."""
    try:
        return step(given)
    except MappingError as error:
        _refuse(error)


def _refuse(error: MappingError) -> NoReturn:
    raise Unprocessable(str(error), issues=_issues(error.issues)) from None


def _issues(remarks: Iterable[Remark]) -> list[Issue]:
    return [Issue(r.severity, r.code, r.text, r.location) for r in dict.fromkeys(remarks)]


def _position(issue: Issue, first: int) -> int:
    named = _PLACE.match(issue.expression)
    return int(named[1]) if named else first


def _alone(issues: Iterable[Issue]) -> list[Issue]:
    """Issues of a document that was sent by itself, in no Bundle."""
    return [replace(i, expression=_ENTRY.sub("DocumentReference", i.expression)) for i in issues]
