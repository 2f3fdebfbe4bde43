"""https://hl7.org/fhir/R4/terminologycapabilities.html: from the catalogue and the operations as they are"""

from itertools import groupby
from typing import TYPE_CHECKING, Any

from fhirserver.terminology.catalogue import latest
from fhirserver.terminology.grammars import GRAMMARS
from fhirserver.terminology.terminology import EXPANSION_PARAMETERS

if TYPE_CHECKING:
    from fhirserver.server import Server


def terminology_capabilities(server: "Server") -> dict[str, Any]:
    """What stands in the TerminologyCapabilities besides its head: code systems with their versions, what
    $expand takes."""
    systems = []
    catalogue = server.terminology.catalogue
    for url, entries in groupby(catalogue.of("CodeSystem"), key=lambda entry: entry.url):
        preferred = catalogue.find("CodeSystem", url)
        versions = sorted({entry.version for entry in entries if entry.version}, key=latest)
        listed = [
            {"code": v, **({"isDefault": True} if preferred and v == preferred.version else {})}
            for v in versions
        ]
        systems.append({"uri": url, **({"version": listed} if listed else {})})
    known = {system["uri"] for system in systems}
    systems += [
        {"uri": url, **({"version": [{"code": g.head.version, "isDefault": True}]} if g.head.version else {})}
        for url, g in GRAMMARS.items()
        if url not in known
    ]
    return {
        "codeSystem": sorted(systems, key=lambda system: str(system["uri"])),
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": name} for name in EXPANSION_PARAMETERS],
            "textFilter": "Each word begins a word of a display or designation; or the text begins the code",
        },
        "codeSearch": "all",
        "validateCode": {"translations": True},
        "translation": {"needsMap": False},
        "closure": {"translation": False},
    }
