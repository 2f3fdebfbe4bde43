"""Value sets of IHE SVS, as the ANS publishes its JDV. https://profiles.ihe.net/ITI/TF/Volume2/ITI-48.html"""

import re
from typing import Any

from lxml import etree

from fhirserver.model.json import Resource
from fhirserver.terminology.catalogue import OIDS
from fhirserver.terminology.loading.content import Content, Options, need
from fhirserver.terminology.loading.folder import Folder, Unreadable

NOS = "https://mos.esante.gouv.fr/NOS/"
_oid = re.compile(r"[0-2](\.(0|[1-9]\d*))+").fullmatch


def read(folder: Folder, options: Options) -> Content:
    """Every value set of the files. Raises Unreadable."""
    files = folder.find_all(r".*\.xml")
    need(files[0] if files else "", "SVS file (*.xml)")
    found = [resource for file in files for resource in _read(folder, file, options)]
    if not found:
        raise Unreadable(f"{folder.path} has no ValueSet with a ConceptList")
    return Content(resources=tuple(found))


def is_svs(folder: Folder, file: str) -> bool:
    with folder.open(file) as opened:
        return b"urn:ihe:iti:svs:2008" in opened.read(4096)


def _read(folder: Folder, file: str, options: Options) -> list[Resource]:
    with folder.open(file) as opened:
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True)
            root = etree.parse(opened, parser).getroot()
        except etree.XMLSyntaxError as error:
            raise Unreadable(f"{file} is not XML: {error}") from None
    return [_resource(each, file, options) for each in root.iter("{*}ValueSet", "{*}DescribedValueSet")]


def _resource(element: etree._Element, file: str, options: Options) -> Resource:
    name = element.get("displayName", "").removesuffix(".tabs") or file.rpartition("/")[2]
    id, listed = element.get("id", ""), element.get("urlFichier", "")
    stem = listed.removeprefix(NOS).rstrip("/") if listed.startswith(NOS) else ""
    url = options.value_set or (nos_canonical(stem) if stem else f"urn:oid:{id}")
    by_system: dict[str, list[dict[str, Any]]] = {}
    for concept in element.iter("{*}Concept"):
        code, display = concept.get("code", ""), " ".join(concept.get("displayName", "").split())
        if not code:
            raise Unreadable(f"A Concept of {name} in {file} has no code")
        if not concept.get("dateFin"):
            system = options.system or canonical_of_oid(concept.get("codeSystem", ""))
            by_system.setdefault(system, []).append(
                {"code": code, **({"display": display} if display else {})}
            )
    resource: Resource = {"resourceType": "ValueSet", "url": url}
    if _oid(id):
        resource["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{id}"}]
    version = options.version or element.get("revisionDate", "")[:10] or element.get("version", "")
    if version:
        resource["version"] = version
    resource |= {
        "name": options.name or name,
        "title": element.get("description") or name,
        "status": "active",
    }
    include = [{"system": system, "concept": concepts} for system, concepts in by_system.items()]
    return {**resource, "compose": {"include": include}}


def canonical_of_oid(text: str) -> str:
    """The url of a code system that is named by its OID (``urn:oid:`` where FHIR has none) or by its url."""
    text = text.strip()
    oid = text.removeprefix("urn:oid:")
    return OIDS.get(oid) or (f"urn:oid:{oid}" if _oid(oid) else text)


def nos_canonical(stem: str) -> str:
    """The canonical of a nomenclature of the ANS by its file: ``TRE_R38-SpecialiteOrdinale`` ->
    ``https://mos.esante.gouv.fr/NOS/TRE_R38-SpecialiteOrdinale/FHIR/TRE-R38-SpecialiteOrdinale``."""
    return f"{NOS}{stem}/FHIR/{stem.replace('_', '-')}"
