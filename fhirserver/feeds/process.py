"""One input from its bytes to what became of it: map, resolve, perform as a transaction."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace

import structlog

from fhirserver.errors import (
    FHIRError,
    NotFound,
    Unavailable,
    VersionConflict,
)
from fhirserver.feeds import acknowledgement, metadata_update, resources
from fhirserver.feeds.catalog import Catalog
from fhirserver.feeds.classes import classify
from fhirserver.feeds.definition import SourceDefinition
from fhirserver.feeds.documents import ParentUnknown
from fhirserver.feeds.lookup import find, find_ids, identifier_key, identifiers, token_key
from fhirserver.feeds.mapping import map_input
from fhirserver.feeds.resolve import Resolved, resolve
from fhirserver.feeds.rounds import in_rounds
from fhirserver.server import Server, where
from fhirserver.settings import Settings
from fhirserver.storage.items import Item, Outcome
from fhirserver.storage.sources import SourceVersions
from mappings.core.result import Held, Issue, Mapped, MappingError, Unmapped, Unreadable
from mappings.hl7v2.structure import check_structure

log = structlog.get_logger()


class CodesUnmapped(Held):
    """The source wants its messages held until each of their codes has a mapping."""

    def __init__(self, unmapped: list[Unmapped]) -> None:
        first = unmapped[0]
        text = f"{len(unmapped)} codes have no mapping: map them, then it is processed"
        super().__init__(text, Issue("error", "code-invalid", text, first.location))
        self.unmapped = unmapped


class Processing:
    """Processes inputs of every kind. What an input's own content causes is its outcome, no error."""

    def __init__(self, server: Server, settings: Settings) -> None:
        self._server = server
        self.catalog = Catalog(server, SourceVersions(server.repository.database), settings)

    async def process(self, item: Item, raw: bytes, *, repeated: bool) -> Outcome:
        """Give what became of an input; ``repeated`` says that it may have been processed before.

        Raises:
            Unavailable: try again later.
        """
        issues = [Issue(**remark) for remark in item.remarks]  # type: ignore[arg-type]  # severities as stored by this server
        if item.reused:
            text = "The control id has come before with other content"
            issues.append(Issue("warning", "duplicate", f"control-id-reuse: {text}", "MSH-10"))
        try:
            outcome = await self._process(item, raw, issues, repeated)
        except ParentUnknown as error:
            held = _outcome("held", [*issues, *error.issues])
            outcome = replace(held, awaits=error.awaits)
        except CodesUnmapped as error:
            held = _outcome("held", [*issues, *error.issues])
            outcome = replace(held, unmapped=_unmapped(error.unmapped))
        except Held as error:
            outcome = _outcome("held", [*issues, *error.issues])
        except MappingError as error:
            outcome = _outcome("failed", [*issues, *error.issues])
        except VersionConflict:
            raise Unavailable("Others keep changing the same resources") from None
        except Unavailable:
            raise
        except FHIRError as error:
            outcome = _outcome("failed", [*issues, *_issues(error)])
        except Exception as error:
            # Whatever it is, it is this input's alone, and its text may quote the input.
            log.error("unforeseen error", kind=type(error).__name__, id=item.id, where=where(error))
            text = f"Unforeseen error ({type(error).__name__}); it was logged"
            outcome = _outcome("failed", [*issues, Issue("error", "exception", text)])
        return _acknowledged(item, outcome, self.catalog.sender(item).definition)

    async def documents(self, outcome: Outcome) -> list[str]:
        """The identifiers (``system|value``, escaped) of the documents that an input brought.

        Raises:
            Unavailable.
        """
        named = (reference.rpartition("DocumentReference/")[1:] for reference in outcome.resources)
        ids = {rest.partition("/")[0] for type, rest in named if type}
        found = await find_ids([("DocumentReference", id) for id in ids], self._server)
        keys = [
            identifier_key("DocumentReference", i) for f in found.values() for i in identifiers(f.resource)
        ]
        return [key.token for key in keys]

    async def numbers(self, patient: str) -> tuple[str, ...]:
        """The values of a patient's identifiers.

        Raises:
            NotFound: there is no such patient.
        """
        found = (await find_ids([("Patient", patient)], self._server)).get(("Patient", patient))
        if found is None or not found.resource:
            raise NotFound(f"There is no Patient/{patient[:64]}")
        return tuple(str(i["value"]) for i in identifiers(found.resource) if i.get("value"))

    async def has_document(self, awaited: Sequence[str]) -> bool:
        """Whether a document with one of the identifiers is stored. Raises Unavailable."""
        keys = (token_key("DocumentReference", token) for token in awaited)
        return bool(await find([key for key in keys if key], self._server))

    async def _process(self, item: Item, raw: bytes, issues: list[Issue], repeated: bool) -> Outcome:
        if item.kind == "fhir":
            done = await resources.perform(raw, item, self._server)
            return _outcome(done.status, [*issues, *done.issues], done.references)
        if item.kind == "xds-update":
            done = await metadata_update.perform(raw, item, await self.catalog.source(item), self._server)
            return _outcome(done.status, [*issues, *done.issues], done.references)
        definition = self.catalog.sender(item).definition
        if item.kind == "hl7v2" and definition.structure != "off":
            issues += await self._structure(raw, definition)
        mapped = await map_input(item.kind, raw, await self.catalog.source(item), item.content_type)
        issues += [issue for issue in mapped.issues if issue not in issues]
        if mapped.unmapped and definition.unmapped == "hold":
            raise CodesUnmapped(mapped.unmapped)
        await classify(mapped, self._server)
        resolved, written = await self._store(mapped, item.id, repeated)
        issues += resolved.issues
        status = "warnings" if any(i.severity != "information" for i in issues) else "processed"
        outcome = _outcome(status, issues, [*written, *resolved.unchanged], mapped.unread)
        return replace(outcome, unmapped=_unmapped(mapped.unmapped))

    async def _structure(self, raw: bytes, definition: SourceDefinition) -> list[Issue]:
        """What the version's definition of the message says against it.

        Raises:
            Unreadable: the source wants such messages refused.
        """
        found = await asyncio.to_thread(check_structure, raw)
        if found and definition.structure == "refuse":
            raise Unreadable("The message is not as its version defines it", *found)
        return [replace(issue, severity="warning") for issue in found]

    async def _store(self, mapped: Mapped, seed: str, repeated: bool) -> tuple[Resolved, list[str]]:
        """Resolve and perform, again while others change what was read."""

        async def attempt(round: int) -> tuple[Resolved, list[str]]:
            resolved = await resolve(mapped, self._server, seed, repeated=repeated or round > 0)
            if resolved.bundle is None:
                return resolved, []
            return resolved, (await resources.perform_bundle(resolved.bundle, self._server)).references

        return await in_rounds(attempt)


def _outcome(
    status: str, issues: Iterable[Issue], resources: Iterable[str] = (), unread: Iterable[str] = ()
) -> Outcome:
    remarks = [remark(issue) for issue in dict.fromkeys(issues)]
    return Outcome(status, remarks, tuple(unread), tuple(dict.fromkeys(resources)))


def _unmapped(codes: Iterable[Unmapped]) -> tuple[dict[str, str], ...]:
    return tuple(
        {"system": one.system, "code": one.code, "display": one.display, "location": one.location}
        for one in codes
    )


def remark(issue: Issue) -> dict[str, str]:
    """An issue as the inbox keeps it."""
    return {
        "severity": issue.severity,
        "code": issue.code,
        "text": issue.text,
        "location": issue.location,
        **({"fault": issue.fault} if issue.fault else {}),
    }


def _acknowledged(item: Item, outcome: Outcome, definition: SourceDefinition) -> Outcome:
    code = acknowledgement.OF_STATUS[outcome.status] if item.kind == "hl7v2" else ""
    if code and outcome.status == "failed":
        code = definition.refusal or code
    return replace(outcome, acknowledgement=code)


def _issues(error: FHIRError) -> list[Issue]:
    """What the server says of the Bundle that the input was mapped to."""
    return [
        Issue(
            issue.severity if issue.severity != "fatal" else "error", issue.code, issue.text, issue.expression
        )
        for issue in error.issues
    ]
