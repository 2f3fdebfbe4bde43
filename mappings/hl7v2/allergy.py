"""AL1[AllergyIntolerance], IAM[AllergyIntolerance].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-al1-to-allergyintolerance.html
"""

from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.effects import Snapshot
from mappings.core.result import Element, Unmapped
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dtm_to_date_time,
    ei_to_identifier,
)
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioner_reference
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import (
    ALLERGY_CATEGORY,
    ALLERGY_STATUS,
    ALLERGY_TYPE,
    CRITICALITY,
    REACTION_SEVERITY,
    SENSITIVITY,
    TERMINOLOGY,
)

SNOMED: Final = "http://snomed.info/sct"

NONE_KNOWN: Final = {
    "NKA": "716186003",
    "NKDA": "409137002",
    "NKFA": "429625007",
    "NKEA": "428607008",
    "NO KNOWN ALLERGIES": "716186003",
    "NO KNOWN DRUG ALLERGIES": "409137002",
    "AUCUNE ALLERGIE CONNUE": "716186003",
    "PAS D'ALLERGIE CONNUE": "716186003",
    "716186003": "716186003",
    "409137002": "409137002",
    "429625007": "429625007",
    "428607008": "428607008",
}
"""How senders say that there is no (drug, food, environmental) allergy, upper case -> SNOMED CT."""


def add_allergies(
    segments: list[Segment], subject: Subject, context: Context, *, listed: bool = True
) -> None:
    """Add an entry per AL1 and IAM segment; IAM-6 X changes nothing.

    Without action codes they are a list: what the source has listed before and does not list now is no
    longer so (``Source.snapshots``). No segment says nothing; one that is null says that there is none. With
    ``listed`` false they are no list: an order names the allergies that matter to it.
    """
    whole = (
        listed and bool(segments) and not any(segment.name == "IAM" and segment[6] for segment in segments)
    )
    for segment in segments:
        segment.mark_read(1)
        code_field = segment[3] if segment[3] or segment.name != "IAM" else segment[27]
        if _is_null(segment):
            continue
        if not code_field:
            context.issue("warning", "required", "An allergy without what to: left out", segment[3].location)
            whole = False
            continue
        if segment.name == "IAM" and str(segment[6][1]).upper() == "X":
            continue
        if segment.name == "IAM":
            allergy = iam_to_allergy_intolerance(segment, code_field, subject, context)
        else:
            allergy = al1_to_allergy_intolerance(segment, code_field, subject, context)
        identifier = allergy["identifier"][0]
        url = context.url("AllergyIntolerance", identifier["system"], identifier["value"])
        context.entries.append(put(url, allergy, identifier))
    if whole and any(segment.name in context.source.snapshots for segment in segments):
        context.effects.snapshots.append(Snapshot("AllergyIntolerance", subject.url, context.source_uri))


def _is_null(segment: Segment) -> bool:
    """``AL1|""`` and ``AL1|1||""``: there is none (any more)."""
    return segment.is_null(1) or (segment.is_null(3) and not segment[2])


def al1_to_allergy_intolerance(al1: Segment, code: Field, subject: Subject, context: Context) -> Element:
    allergy: Element = prune(
        {
            "resourceType": "AllergyIntolerance",
            "meta": {"source": context.source_uri},
            "identifier": [_derived(code, al1[2], subject, context)],
            "clinicalStatus": _coded("allergyintolerance-clinical", "active"),
            **_type_and_category(al1[2], code, context),
            "code": _allergen(code, context),
            "patient": subject.reference,
            "onsetDateTime": dtm_to_date_time(al1[6], context),
            **_reaction(al1, context),
        }
    )
    return allergy


def iam_to_allergy_intolerance(iam: Segment, code: Field, subject: Subject, context: Context) -> Element:
    verification, clinical = ALLERGY_STATUS.get(str(iam[17][1]).upper(), (None, "active"))
    if iam[17] and verification is None:
        context.warn("Code of table 0438 has no mapping", iam[17], "code-invalid")
    if str(iam[6][1]).upper() == "D":
        # ait-2: what was entered in error has no clinical status
        verification, clinical = "entered-in-error", None
    elements = _type_and_category(iam[2], code, context)
    if iam[9] and "type" in elements:
        elements |= context.code("type", iam[9][1], SENSITIVITY, "0436", elements["type"])
    identifier = ei_to_identifier(iam[7], context) or _derived(code, iam[2], subject, context)
    onset = dtm_to_date_time(iam[11], context)
    allergy: Element = prune(
        {
            "resourceType": "AllergyIntolerance",
            "meta": {"source": context.source_uri},
            "identifier": [identifier],
            "clinicalStatus": _coded("allergyintolerance-clinical", clinical),
            "verificationStatus": _coded("allergyintolerance-verification", verification),
            **elements,
            "code": _allergen(code, context, iam[27]),
            "patient": subject.reference,
            "onsetDateTime": onset,
            "onsetString": None if onset else iam[12].text,
            "recordedDate": dtm_to_date_time(iam[13], context),
            "recorder": practitioner_reference(iam[18], context),
            "asserter": subject.reference if str(iam[15][1]).upper() == "SEL" else None,
            **_reaction(iam, context),
        }
    )
    return allergy


def _derived(code: Field, category: Field, subject: Subject, context: Context) -> Element:
    """What an allergy is the same by: the patient, its kind, and its code or, without one, its words."""
    what = str(code[1]) and f"{code[1]}^{code[3]}"
    words = " ".join((code[2].text or code[5].text).casefold().split())
    return context.derived("AllergyIntolerance", subject.key, str(category[1]).upper(), what or words)


def _allergen(cwe: Field, context: Context, clinician: Field | None = None) -> Element | None:
    concept = cwe_to_codeable_concept(cwe, context) or {}
    if clinician and clinician.raw != cwe.raw:
        other = cwe_to_codeable_concept(clinician, context) or {}
        concept["coding"] = [*concept.get("coding", []), *other.get("coding", [])]
    none_known = _none_known(cwe)
    if none_known and not any(c.get("code") == none_known for c in concept.get("coding", [])):
        concept["coding"] = [{"system": SNOMED, "code": none_known}, *concept.get("coding", [])]
    result: Element | None = prune(concept)
    return result


def _none_known(cwe: Field) -> str | None:
    words = (str(cwe[1]), cwe[2].text, str(cwe[4]), cwe[9].text)
    return next((code for word in words if (code := NONE_KNOWN.get(word.strip().upper()))), None)


def _type_and_category(kind: Field, code: Field, context: Context) -> Element:
    """Type and category of AL1-2, IAM-2; the statement that there is no allergy has neither."""
    sent = str(kind[1]).upper()
    if _none_known(code):
        return {}
    elements: Element = {"type": ALLERGY_TYPE.get(sent)}
    if sent in ALLERGY_CATEGORY:
        return elements | {"category": [ALLERGY_CATEGORY[sent]]}
    if sent and sent not in ALLERGY_TYPE and sent != "MC":
        context.warn(f"Code {sent[:40]!r} of table 0127 has no mapping", kind, "code-invalid")
        coding = context.table_coding("0127", " ".join(sent.split()))
        context.unmapped.append(Unmapped(coding["system"], coding["code"], location=kind.location, told=True))
    return elements


def _reaction(segment: Segment, context: Context) -> Element:
    """One reaction with every manifestation; FHIR wants one, so a severity alone becomes the criticality."""
    manifestations = [
        cwe_to_codeable_concept(cwe, context) if cwe[2] or cwe[3] else {"text": cwe.text}
        for cwe in segment.all(5)
    ]
    severity = str(segment[4][1]).upper()
    if severity and severity not in REACTION_SEVERITY and severity != "U":
        context.warn(f"Code {severity[:40]!r} of table 0128 has no mapping", segment[4], "code-invalid")
    if not manifestations:
        if severity in REACTION_SEVERITY and severity not in CRITICALITY:
            text = "A severity without a reaction, which is no criticality: left out"
            context.issue("information", "not-supported", text, segment[4].location)
        return {"criticality": CRITICALITY.get(severity)}
    return {"reaction": [{"manifestation": manifestations, "severity": REACTION_SEVERITY.get(severity)}]}


def _coded(system: str, code: str | None) -> Element | None:
    return {"coding": [{"system": f"{TERMINOLOGY}{system}", "code": code}]} if code else None
