"""NK1[Patient], NK1[RelatedPerson], ROL and PRT: the people around a patient.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html
"""

from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.effects import Snapshot
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    cx_to_identifier,
    dr_to_period,
    dtm_to_date,
    telecom,
    translated,
    xad_to_address,
    xpn_to_human_name,
)
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioner_reference, xon_to_reference
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import GENDER, RELATIONSHIP

NOT_A_PERSON: Final = {"EMR", "E", "F", "I", "S"}
"""NK1-3 of employers, insurers and agencies: these are Patient.contact, people are RelatedPerson."""

GENERAL_PRACTITIONERS: Final = frozenset({"PP", "FHCP", "ODRP"})
"""Roles (table 0443; ODRP: PAM France, the doctor chosen by the insured) of Patient.generalPractitioner."""

ENDED_ROLES: Final = frozenset({"D", "DE", "DL", "X"})
"""ROL-2, PRT-2 (table 0287) of a role that is no more."""


def add_next_of_kin(segments: list[Segment], subject: Subject, context: Context) -> None:
    """NK1 by what NK1-3 says: people become RelatedPerson entries, organizations a contact of the Patient."""
    contacts = []
    for nk1 in segments:
        nk1.mark_read(1)
        if str(nk1[3][1]).upper() in NOT_A_PERSON:
            contacts.append(nk1_to_contact(nk1, context))
        else:
            _add_related_person(nk1, subject, context)
    if segments and "NK1" in context.source.snapshots:
        context.effects.snapshots.append(Snapshot("RelatedPerson", subject.url, context.source_uri))
    if contacts := [contact for contact in contacts if contact]:
        patient = next(e["resource"] for e in context.entries if e["fullUrl"] == subject.url)
        patient["contact"] = contacts


def nk1_to_contact(nk1: Segment, context: Context) -> Element | None:
    """https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-nk1-to-patient.html"""
    contact: Element | None = prune(
        {
            "relationship": [
                cwe_to_codeable_concept(nk1[3], context, "0063"),
                cwe_to_codeable_concept(nk1[7], context, "0131"),
            ],
            "name": next((xpn_to_human_name(xpn, context) for xpn in nk1.all(2)), None),
            "telecom": _nk1_telecom(nk1, context),
            "address": next((xad_to_address(xad, context) for xad in nk1.all(4)), None),
            **context.code("gender", nk1[15], GENDER, "0001"),
            "organization": xon_to_reference(nk1[13], context),
            "period": dr_to_period(nk1[8], nk1[9], context),
        }
    )
    # pat-1: a contact has details, not only a relationship
    return contact if contact and contact.keys() & {"name", "telecom", "address", "organization"} else None


def _add_related_person(nk1: Segment, subject: Subject, context: Context) -> None:
    person: Element = prune(
        {
            "resourceType": "RelatedPerson",
            **_of_list(context),
            "patient": subject.reference,
            "relationship": [
                translated(nk1[3], context, RELATIONSHIP, f"{V3}RoleCode", "0063"),
                cwe_to_codeable_concept(nk1[7], context, "0131"),
            ],
            "name": [xpn_to_human_name(xpn, context) for xpn in nk1.all(2)],
            "telecom": _nk1_telecom(nk1, context),
            **context.code("gender", nk1[15], GENDER, "0001"),
            "birthDate": dtm_to_date(nk1[16], context),
            "address": [xad_to_address(xad, context) for xad in nk1.all(4)],
            "period": dr_to_period(nk1[8], nk1[9], context),
        }
    )
    names = person.get("name", [])
    if not names and "telecom" not in person:
        return
    identifiers = [i for cx in nk1.all(33) if (i := cx_to_identifier(cx, context))]
    name = names[0] if names else {}
    identifier = (
        identifiers[0]
        if identifiers
        else context.derived(
            "RelatedPerson",
            subject.key,
            str(nk1[3][1]),
            name.get("family", "").casefold(),
            " ".join(name.get("given", [])).casefold(),
        )
    )
    person["identifier"] = identifiers or [identifier]
    url = context.url("RelatedPerson", subject.key, identifier["system"], identifier["value"])
    context.entries.append(put(url, person, identifier))


def _of_list(context: Context) -> Element:
    """What a list says of each that it names: that the source listed it, and that it holds."""
    if "NK1" not in context.source.snapshots:
        return {}
    return {"meta": {"source": context.source_uri}, "active": True}


def _nk1_telecom(nk1: Segment, context: Context) -> list[Element]:
    return [*telecom(nk1, 5, context), *telecom(nk1, 6, context, "work"), *telecom(nk1, 40, context)]


def add_roles(segments: list[Segment], subject: Subject, encounter: Element | None, context: Context) -> None:
    """ROL and PRT: doctors of the patient become general practitioners, the others take part in the visit."""
    doctors, participants = [], []
    for segment in segments:
        number = 3 if segment.name == "ROL" else 4
        code = str(segment[number][1]).upper()
        general = code in GENERAL_PRACTITIONERS
        if not segment[number] or (not general and encounter is None):
            continue
        segment.mark_read(1)
        if str(segment[2]).upper() in ENDED_ROLES:
            continue
        who = segment.all(4 if segment.name == "ROL" else 5)
        references = [reference for xcn in who if (reference := practitioner_reference(xcn, context))]
        if general:
            doctors += references
            continue
        kind = cwe_to_codeable_concept(segment[number], context, "0443" if segment.name == "ROL" else "0912")
        period = dr_to_period(segment[5], segment[6], context) if segment.name == "ROL" else None
        participants += [prune({"type": [kind], "period": period, "individual": r}) for r in references]
    _extend(subject.url, "generalPractitioner", doctors, context)
    if encounter:
        _extend(encounter["reference"], "participant", participants, context)


def _extend(url: str, name: str, items: list[Element], context: Context) -> None:
    resource = next(e["resource"] for e in context.entries if e["fullUrl"] == url)
    new = [item for item in items if item not in resource.get(name, ())]
    if new:
        resource[name] = [*resource.get(name, ()), *new]
