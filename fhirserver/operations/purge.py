"""``Patient/[id]/$purge``: all of a person's data, its history and content, for good.

For requests of data protection, where a DELETE keeps the history. Of a later FHIR:
https://build.fhir.org/patient-operation-purge.html
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fhirserver.errors import NotFound
from fhirserver.interactions import links
from fhirserver.interactions.compartments import ITSELF
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.storage.purge import Named, Purge

if TYPE_CHECKING:
    from fhirserver.server import Server


async def purge(request: Request, server: "Server") -> Result:
    """Remove the compartment of a patient, the patient last; the answer is the receipt.

    What belongs to another patient as well is kept and counted. A purge that was interrupted, or that had to
    leave content because it was stored a moment ago, is completed by calling it again.

    Raises:
        NotFound: there is nothing to purge.
    """
    inputs.read(request, server, ())
    check_id(request.id)
    patient = f"Patient/{request.id}"
    storage = Purge(server.repository.database, server.blobs)
    mine, shared = await _compartment(patient, storage, server)
    gone = [*(named.reference for named in mine), patient]
    versions, named_there = await _look(gone, storage, server)
    if not versions and not await storage.begun(patient):
        raise NotFound(f"There is no {patient}")
    binaries = await _unnamed(named_there, set(gone), storage, server)
    digests = [version.blob async for version in storage.versions(binaries) if version.blob]
    await storage.begin(patient, digests)
    counts: Counter[str] = Counter()
    # The content goes before what leads to it, the patient after everything: a repetition finds the rest.
    for part in (binaries, gone[:-1], gone[-1:]):
        for type, references in _grouped(part).items():
            if removed := await storage.remove(references):
                counts[type] += removed
    contents, waiting = await storage.finish(patient)
    return Result(200, json.format(_receipt(patient, counts, shared, contents, waiting)))


async def _compartment(patient: str, storage: Purge, server: "Server") -> tuple[list[Named], Counter[str]]:
    """The resources of this patient alone, and how many of each type are also another's."""
    compartment = server.definitions.compartment("Patient")
    types = sorted(server.types & set(compartment) - {"Patient"})
    found = await asyncio.gather(
        *(storage.named(t, [f"{code}|{patient}" for code in compartment[t] if code != ITSELF]) for t in types)
    )
    mine, shared = [], Counter[str]()
    for named in (named for some in found for named in some):
        if _patients(named, compartment[named.type]) == {patient}:
            mine.append(named)
        else:
            shared[named.type] += 1
    return mine, shared


def _patients(named: Named, codes: tuple[str, ...]) -> set[str]:
    """The patients whose compartments a resource is in."""
    found = set()
    for key in named.keys:
        code, _, address = key.partition("|")
        if code in codes and address.startswith("Patient/"):
            found.add(address.partition("/_history/")[0])
    return found


async def _look(references: list[str], storage: Purge, server: "Server") -> tuple[int, list[str]]:
    """How many versions there are of some resources, and the Binaries that these name."""
    names = links.link_names(server.definitions)
    own = f"{server.base_url}/"
    found: set[str] = set()
    count = 0

    def look(url: str) -> None:
        url = url.removeprefix(own)
        if url.startswith("Binary/"):
            found.add("/".join(url.split("/")[:2]))

    async for version in storage.versions(references):
        count += 1
        if b"Binary/" in version.body:
            links.rewrite(json.stored(version.body), look, names)
    return count, sorted(found)


async def _unnamed(binaries: list[str], gone: set[str], storage: Purge, server: "Server") -> list[str]:
    """Those that no other resource names, as far as search parameters know references and urls."""
    if not binaries or "Binary" not in server.types:
        return []
    wanted = {f"{base}{name}": name for name in binaries for base in ("", f"{server.base_url}/")}
    kept: set[str] = set()
    for type in sorted(server.types):
        parameters = server.indexer.parameters(type).items()
        codes = [code for code, parameter in parameters if parameter.type in ("reference", "uri")]
        for named in await storage.named(type, [f"{code}|{url}" for code in codes for url in wanted]):
            if named.reference not in gone:
                kept |= {wanted[url] for key in named.keys if (url := key.partition("|")[2]) in wanted}
    return [name for name in binaries if name not in kept]


def _grouped(references: Iterable[str]) -> dict[str, list[str]]:
    types: dict[str, list[str]] = {}
    for reference in references:
        types.setdefault(reference.partition("/")[0], []).append(reference)
    return types


def _receipt(
    patient: str, counts: Counter[str], shared: Counter[str], contents: int, waiting: int
) -> Resource:
    """Parameters: how many versions went, by type, and what is left and why."""

    def number(name: str, value: int) -> Resource:
        return {"name": name, "valueInteger": value}

    def listed(name: str, counted: Counter[str]) -> list[Resource]:
        parts = [number(type, counted[type]) for type in sorted(counted)]
        return [{"name": name, "part": parts}] if parts else []

    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueString": patient},
            *listed("versions-removed", counts),
            *listed("kept-also-about-another-patient", shared),
            number("contents-removed", contents),
            number("contents-waiting", waiting),
        ],
    }
