"""PAM France 2.11: what the French Z segments of an ADT say. https://www.interopsante.org/publications

ZFA: the patient's DMP and what the patient allows; ZFD: how sure the identity is; ZFV, ZFM: where a patient
comes from and goes to; ZFP: occupation. ZBE is with the visit (``mappings.hl7v2.visit``).
"""

from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.identity import FR_IDENTITY_STATUS_SYSTEM
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    LOINC,
    cwe_to_codeable_concept,
    cx_to_identifier,
    dtm_to_date,
    dtm_to_date_time,
    token,
    xad_to_address,
)
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import hd_to_reference
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import TERMINOLOGY

FR_CORE: Final = "https://hl7.fr/ig/fhir/core/"
RELIABILITY: Final = f"{FR_CORE}StructureDefinition/fr-core-identity-reliability"
BIRTH_DATE_CORRECTED: Final = f"{FR_CORE}StructureDefinition/fr-core-patient-birthdate-update-indicator"
COLLECTION: Final = f"{FR_CORE}CodeSystem/fr-core-cs-method-collection"
PROOF: Final = f"{FR_CORE}CodeSystem/fr-core-cs-mode-validation-identity"

DMP_STATUS_SYSTEM: Final = "urn:x-fhirserver:dmp-status"
DMP_STATUS: Final = frozenset({"ACTIF", "FERME", "INEXISTANT"})
"""ZFA-1; it is a tag of the Patient, because it is about the record and not about the person."""

FEEDING: Final = {"INO": "permit", "IO": "deny"}
"""ZFA-9, informed and not opposed, opposed to documents being put into the DMP; NA: not asked."""

CONSULTATION: Final = {"IC": "permit", "INC": "deny"}
"""ZFA-11, informed and consents, does not consent to the DMP being read; NA: not asked."""

_PMSI: Final = "urn:x-fhirserver:pmsi"
_CONSENT_CODE: Final = {"feeding": "IDSCL", "consultation": "INFA"}
"""What is consented to -> v3-ActCode: disclosure to the DMP, access to the DMP."""


def add_pam_france(message: Message, subject: Subject, encounter: Element | None, context: Context) -> None:
    """Add what the segments say to the entries of the patient and the visit, and entries of their own."""
    zfa, zfd, zfp = (message.find(name) for name in ("ZFA", "ZFD", "ZFP"))
    patient = _resource(subject.url, context)
    if zfa is not None:
        _add_status(zfa, patient, context)
        _add_consent("feeding", zfa[9], zfa[10], FEEDING, subject, context)
        _add_consent("consultation", zfa[11], zfa[12], CONSULTATION, subject, context)
    if zfd is not None:
        pid = message.find("PID")
        extensions = zfd_to_extensions(zfd, token(pid[32]) if pid else "", context)
        if extensions:
            patient["extension"] = [*patient.get("extension", ()), *extensions]
    if encounter is not None:
        visit = _resource(encounter["reference"], context)
        stay = visit.get("hospitalization", {})
        for name, convert in (("ZFV", zfv_to_hospitalization), ("ZFM", zfm_to_hospitalization)):
            if (segment := message.find(name)) is not None:
                stay = convert(segment, stay, context)
        if stay:
            visit["hospitalization"] = stay
    if zfp is not None:
        _add_occupation(zfp, subject, context)


def zfd_to_extensions(zfd: Segment, status: str, context: Context) -> list[Element]:
    """fr-core-identity-reliability, and whether the birth date was corrected by hand."""
    parts = prune(
        [
            _part(
                "identityStatus",
                "valueCoding",
                {"system": FR_IDENTITY_STATUS_SYSTEM, "code": status} if status else None,
            ),
            _part("methodCollection", "valueCoding", _coding(COLLECTION, zfd[5])),
            _part("dateCollection", "valueDate", dtm_to_date(zfd[6], context)),
            _part("validationMode", "valueCoding", _coding(PROOF, zfd[7])),
        ]
    )
    corrected = context.boolean(zfd[4])
    extensions: list[Element] = [{"url": RELIABILITY, "extension": parts}] if parts else []
    if corrected is not None:
        extensions.append({"url": BIRTH_DATE_CORRECTED, "valueBoolean": corrected})
    return extensions


def zfv_to_hospitalization(zfv: Segment, stay: Element, context: Context) -> Element:
    """ZFV-1 the facility before and ZFV-7 the visit's number there; ZFV-6 its address, or the next one's."""
    facility = str(zfv[1][1])
    before = cx_to_identifier(zfv[7], context)
    addresses = [address for xad in zfv.all(6) if (address := xad_to_address(xad, context))]
    place = " ".join(filter(None, (facility, *(addresses[0].get("city", "") for _ in addresses[:1]))))
    made: Element = (
        prune(
            {
                "preAdmissionIdentifier": before,
                "origin": {"display": place} if facility else None,
                "dischargeDisposition": _with_coding(stay.get("dischargeDisposition"), "discharge", zfv[9]),
            }
        )
        or {}
    )
    return stay | made


def zfm_to_hospitalization(zfm: Segment, stay: Element, context: Context) -> Element:
    """ZFM-1 and 3 how and whence a patient came, ZFM-2 and 4 how and whither a patient went (PMSI codes)."""
    source, disposition = stay.get("admitSource"), stay.get("dischargeDisposition")
    for kind, number in (("entry", 1), ("origin", 3)):
        source = _with_coding(source, kind, zfm[number])
    for kind, number in (("exit", 2), ("destination", 4)):
        disposition = _with_coding(disposition, kind, zfm[number])
    made: Element = prune({"admitSource": source, "dischargeDisposition": disposition}) or {}
    return stay | made


def _add_status(zfa: Segment, patient: Element, context: Context) -> None:
    status = str(zfa[1]).upper()
    zfa.mark_read(2)
    if status and status not in DMP_STATUS:
        context.warn(f"{status[:20]!r} is no status of a DMP: left out", zfa[1], "code-invalid")
    elif status:
        meta = patient.setdefault("meta", {})
        meta["tag"] = [*meta.get("tag", ()), {"system": DMP_STATUS_SYSTEM, "code": status}]


def _add_consent(
    kind: str, answer: Field, time: Field, table: dict[str, str], subject: Subject, context: Context
) -> None:
    """A Consent per question that was answered; the same question at the same sender is the same Consent."""
    sent = str(answer[1]).upper()
    provision = table.get(sent)
    if provision is None:
        if sent not in {"", "NA"}:
            context.warn(f"{sent[:20]!r} is no answer of PAM France: left out", answer, "code-invalid")
        return
    identifier = context.derived("Consent", subject.key, kind)
    organization = hd_to_reference(context.message.msh[4], context)
    consent: Element = prune(
        {
            "resourceType": "Consent",
            "identifier": [identifier],
            "status": "active",
            "scope": {"coding": [{"system": f"{TERMINOLOGY}consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": f"{V3}ActCode", "code": _CONSENT_CODE[kind]}]}],
            "patient": subject.reference,
            "dateTime": dtm_to_date_time(time, context),
            "organization": [organization],
            "policyRule": {
                "coding": [
                    {"system": f"{V3}ActCode", "code": "OPTIN" if provision == "permit" else "OPTOUT"}
                ],
                "text": "Alimentation du DMP" if kind == "feeding" else "Consultation du DMP",
            },
            "provision": {"type": provision},
        }
    )
    url = context.url("Consent", identifier["system"], identifier["value"])
    context.entries.append(put(url, consent, identifier))


def _add_occupation(zfp: Segment, subject: Subject, context: Context) -> None:
    """ZFP-1 activity and ZFP-2 socio-professional category (INSEE) as an Observation of social history."""
    activity, category = (cwe_to_codeable_concept(zfp[number], context) for number in (1, 2))
    codings = [
        coding if "system" in coding else {"system": f"urn:x-fhirserver:occupation:{name}"} | coding
        for name, concept in (("activity", activity), ("category", category))
        for coding in (concept or {}).get("coding", ())
    ]
    if not codings:
        return
    identifier = context.derived("Observation", subject.key, "occupation")
    observation = {
        "resourceType": "Observation",
        "identifier": [identifier],
        "status": "final",
        "category": [
            {"coding": [{"system": f"{TERMINOLOGY}observation-category", "code": "social-history"}]}
        ],
        "code": {"coding": [{"system": LOINC, "code": "11341-5", "display": "History of Occupation"}]},
        "subject": subject.reference,
        "valueCodeableConcept": {"coding": codings},
    }
    url = context.url("Observation", identifier["system"], identifier["value"])
    context.entries.append(put(url, observation, identifier))


def _with_coding(concept: Element | None, kind: str, field: Field) -> Element | None:
    code = token(field)
    if not code:
        return concept
    coding = {"system": f"{_PMSI}:{kind}", "code": code}
    return {**(concept or {}), "coding": [*(concept or {}).get("coding", ()), coding]}


def _coding(system: str, field: Field) -> Element | None:
    return {"system": system, "code": token(field)} if field else None


def _part(url: str, element: str, value: object) -> Element | None:
    return {"url": url, element: value} if value else None


def _resource(url: str, context: Context) -> Element:
    resource: Element = next(e["resource"] for e in context.entries if e["fullUrl"] == url)
    return resource
