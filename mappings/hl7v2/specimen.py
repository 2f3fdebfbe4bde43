"""SPM[Specimen]. https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-spm-to-specimen.html"""

from mappings.core.bundle import prune, put
from mappings.core.identity import IDENTIFIER_TYPE_SYSTEM
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    concept_text,
    cwe_to_codeable_concept,
    cx_to_identifier,
    dr_to_period,
    dtm_to_date_time,
    ei_to_identifier,
    hd_to_uri,
    quantity,
)
from mappings.hl7v2.groups import Order, Sample
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment

STATUS = {"Y": "available", "N": "unavailable"}
"""Table 0136 in SPM-20 -> specimen-status."""


def add_specimens(order: Order, subject: Subject, context: Context, *key: str) -> list[Element]:
    """Add the Specimen entries of an order and give references to them."""
    if order.samples:
        return [_add(sample, order, subject, context, *key) for sample in order.samples]
    obr = order.obr
    if obr is None or not obr[15]:
        return []
    specimen = sps_to_specimen(obr, subject, context)
    if specimen is None:
        return []
    identifier = context.derived("Specimen", *key, obr[15].raw)
    specimen["identifier"] = [identifier]
    url = context.url("Specimen", subject.key, identifier["system"], identifier["value"])
    context.entries.append(put(url, specimen, identifier))
    return [{"reference": url}]


def _add(sample: Sample, order: Order, subject: Subject, context: Context, *key: str) -> Element:
    spm = sample.spm
    spm.mark_read(1)
    identifiers = [i for i in (eip(spm[2][2], context, "FILL"), eip(spm[2][1], context, "PLAC")) if i]
    derived = context.derived("Specimen", *key, str(spm[4][1]), str(spm[17][1]), str(spm.number))
    identifier = identifiers[0] if identifiers else derived
    specimen = spm_to_specimen(sample, order, identifiers or [derived], subject, context)
    url = context.url("Specimen", subject.key, identifier["system"], identifier["value"])
    context.entries.append(put(url, specimen, identifier))
    return {"reference": url}


def spm_to_specimen(
    sample: Sample, order: Order, identifiers: list[Element], subject: Subject, context: Context
) -> Element:
    spm = sample.spm
    containers: list[Segment | None] = [*sample.containers] or [None]
    parents = [eip(pair[2], context, "FILL") or eip(pair[1], context, "PLAC") for pair in spm.all(3)]
    specimen: Element = prune(
        {
            "resourceType": "Specimen",
            "identifier": identifiers,
            "accessionIdentifier": cx_to_identifier(spm[30], context),
            **context.code("status", spm[20], STATUS, "0136"),
            "type": cwe_to_codeable_concept(spm[4], context, "0487"),
            "subject": subject.reference,
            "receivedTime": dtm_to_date_time(spm[18], context),
            "parent": [{"type": "Specimen", "identifier": parent} for parent in parents if parent],
            "collection": {
                "collector": next(iter(practitioners(order.obr, 10, context)), None) if order.obr else None,
                **_collected(spm[17][1], spm[17][2], context),
                "quantity": quantity(str(spm[12][1]), spm[12][2], context),
                "method": cwe_to_codeable_concept(spm[7], context, "0488"),
                "bodySite": cwe_to_codeable_concept(spm[8], context),
            },
            "processing": [
                {"additive": [{"display": concept_text(additive)}]}
                for cwe in spm.all(6)
                if (additive := cwe_to_codeable_concept(cwe, context, "0371"))
            ],
            "container": [_container(spm, sac, context) for sac in containers],
            "condition": [cwe_to_codeable_concept(cwe, context, "0493") for cwe in spm.all(24)],
            "note": [
                *({"text": field.text} for field in spm.all(14)),
                *({"text": f"Rejected: {concept_text(why)}"} for why in _reasons(spm, context)),
            ],
        }
    )
    return specimen


def sps_to_specimen(obr: Segment, subject: Subject, context: Context) -> Element | None:
    """OBR-15, until version 2.5: type, additives, text, body site, all in subcomponents."""
    source = obr[15]
    kind = _coded(source[1], obr, 15, context, "0070")
    if kind is None:
        return None
    specimen: Element = prune(
        {
            "resourceType": "Specimen",
            "identifier": [],
            "type": kind,
            "subject": subject.reference,
            "receivedTime": dtm_to_date_time(obr[14], context),
            "collection": {
                "collector": next(iter(practitioners(obr, 10, context)), None),
                **_collected(obr[7], obr[8], context),
                "bodySite": _coded(source[4], obr, 15, context, "0163"),
            },
            "note": [{"text": source[3].text} if source[3] else None],
        }
    )
    return specimen


def _coded(part: Field, segment: Segment, number: int, context: Context, table: str) -> Element | None:
    """A coded value one level down, in subcomponents; or, where a sender ends there, the whole field."""
    delimiters = segment.delimiters
    raw = part.raw.replace(delimiters.subcomponent, delimiters.component) if delimiters.subcomponent else ""
    return cwe_to_codeable_concept(Field(raw, segment, number), context, table) if raw else None


def _collected(start: Field, end: Field, context: Context) -> Element:
    collected = dr_to_period(start, end, context) or {}
    if "end" in collected:
        return {"collectedPeriod": collected}
    return {"collectedDateTime": collected.get("start")}


def _container(spm: Segment, sac: Segment | None, context: Context) -> Element:
    numbers = [ei_to_identifier(sac[n], context) for n in (3, 4)] if sac else []
    return {
        "identifier": numbers,
        "type": cwe_to_codeable_concept(spm[27], context, "0785"),
        "capacity": quantity(sac[21].text, sac[20], context) if sac else None,
    }


def _reasons(spm: Segment, context: Context) -> list[Element]:
    concepts = (cwe_to_codeable_concept(cwe, context, "0490") for cwe in spm.all(21))
    return [concept for concept in concepts if concept]


def eip(part: Field, context: Context, kind: str) -> Element | None:
    """Identifier of one half of an EIP: an entity identifier one level down, in subcomponents."""
    value = str(part[1])
    if not value:
        return None
    return {
        "type": {"coding": [{"system": IDENTIFIER_TYPE_SYSTEM, "code": kind}]},
        "system": hd_to_uri(part[2], part[3], part[4], context) or context.default_system,
        "value": value,
    }
