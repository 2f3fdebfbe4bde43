"""Laboratory results -> DiagnosticReport, Observation, Specimen. CI-SIS CR-BIO, IHE PaLM XD-LAB."""

from dataclasses import dataclass, field
from typing import Final

from mappings.cda.body import Identities, happened, has_template, notes, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ii_to_identifier, ivl_ts_to_period, ts_to_datetime
from mappings.cda.document import ClinicalDocument
from mappings.cda.observations import CATEGORY, entry, observation, performers
from mappings.cda.participants import assigned_to_reference
from mappings.cda.values import STATUS, effective, status_of
from mappings.cda.xml import Node, local_name
from mappings.core.bundle import full_url
from mappings.core.result import Element

REPORT_ELEMENTS: Final = frozenset(
    {
        *("identifier", "basedOn", "status", "category", "code", "subject", "effectiveDateTime"),
        *("effectivePeriod", "performer", "specimen", "result", "conclusion"),
    }
)
SPECIMEN_ELEMENTS: Final = frozenset(
    {"identifier", "status", "type", "subject", "receivedTime", "collection", "note"}
)

REPORT: Final = frozenset({"1.2.250.1.213.1.1.3.21", "1.3.6.1.4.1.19376.1.3.1"})
RESULT: Final = frozenset({"1.2.250.1.213.1.1.3.80", "1.3.6.1.4.1.19376.1.3.1.6"})
BATTERY: Final = frozenset({"1.2.250.1.213.1.1.3.78", "1.3.6.1.4.1.19376.1.3.1.4"})
ISOLATE: Final = frozenset({"1.2.250.1.213.1.1.3.79", "1.3.6.1.4.1.19376.1.3.1.5"})
COLLECTION: Final = frozenset({"1.2.250.1.213.1.1.3.77", "1.3.6.1.4.1.19376.1.3.1.2"})
RECEPTION: Final = frozenset({"1.2.250.1.213.1.1.3.107", "1.3.6.1.4.1.19376.1.3.1.3"})

_REPORT_STATUS: Final = {"active": "partial", "aborted": "cancelled", "nullified": "entered-in-error"}
_CATEGORY: Final = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "LAB"}]}


@dataclass(slots=True)
class _Report:
    """What is gathered of one report: its entries, the references of the specimens it is about."""

    patient: str
    identities: Identities
    context: Context
    entries: list[Element] = field(default_factory=list)
    specimens: list[str] = field(default_factory=list)
    specimen_of: dict[tuple[str, str], str] = field(default_factory=dict)


def laboratory(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The reports of a document with their results and specimens (PUT); then results outside of reports."""
    entries: list[Element] = []
    for act in document.root.iter("act"):
        around = act.getparent()
        is_report = has_template(act, REPORT) or (around is not None and has_template(around, REPORT))
        if is_report and happened(act, context):
            report = _Report(patient, identities, context)
            entries += _act_to_report(act, document, report)
    alone = _Report(patient, identities, context)
    for node in statements(document, "observation", RESULT, context):
        if _is_earlier(node):
            context.read.discard(node)
        else:
            _result(node, [], alone)
    return entries + alone.entries


def _act_to_report(act: Node, document: ClinicalDocument, report: _Report) -> list[Element]:
    context = report.context
    for procedure in act.findall("entryRelationship/procedure"):
        if has_template(procedure, COLLECTION):
            _collection_to_specimen(procedure, report)
    results = _members(act, [], report)
    conclusion = "\n\n".join(note["text"] for note in notes(act, context))
    if not results and not conclusion:
        context.inform(act, "No result of the report is mapped", "not-supported")
        return report.entries
    section = next(act.iterancestors("section"), None)
    code = cd_to_codeable_concept(act.find("code"), context)
    code = code or cd_to_codeable_concept(None if section is None else section.find("code"), context)
    when = effective(
        [act, *(o for o in act.iter("observation") if o.find("effectiveTime") is not None)], context
    )
    resource: Element = {
        "resourceType": "DiagnosticReport",
        "basedOn": _orders(document),
        "status": _REPORT_STATUS.get(status_of(act), "final"),
        "category": [_CATEGORY],
        "code": code or {"text": "Examens de biologie médicale"},
        **when,
        "performer": performers([act], context) or _laboratory(document, context),
        "specimen": [{"reference": url} for url in report.specimens],
        "result": [{"reference": url} for url in results],
        "conclusion": conclusion,
    }
    made = entry(resource, report.identities.identify("diagnostic-report", act), report.patient)
    return [*report.entries, made]


def _members(node: Node, around: list[Node], report: _Report) -> list[str]:
    """The fullUrls of the results directly in an act or organizer."""
    urls = []
    for relationship in (*node.findall("entryRelationship"), *node.findall("component")):
        if relationship.get("typeCode", "COMP") != "COMP":
            continue
        for child in relationship:
            name = local_name(child)
            if name == "observation" and has_template(child, RESULT) and happened(child, report.context):
                urls += _result(child, [node, *around], report)
            elif (
                name == "organizer"
                and has_template(child, BATTERY | ISOLATE)
                and happened(child, report.context)
            ):
                urls += _organizer(child, [node, *around], report)
    return urls


def _result(node: Node, around: list[Node], report: _Report) -> list[str]:
    """The fullUrl of a result that was written; nothing for one without a value."""
    resource = observation(node, around, report.context, category="laboratory")
    return [] if resource is None else [_add(node, resource, around, report)]


def _organizer(node: Node, around: list[Node], report: _Report) -> list[str]:
    """A battery is an Observation of its members; an isolate one whose value is the organism."""
    context = report.context
    members = _members(node, around, report)
    organism = node.find("specimen/specimenRole/specimenPlayingEntity/code")
    isolated = cd_to_codeable_concept(organism, context) if has_template(node, ISOLATE) else None
    code = cd_to_codeable_concept(node.find("code"), context)
    if not members and not isolated:
        return []
    if isolated is None and code is None:
        return members
    resource: Element = {
        "resourceType": "Observation",
        "status": STATUS.get(status_of(node), "final"),
        "category": [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}],
        "code": code or {"text": "Isolat microbiologique"},
        **effective([node, *around], context),
        "performer": performers([node, *around], context),
        "valueCodeableConcept": isolated,
        "note": notes(node, context),
        "hasMember": [{"reference": url} for url in members],
    }
    return [_add(node, resource, around, report)]


def _add(node: Node, resource: Element, around: list[Node], report: _Report) -> str:
    """Add the entry of an Observation; the specimen is the one it names, else the only one there is."""
    named = [url for n in (node, *around) if (url := _named_specimen(n, report))]
    specimen = named[0] if named else (report.specimens[0] if len(report.specimens) == 1 else None)
    if specimen:
        resource = {**resource, "specimen": {"reference": specimen}}
    made = entry(resource, report.identities.identify("laboratory", node), report.patient)
    report.entries.append(made)
    return str(made["fullUrl"])


def _named_specimen(node: Node, report: _Report) -> str | None:
    for found in node.findall("specimen/specimenRole/id"):
        if (identifier := ii_to_identifier(found)) is not None:
            return report.specimen_of.get((identifier["system"], identifier["value"]))
    return None


def _collection_to_specimen(procedure: Node, report: _Report) -> None:
    """The sampling -> Specimen: its product's id and kind, when, where, by whom; when it was received."""
    context = report.context
    if not happened(procedure, context):
        return
    roles = procedure.findall("participant/participantRole")
    product = next((role for role in roles if role.find("playingEntity") is not None), None)
    own = [i for role in roles for node in role.findall("id") if (i := ii_to_identifier(node))]
    received = None
    for act in procedure.findall("entryRelationship/act"):
        if has_template(act, RECEPTION):
            context.read.add(act)
            received = ts_to_datetime(act.find("effectiveTime"), context)
    time = procedure.find("effectiveTime")
    moment = ts_to_datetime(time, context)
    collector = assigned_to_reference(procedure.find("performer/assignedEntity"), context)
    identifiers = report.identities.identify("specimen", procedure)
    identifiers = [identifiers[0], *(i for i in own if i not in identifiers)]
    resource: Element = {
        "resourceType": "Specimen",
        "status": "available",
        "type": cd_to_codeable_concept(
            None if product is None else product.find("playingEntity/code"), context
        ),
        "receivedTime": received,
        "collection": {
            "collector": collector if collector and "reference" in collector else None,
            "collectedDateTime": moment,
            "collectedPeriod": None if moment else ivl_ts_to_period(time, context),
            "method": cd_to_codeable_concept(procedure.find("methodCode"), context),
            "bodySite": cd_to_codeable_concept(procedure.find("targetSiteCode"), context),
        },
        "note": notes(procedure, context),
    }
    report.entries.append(entry(resource, identifiers, report.patient))
    url = full_url("Specimen", identifiers[0]["value"])
    report.specimens.append(url)
    report.specimen_of |= {(i["system"], i["value"]): url for i in own}


def _orders(document: ClinicalDocument) -> list[Element]:
    nodes = document.root.findall("inFulfillmentOf/order/id")
    found = (ii_to_identifier(node) for node in nodes)
    return [{"type": "ServiceRequest", "identifier": identifier} for identifier in found if identifier]


def _laboratory(document: ClinicalDocument, context: Context) -> list[Element]:
    """Who performed the service that the document is about."""
    nodes = document.root.findall("documentationOf/serviceEvent/performer/assignedEntity")
    found = (assigned_to_reference(node, context) for node in nodes)
    return [who for who in found if who and "reference" in who][:1]


def _is_earlier(node: Node) -> bool:
    """Whether a result stands inside another one: it is an earlier one, shown for comparison."""
    return any(local_name(parent) == "observation" for parent in node.iterancestors())
