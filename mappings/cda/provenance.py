"""Who made a document -> the Provenance of what it asserts. https://hl7.org/fhir/R4/provenance.html"""

from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, data_absent, ts_to_instant
from mappings.cda.document import ClinicalDocument
from mappings.cda.document_reference import custodian
from mappings.cda.participants import assigned_to_reference
from mappings.cda.relatives import relative_to_reference
from mappings.core.bundle import full_url, post, prune
from mappings.core.result import Element

_AGENTS = (
    ("enterer", "dataEnterer/assignedEntity"),
    ("verifier", "authenticator/assignedEntity"),
    ("legal", "legalAuthenticator/assignedEntity"),
    ("informant", "informant/assignedEntity"),
)
"""What somebody did (provenance-participant-type), and where the header names them."""

_AGENT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def document_to_provenance(
    document: ClinicalDocument,
    targets: list[str],
    document_reference: str,
    patient: Element,
    context: Context,
) -> Element:
    """The entry of the one Provenance of a document: made by its authors, from the document.

    ``patient`` are the Patient's identifiers and the fullUrl of its entry under ``reference``.
    """
    root = document.root
    agents = [
        _agent("author", assigned_to_reference(author.find("assignedAuthor"), context, patient=patient))
        | {"role": [cd_to_codeable_concept(author.find("functionCode"), context)]}
        for author in root.findall("author")
    ]
    agents += [
        _agent(kind, assigned_to_reference(node, context, patient=patient))
        for kind, path in _AGENTS
        for node in root.findall(path)
    ]
    agents += [
        _agent("informant", relative_to_reference(node, document, patient["reference"], context))
        for node in root.findall("informant/relatedEntity")
    ]
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
