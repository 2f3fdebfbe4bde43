"""Who made a document -> the Provenance of what it asserts. https://hl7.org/fhir/R4/provenance.html"""

from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, data_absent, ts_to_instant
from mappings.cda.document import ClinicalDocument
from mappings.cda.document_reference import custodian
from mappings.cda.participants import assigned_to_reference
from mappings.core.bundle import full_url, post, prune
from mappings.core.result import Element

_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def document_to_provenance(
    document: ClinicalDocument,
    targets: list[str],
    document_reference: str,
    patient: Element,
    context: Context,
) -> Element:
    """The entry of the one Provenance of a document: made by its authors, from the document."""
    root = document.root
    agents = [
        _agent("author", assigned_to_reference(author.find("assignedAuthor"), context, patient=patient))
        | {"role": [cd_to_codeable_concept(author.find("functionCode"), context)]}
        for author in root.findall("author")
    ]
    legal = root.find("legalAuthenticator/assignedEntity")
    agents.append(_agent("legal", assigned_to_reference(legal, context, patient=patient)))
    agents.append(_agent("custodian", custodian(document, context)))
    agents = [agent for agent in agents if agent.get("who")]
    recorded = ts_to_instant(root.find("effectiveTime"), context)
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": recorded,
        "_recorded": None if recorded else data_absent("UNK"),
        "agent": agents or [_agent("enterer", {"display": context.source.name})],
        "entity": [{"role": "source", "what": {"reference": document_reference}}],
    }
    identifier = document.unique_identifier
    return post(full_url("Provenance", identifier["system"], identifier["value"]), prune(provenance))


def _agent(code: str, who: Element | None) -> Element:
    return {"type": {"coding": [{"system": _AGENT, "code": code}]}, "who": who}
