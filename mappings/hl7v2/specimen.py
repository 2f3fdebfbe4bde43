"""SPM[Specimen]. https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-spm-to-specimen.html"""

from mappings.core.bundle import prune, put
from mappings.core.identity import IDENTIFIER_TYPE_SYSTEM
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    hd_to_uri,
    quantity,
)
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.segment import Field, Segment

STATUS = {"Y": "available", "N": "unavailable"}
"""Table 0136 in SPM-20 -> specimen-status."""


def add_specimen(spm: Segment, subject: Subject, context: Context, *order: str) -> Element:
    """Add the Specimen entry and give its reference."""
    spm.mark_read(1)
    identifiers = [i for i in (eip(spm[2][2], context, "FILL"), eip(spm[2][1], context, "PLAC")) if i]
    derived = context.derived("Specimen", *order, str(spm[4][1]), str(spm[17][1]), str(spm.number))
    identifier = identifiers[0] if identifiers else derived
    specimen = spm_to_specimen(spm, identifiers or [derived], subject, context)
    url = context.url("Specimen", subject.key, identifier["system"], identifier["value"])
    context.entries.append(put(url, specimen, identifier))
    return {"reference": url}


def spm_to_specimen(spm: Segment, identifiers: list[Element], subject: Subject, context: Context) -> Element:
    collected = dr_to_period(spm[17][1], spm[17][2], context) or {}
    specimen: Element = prune(
        {
            "resourceType": "Specimen",
            "identifier": identifiers,
            "status": STATUS.get(str(spm[20]).upper()),
            "type": cwe_to_codeable_concept(spm[4], context, "0487"),
            "subject": subject.reference,
            "receivedTime": dtm_to_date_time(spm[18], context),
            "collection": {
                "collectedPeriod": collected if "end" in collected else None,
                "collectedDateTime": None if "end" in collected else collected.get("start"),
                "quantity": quantity(str(spm[12][1]), spm[12][2], context),
                "method": cwe_to_codeable_concept(spm[7], context, "0488"),
                "bodySite": cwe_to_codeable_concept(spm[8], context),
            },
            "condition": [cwe_to_codeable_concept(cwe, context, "0493") for cwe in spm.all(24)],
            "note": [{"text": field.text} for field in spm.all(14)],
        }
    )
    return specimen


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
