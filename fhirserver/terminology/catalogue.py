"""Which code systems, value sets and concept maps there are, by canonical url and version, and where."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["store", "loaded", "package"]
TYPES = ("CodeSystem", "ValueSet", "ConceptMap")
OID = "urn:oid:"
OIDS = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.6.8": "http://unitsofmeasure.org",
    "2.16.840.1.113883.6.73": "http://www.whocc.no/atc",
    "2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10",
    "1.0.3166.1.2.2": "urn:iso:std:iso:3166",
    "1.2.840.10008.2.16.4": "http://dicom.nema.org/resources/ontology/DCM",
}
"""https://hl7.org/fhir/R4/terminologies-systems.html; code systems say their own in ``identifier``."""
_RANK: dict[Source, int] = {"package": 0, "loaded": 1, "store": 2}
_parts = re.compile(r"\d+|[a-z]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One of them. ``place`` finds its content: in a package (file, offset, length), a file of its own
    (file), in the store (id, version), or the key of a loaded system.

    ``value_set`` is CodeSystem.valueSet, ``supplements`` the system that a supplement adds to, ``about`` the
    systems and value sets that a concept map leads from and to, ``oids`` (``urn:oid:...``) what a code system
    is called in HL7v2 and CDA.
    """

    type: str
    url: str
    version: str
    source: Source
    place: tuple[str | int, ...]
    status: str = "active"
    value_set: str = ""
    supplements: str = ""
    about: tuple[str, ...] = ()
    oids: tuple[str, ...] = ()

    @property
    def order(self) -> tuple[object, ...]:
        """What is preferred where no version is asked for: active ones, of the store, the latest."""
        return (self.status != "retired", _RANK[self.source], self.status != "draft", latest(self.version))


@dataclass(slots=True)
class Catalogue:
    """Entries by type and url; those of the store are put and removed as they change."""

    _by_url: dict[tuple[str, str], list[Entry]] = field(default_factory=dict)
    _implied: dict[str, Entry] = field(default_factory=dict)
    _supplements: dict[str, list[Entry]] = field(default_factory=dict)
    _by_id: dict[str, Entry] = field(default_factory=dict)
    _urls: dict[str, str] = field(default_factory=dict)
    _about: dict[str, list[Entry]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        if entry.supplements:
            self._supplements.setdefault(entry.supplements.partition("|")[0], []).append(entry)
        if entry.url:
            self._by_url.setdefault((entry.type, entry.url), []).append(entry)
        if entry.value_set:
            self._implied[entry.value_set] = entry
        self._urls |= dict.fromkeys(entry.oids, entry.url)
        for url in entry.about:
            self._about.setdefault(url, []).append(entry)
        if entry.source == "store":
            self._by_id[f"{entry.type}/{entry.place[0]}"] = entry

    def remove(self, entry: Entry) -> None:
        """Forget an entry that is there."""
        if entry.source == "store":
            self._by_id.pop(f"{entry.type}/{entry.place[0]}", None)
        for there in (
            self._by_url.get((entry.type, entry.url), []),
            self._supplements.get(entry.supplements.partition("|")[0], []),
            *(self._about.get(url, []) for url in entry.about),
        ):
            if entry in there:
                there.remove(entry)
        if self._implied.get(entry.value_set) == entry:
            del self._implied[entry.value_set]

    def find(self, type: str, canonical: str, version: str = "") -> Entry | None:
        """The entry of a canonical ``url|version``; without a version the one that is preferred.

        The store's own are found by ``ValueSet/id`` as well.
        """
        if canonical.startswith(f"{type}/"):
            return self._by_id.get(canonical)
        url, _, own = canonical.partition("|")
        wanted = own or version
        found = self.versions(type, url)
        if wanted:
            found = [entry for entry in found if entry.version == wanted]
        return max(found, key=lambda entry: entry.order, default=None)

    def url_of(self, system: str) -> str:
        """The url of a code system that is named by its OID, where it has one; else as it is."""
        if not system.startswith(OID) or self._by_url.get(("CodeSystem", system)):
            return system
        return OIDS.get(system.removeprefix(OID)) or self._urls.get(system, system)

    def versions(self, type: str, url: str) -> list[Entry]:
        """Every version of a url."""
        return list(self._by_url.get((type, url), ()))

    def implied(self, value_set: str) -> Entry | None:
        """The code system whose ``valueSet`` this is: the set of all its codes."""
        return self._implied.get(value_set)

    def supplements(self, system: str) -> list[Entry]:
        return [e for e in self._supplements.get(system, ()) if e.status != "retired"]

    def maps(self, url: str) -> list[Entry]:
        """The concept maps that lead from or to a code system or value set."""
        return list(self._about.get(url, ()))

    def of(self, type: str) -> Iterator[Entry]:
        """Every entry of a type, in the order of the urls."""
        for (own, _), entries in sorted(self._by_url.items()):
            if own == type:
                yield from entries


def latest(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts versions: 2.9 is before 2.77, 1.0-beta before 1.0, and nothing before all."""
    parts = _parts.findall(version.lower())
    return (*((2, int(part), "") if part.isdigit() else (0, 0, part) for part in parts), (1, 0, ""))


def about(urls: Iterable[str | None]) -> tuple[str, ...]:
    """The urls of a concept map's ends, without versions."""
    return tuple(dict.fromkeys(url.partition("|")[0] for url in urls if url))
