"""That a document came with a submission -> Provenance: every arrival is kept, of known documents, too."""

from mappings.cda import ClinicalDocument
from mappings.cda.context import Context
from mappings.cda.datatypes import data_absent
from mappings.cda.participants import organization_reference, practitioner_to_reference
from mappings.cda.provenance import document_to_provenance
from mappings.core.bundle import full_url, post, prune
from mappings.core.result import Element
from mappings.xds.kept import plain
from mappings.xds.vihf import Assertion

_AUTHOR = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def arrival(
    reference: Element,
    url: str,
    submission: str,
    clinical: list[Element],
    document: ClinicalDocument | None,
    patient: Element,
    context: Context,
    sent: Element | None = None,
) -> Element:
    """The entry of the Provenance of one document of a submission; ``sent`` is as ``sender`` gives it.

    ``url`` and ``submission`` are the fullUrls of the DocumentReference and of the submission set's List;
    ``clinical`` the entries of the document's content, whose Provenance it is, too (and which it leaves).
    """
    found = next((e for e in clinical if e["resource"]["resourceType"] == "Provenance"), None)
    if found is not None:
        clinical.remove(found)
        provenance = found["resource"]
    elif document is not None:
        provenance = document_to_provenance(document, [], url, patient, context)["resource"]
    else:
        provenance = _of_file(reference, url, context)
    targets = [{"reference": url}, *provenance.get("target", ())]
    entities = [*provenance["entity"], {"role": "derivation", "what": {"reference": submission}}]
    return post(
        full_url("Provenance", submission, url),
        {
            **provenance,
            "target": targets,
            "entity": entities,
            **({"reason": sent["reason"]} if sent and "reason" in sent else {}),
            "agent": [*provenance["agent"], *(sent or {}).get("agent", ())],
        },
    )


def sender(assertion: Assertion | None, context: Context) -> Element:
    """Who has sent a submission, as its assertion says: Provenance.agent, and .reason, what for; or {}."""
    if assertion is None:
        return {}
    organization = organization_reference(
        identifiers=[assertion.structure] if assertion.structure else [],
        name=assertion.organization,
        context=context,
    )
    who = organization
    if assertion.subject:
        who = practitioner_to_reference(
            identifiers=[assertion.subject],
            name={"text": assertion.name} if assertion.name else None,
            telecom=[],
            address=[],
            organization=organization,
            code={"coding": [assertion.roles[0]]} if assertion.roles else None,
            context=context,
        )
    purpose = {"coding": [assertion.purpose] if assertion.purpose else [], "text": assertion.justification}
    agent = {
        "type": {"coding": [{"system": _AUTHOR, "code": "enterer"}]},
        "role": [{"coding": [role]} for role in assertion.roles],
        "who": who,
    }
    made: Element = prune({"agent": [agent] if who else [], "reason": [purpose]}) or {}
    return made


def _of_file(reference: Element, url: str, context: Context) -> Element:
    """Of a document that says nothing itself: its authors, as the metadata name them."""
    kind = {"coding": [{"system": _AUTHOR, "code": "author"}]}
    agents = [{"type": kind, "who": who} for who in map(plain, reference.get("author", ())) if _outside(who)]
    recorded = reference.get("date")
    made: Element = prune(
        {
            "resourceType": "Provenance",
            "recorded": recorded,
            "_recorded": None if recorded else data_absent("UNK"),
            "agent": agents or [{"who": {"display": context.source.name}}],
            "entity": [{"role": "source", "what": {"reference": url}}],
        }
    )
    return made


def _outside(who: Element) -> bool:
    """Whether somebody is not contained in the DocumentReference, where nobody else can point to."""
    return not str(who.get("reference", "")).startswith("#")
