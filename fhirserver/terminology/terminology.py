"""The terminology of one process: packages, store and loaded systems behind one door.

terminology = Terminology(Packages(in_directory(path), cache), store)
terminology.validate("http://loinc.org", "8480-6")            # at once: "known", "unknown", "cannot tell"
await terminology.verify("http://loinc.org", "8480-6")        # the same, looked up where it must be
await terminology.ask(lambda sources: expand(sources, set, asked))
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import structlog

from fhirserver.errors import FHIRError, NotFound, TooCostly, Unavailable
from fhirserver.model.json import Resource
from fhirserver.terminology import concept_maps, value_sets
from fhirserver.terminology.catalogue import Catalogue, Entry
from fhirserver.terminology.code_systems import Head, Listed, with_hierarchy
from fhirserver.terminology.concept_maps import Match
from fhirserver.terminology.expansion import MOST, Asked, Unknown, expand
from fhirserver.terminology.membership import contains, systems
from fhirserver.terminology.packages import Packages, entry_of
from fhirserver.terminology.questions import Answers, Body, Chosen, Missing, Question
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.selections import Is, Selection
from fhirserver.terminology.sources import Compiled, Sources, settled

EXPANSION_PARAMETERS = (
    *("url", "valueSet", "valueSetVersion", "filter", "offset", "count", "includeDesignations"),
    *("designation", "includeDefinition", "activeOnly", "excludeNested", "excludeNotForUI"),
    *("displayLanguage", "exclude-system", "system-version", "check-system-version", "force-system-version"),
    "property",
)
"""What $expand takes and heeds."""
LEARNT = 50
"""So many questions that could not be answered at once are looked up at a time."""
POLL = 2.0
"""Seconds after which a change that another process made is noticed."""
ROUNDS = 200
SMALL = 5000
"""Loaded systems of no more concepts are held in memory."""

Verdict = Literal["known", "unknown", "cannot tell"]
T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Change:
    """A stored resource as it is now; ``resource`` None: it is gone."""

    type: str
    id: str
    version: int
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class LoadedSystem:
    """A code system in the database: the key of its rows, what it says of itself, how many concepts."""

    key: str
    head: Head
    count: int


class Store(Protocol):
    """The database as terminology sees it; each method raises Unavailable."""

    async def changes(self) -> Sequence[Change]:
        """What has changed since the last call; at the first call everything."""
        ...

    async def loaded(self) -> Sequence[LoadedSystem]:
        """The loaded systems."""
        ...

    async def answer(self, question: Question) -> Any:
        """See ``questions``. Raises TooCostly as well."""
        ...


class Terminology:
    """``remote`` is asked by the methods that wait, for what is not known here."""

    def __init__(
        self, packages: Packages | None = None, store: Store | None = None, remote: Remote | None = None
    ) -> None:
        self.catalogue = Catalogue()
        self.packages = packages or Packages()
        self.remote = remote
        self._store = store
        self._compiled = Compiled()
        self._wanted: list[Callable[[Sources], Any]] = []
        self._added: dict[Body, Resource] = {}
        self._stored: dict[tuple[str, str], Entry] = {}
        self._loaded: dict[str, tuple[LoadedSystem, Entry]] = {}
        self._heads: dict[str, Head] = {}
        self._refreshing = asyncio.Lock()
        self._refreshed = 0.0
        self._task: asyncio.Task[None] | None = None
        for entry in self.packages.entries:
            self.catalogue.add(entry)

    # --- what changes

    def add(self, resource: Resource) -> None:
        """Know a resource that is neither in a package nor in the store, for as long as this lives."""
        type, key = resource["resourceType"], f"{resource.get('url', '')}|{resource.get('version', '')}"
        self._added[Body(type, key, 1)] = resource
        self._note(Change(type, key, 1, resource))

    async def start(self) -> None:
        """Notice changes from now on."""
        if self._store:
            self._task = asyncio.create_task(self._watch(), name="terminology")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            try:
                await self.refresh()
                await self.learn()
            except Unavailable:
                log.warning("changes of the terminology cannot be read now")
            except Exception as error:
                # One resource must not end the watch over all; its text may be quoted: only the kind is told.
                log.error("changes of the terminology failed unforeseen", kind=type(error).__name__)
            await asyncio.sleep(POLL)

    async def learn(self) -> None:
        """Look up what could not be told at once: the next time it can be. Raises Unavailable."""
        wanted, self._wanted = self._wanted, []
        for evaluate in wanted:
            try:
                await self._looked_up(evaluate)
            except Unavailable:
                raise
            except FHIRError:
                continue  # it cannot be told at all: whoever asks is told why

    async def refresh(self) -> None:
        """Take note of what has changed until now. Raises Unavailable."""
        if self._store is None:
            return
        asked = time.monotonic()
        async with self._refreshing:
            if self._refreshed > asked:
                return  # another, begun since, has read what this one would
            begun = time.monotonic()
            loaded = await self._store.loaded()
            for change in await self._store.changes():
                self._note(change)
            await self._note_loaded(self._store, loaded)
            self._refreshed = begun

    def _note(self, change: Change) -> None:
        key = (change.type, change.id)
        if (previous := self._stored.pop(key, None)) is not None:
            self.catalogue.remove(previous)
        if change.resource is None:
            return
        described = entry_of(change.resource)
        entry = Entry(
            change.type,
            described.url,
            described.version,
            "store",
            (change.id, change.version),
            described.status,
            described.value_set,
            described.supplements,
            described.about,
            described.oids,
        )
        self._stored[key] = entry
        self.catalogue.add(entry)
        # What has just been read is compiled now, so that it can be asked without waiting.
        try:
            self._sources(Answers()).compile(entry, change.resource)
        except (FHIRError, Missing):
            pass  # whoever asks for it is told
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            log.warning("not usable as terminology", kind=type(error).__name__, resource="/".join(key))

    async def _note_loaded(self, store: Store, loaded: Sequence[LoadedSystem]) -> None:
        there = {system.key: system for system in loaded}
        for key in self._loaded.keys() - there.keys():
            self.catalogue.remove(self._loaded.pop(key)[1])
            del self._heads[key]
        for key in there.keys() - self._loaded.keys():
            system = there[key]
            head = system.head
            entry = Entry("CodeSystem", head.url, head.version, "loaded", (key,), "active", head.value_set)
            if system.count <= SMALL:
                found = await store.answer(Chosen(key, Selection(), 0, SMALL))
                concepts = {concept.code: concept for concept in found.concepts}
                self._compiled.put((entry, ()), Listed(head, with_hierarchy(concepts)), len(concepts) + 1)
            self._loaded[key] = system, entry
            self._heads[key] = head
            self.catalogue.add(entry)

    @property
    def loaded(self) -> list[LoadedSystem]:
        """The systems in the database, in the order of their urls."""
        return sorted((system for system, _ in self._loaded.values()), key=lambda s: s.head.called)

    # --- asking

    def _sources(self, answers: Answers) -> Sources:
        for question, resource in self._added.items():
            answers.put(question, resource)
        return Sources(self.catalogue, self.packages, self._compiled, self._heads, answers)

    async def ask(self, evaluate: Callable[[Sources], T]) -> T:
        """The result of an evaluation, with what it must know looked up.

        Raises:
            FHIRError: what the evaluation or the store raises.
        """
        await self.refresh()
        return await self._looked_up(evaluate)

    async def _looked_up(self, evaluate: Callable[[Sources], T]) -> T:
        answers = Answers()
        for _ in range(ROUNDS):
            try:
                return evaluate(self._sources(answers))
            except Missing as missing:
                assert self._store is not None
                answers.put(missing.question, await self._store.answer(missing.question))
        raise TooCostly("This needs too many look-ups of single codes; ask for less at once")

    def validate(self, system: str, code: str, value_set: str = "") -> Verdict:
        """Whether a code is in a value set (none: in its code system), as far as this process knows at once.

        ``cannot tell``: the system or the value set is not known here, or must be looked up: see ``verify``.
        """
        return _verdict(self.now(lambda sources: _is_known(sources, system, code, value_set)))

    def now(self, evaluate: Callable[[Sources], T]) -> T | None:
        """The result of an evaluation with what is in memory; None where that is not enough, or it fails.

        Resources of the store that are not in memory are read soon; codes of loaded systems are not.
        """
        try:
            return evaluate(self._sources(Answers()))
        except Missing as missing:
            if isinstance(missing.question, Body) and len(self._wanted) < LEARNT:
                self._wanted.append(evaluate)
            return None
        except FHIRError:
            return None

    async def verify(self, system: str, code: str, value_set: str = "") -> Verdict:
        """As ``validate``, with the database and the remote server asked where that is needed.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            found = await self.ask(lambda sources: _is_known(sources, system, code, value_set))
        except Unavailable:
            raise
        except FHIRError:
            found = None
        if found is None and self.remote:
            return _verdict(await self._told(self.remote, system, code, value_set))
        return _verdict(found)

    async def _told(self, remote: Remote, system: str, code: str, value_set: str) -> bool | None:
        named = {"system": system, "url": value_set} if value_set else {"url": system}
        given = [{"name": "code", "valueCode": code}]
        given += [{"name": name, "valueUri": value} for name, value in named.items()]
        operation = f"{'ValueSet' if value_set else 'CodeSystem'}/$validate-code"
        try:
            answer = await remote.ask(operation, {"resourceType": "Parameters", "parameter": given})
        except FHIRError:
            return None
        found = [p.get("valueBoolean") for p in answer.get("parameter", ()) if p.get("name") == "result"]
        return found[0] if found and isinstance(found[0], bool) else None

    async def codes(self, value_set: str) -> list[tuple[str, str]]:
        """System and code of everything in a value set (a canonical, or ``ValueSet/id``), at most ``MOST``.

        Raises:
            FHIRError: see ``expand``; LookupError: the value set is not known.
        """

        def evaluate(sources: Sources) -> list[tuple[str, str]]:
            set = sources.value_set(value_set)
            if set is None:
                raise LookupError(value_set)
            return [(m.system, m.concept.code) for m in expand(sources, set, Asked()).members]

        try:
            return await self.ask(evaluate)
        except (LookupError, Unknown):
            if self.remote is None:
                raise
            return await _expanded(self.remote, value_set)

    async def related(self, system: str, code: str, above: bool = False) -> list[tuple[str, str]]:
        """System and code of everything at or below a code, or at or above it.

        Raises:
            FHIRError: see ``expand``; LookupError: the system or the code is not known.
        """

        def evaluate(sources: Sources) -> list[tuple[str, str]]:
            known = sources.code_system(system)
            concept = known.find(code) if known else None
            if known is None or concept is None:
                raise LookupError(code)
            where = settled(Is("generalizes" if above else "is-a", "concept", (concept.code,)), known)
            found = known.select(Selection(where), 0, MOST)
            if found.total > MOST:
                raise TooCostly(f"{found.total} codes are at or below {code[:40]}; {MOST} are the most")
            return [(system, c.code) for c in found.concepts]

        return await self.ask(evaluate)

    async def translate(self, map: str, system: str, code: str, target: str = "") -> list[Match]:
        """The translations that a concept map (its canonical) has for a code; none where there is no map."""

        def evaluate(sources: Sources) -> list[Match]:
            entry = self.catalogue.find("ConceptMap", map)
            return concept_maps.translate(sources.concept_map(entry), system, code, target) if entry else []

        return await self.ask(evaluate)


async def _expanded(remote: Remote, value_set: str) -> list[tuple[str, str]]:
    """The codes of a value set that another server knows. Raises LookupError when it does not."""
    given = [{"name": "url", "valueUri": value_set}]
    try:
        answer = await remote.ask("ValueSet/$expand", {"resourceType": "Parameters", "parameter": given})
    except NotFound:
        raise LookupError(value_set) from None
    expansion = value_sets.value_set(answer).expansion or ()
    return [(entry.get("system", ""), entry["code"]) for entry in expansion]


def _is_known(sources: Sources, system: str, code: str, canonical: str) -> bool | None:
    system = sources.catalogue.url_of(system)
    if canonical:
        set = sources.value_set(canonical)
        if set is None:
            return None
        if not system:
            found = [contains(sources, set, own, code) for own in systems(sources, set)]
            return True if True in found else None if None in found else False
        return contains(sources, set, system, code)
    known = sources.code_system(system)
    if known is None:
        return None
    return True if known.find(code) else False if known.head.complete else None


def _verdict(found: bool | None) -> Verdict:
    if found is None:
        return "cannot tell"
    return "known" if found else "unknown"
