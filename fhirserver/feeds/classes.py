"""The class of documents whose type the mappings know no class of: as the concept maps here say.

The ANS' table ASS_X04 (type -> class), where an operator has stored or loaded it. docs/profiles.md
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.terminology.catalogue import Entry
from fhirserver.terminology.concept_maps import Match, translate
from fhirserver.terminology.sources import Sources
from mappings.cda.formats import CLASSES
from mappings.core.result import Mapped

NAMES: Final = {"http://loinc.org": "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc"}
"""What France calls a code system in its maps, too."""
OWN: Final = "urn:x-fhirserver:concept-map:document-class-of-type"
_NONE: Final = ("unmatched", "disjoint")


async def classify(mapped: Mapped, server: Server) -> None:
    """Give the documents that have a type and no class (``category``) theirs, where a map says it.

    Raises:
        Unavailable.
    """
    for entry in mapped.bundle.get("entry", ()):
        document = entry["resource"]
        if document["resourceType"] != "DocumentReference" or "category" in document:
            continue
        codes = list(_codes(document.get("type", {})))
        maps = _maps(server, codes)
        if maps and (found := await server.terminology.ask(partial(_class, maps, codes))):
            coding = {"system": CLASSES, "code": found.code, "display": found.display}
            document["category"] = [{"coding": [{k: v for k, v in coding.items() if v}]}]


def _maps(server: Server, codes: list[tuple[str, str]]) -> list[Entry]:
    """The concept maps from a system of the codes to classes, but for ours: the mappings have asked that."""
    systems = {system for system, _ in codes}
    known = server.terminology.catalogue.maps(CLASSES)
    return [e for e in known if not systems.isdisjoint(e.about) and not e.url.startswith(OWN)]


def _codes(type: Resource) -> Iterator[tuple[str, str]]:
    for coding in type.get("coding", ()):
        system, code = coding.get("system", ""), coding.get("code", "")
        if system and code:
            yield system, code
            if system in NAMES:
                yield NAMES[system], code


def _class(maps: list[Entry], codes: list[tuple[str, str]], sources: Sources) -> Match | None:
    for entry in maps:
        for system, code in codes:
            for match in translate(sources.concept_map(entry), system, code, CLASSES):
                if match.code and match.equivalence not in _NONE:
                    return match
    return None
