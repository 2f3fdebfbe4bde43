"""MRG: patients and visits that are one, numbers that change, patients that are linked. HL7 v2.9 chapter 3.5

The official maps have none of it. A merge is stated as Patient.link; that what refers to the victim refers to
the survivor afterwards is an effect (``mappings.core.effects``).
"""

from typing import NoReturn

from mappings.core.bundle import prune, put
from mappings.core.result import Element, Issue, MappingError
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cx_to_identifier, xpn_to_human_name
from mappings.hl7v2.encounter import encounter_url, visit_numbers
from mappings.hl7v2.patient import Subject, key_of
from mappings.hl7v2.segment import Field, Segment

_PRIOR_NUMBERS = (1, 4, 2)
"""MRG fields with the prior numbers of the patient."""


def add_merge(mrg: Segment, survivor: Subject, context: Context) -> None:
    """Add the Patient that the one of PID replaces.

    Raises:
        MappingError: MRG names nobody, or the patient of PID itself.
    """
    prior = prior_numbers(mrg, survivor, context)
    if not prior:
        _refuse("No identifier tells which patient is merged", "required", "MRG-1")
    key = key_of(prior) or prior[0]
    url = context.url("Patient", key["system"], key["value"])
    victim = prune(
        {
            "resourceType": "Patient",
            "identifier": [number | {"use": "old"} for number in prior],
            "active": False,
            "name": [xpn_to_human_name(xpn, context) for xpn in mrg.all(7)],
            "link": [{"other": survivor.reference, "type": "replaced-by"}],
        }
    )
    known = next((entry["resource"] for entry in context.entries if entry["fullUrl"] == url), None)
    if known is not None:  # the survivor of another merge in the message
        known |= {"active": False, "link": [*known.get("link", ()), *victim["link"]]}
    else:
        context.entries.append(put(url, victim, key))
    add_link(survivor.url, url, "replaces", context)
    if context.effects.replaced.setdefault(url, survivor.url) != survivor.url:
        _refuse("One patient is merged into two", "conflict", mrg[1].location)
    if leads_back(url, context.effects.replaced):
        _refuse("Patients are merged in a circle", "conflict", mrg[1].location)


def add_change_of_numbers(mrg: Segment, subject: Subject, context: Context) -> None:
    """The prior numbers of MRG become old ones of the patient of PID, who is looked up by them."""
    gone = context.effects.withdrawn.get(subject.url, {}).get("identifier", [])
    prior = [n for n in prior_numbers(mrg, subject, context) if {"system": n["system"]} not in gone]
    if not prior:
        if not gone:
            _refuse("No identifier tells what changes", "required", "MRG-1")
        return
    key = key_of(prior) or prior[0]
    entry = entry_of(subject.url, context)
    patient = entry["resource"]
    patient["identifier"] = [*patient["identifier"], *(number | {"use": "old"} for number in prior)]
    entry["request"] = put(subject.url, patient, key)["request"]
    context.effects.renamed.add(subject.url)


def add_visit_merge(pv1: Segment | None, mrg: Segment, url: str | None, context: Context) -> None:
    """Add the Encounter (MRG-5) that the one of PV1 replaces.

    Raises:
        MappingError: one of them has no number, or they are the same.
    """
    prior = [number for cx in mrg.all(5) if (number := cx_to_identifier(cx, context))]
    if pv1 is None or url is None or not prior:
        _refuse("PV1-19 and MRG-5 must say which visit is merged into which", "required", "MRG-5")
    if prior[0] in visit_numbers(pv1, context):
        _refuse("MRG-5 is PV1-19: a visit cannot be merged into itself", "duplicate", "MRG-5")
    survivor = entry_of(url, context)["resource"]
    victim_url = encounter_url(prior[0], context)
    victim = {
        "resourceType": "Encounter",
        "identifier": [number | {"use": "old"} for number in prior],
        "status": "entered-in-error",
        "class": survivor["class"],
        "subject": survivor["subject"],
    }
    context.entries.append(put(victim_url, victim, prior[0]))
    context.effects.assumed[victim_url] = {"class"}
    context.effects.replaced[victim_url] = url


def add_visit_move(mrg: Segment, url: str | None, context: Context) -> None:
    """The visit, which may have had another number (MRG-5), is the patient's of PID from now on."""
    if url is None:
        _refuse("PV1-19 must say which visit is moved", "required", "PV1-19")
    if mrg[5]:
        add_change_of_visit_number(mrg, url, context)
    context.effects.moved.add(url)


def add_change_of_visit_number(mrg: Segment, url: str | None, context: Context, field: int = 5) -> None:
    """The prior visit number MRG-5 (alternate: MRG-6) becomes an old one of the visit, which is looked up by
    it."""
    prior = [number for cx in mrg.all(field) if (number := cx_to_identifier(cx, context))]
    if url is None or not prior:
        where = "PV1-19" if field == 5 else "PV1-50"
        _refuse(f"{where} and MRG-{field} must say which visit number changes", "required", f"MRG-{field}")
    entry = entry_of(url, context)
    encounter = entry["resource"]
    current = {(number["system"], number["value"]) for number in encounter["identifier"]}
    old = [number | {"use": "old"} for number in prior if (number["system"], number["value"]) not in current]
    encounter["identifier"] = [*encounter["identifier"], *old]
    entry["request"] = put(url, encounter, prior[0])["request"]
    context.effects.renamed.add(url)


def add_link(url: str, other: str, type: str, context: Context) -> None:
    """Let the Patient entry ``url`` say how it is linked to the other one."""
    patient = entry_of(url, context)["resource"]
    patient["link"] = [*patient.get("link", ()), {"other": {"reference": other}, "type": type}]


def add_unlink(one: Subject, other: Subject, context: Context) -> None:
    """Take back that two patients are linked, or that they were merged."""
    context.effects.unlinked.append((one.url, other.url))


def prior_numbers(mrg: Segment, subject: Subject, context: Context) -> list[Element]:
    """The numbers of MRG that are not current ones of the patient of PID.

    Raises:
        MappingError: all of them are.
    """
    authority = subject.identifiers[0]["system"] if subject.identifiers else ""
    current = {(number["system"], number["value"]) for number in subject.identifiers}
    sent = [
        number
        for field in _PRIOR_NUMBERS
        for cx in mrg.all(field)
        if (number := _with_authority(cx, authority, context))
    ]
    unique = {(number["system"], number["value"]): number for number in sent}
    prior = [number for key, number in unique.items() if key not in current]
    if unique and not prior:
        _refuse("MRG-1 is PID-3: a patient cannot be merged into itself", "duplicate", "MRG-1")
    return prior


def _with_authority(cx: Field, authority: str, context: Context) -> Element | None:
    """Identifier; one without an assigning authority has that of PID-3."""
    identifier = cx_to_identifier(cx, context)
    if identifier and not cx[4] and authority:
        identifier["system"] = authority
    return identifier


def leads_back(url: str, replaced: dict[str, str]) -> bool:
    """Whether what replaces it is replaced by it in the end."""
    seen = {url}
    while (url := replaced.get(url, "")) and url not in seen:
        seen.add(url)
    return bool(url)


def entry_of(url: str, context: Context) -> Element:
    """The first entry of that fullUrl."""
    return next(entry for entry in context.entries if entry["fullUrl"] == url)


def _refuse(text: str, code: str, location: str) -> NoReturn:
    raise MappingError(text, Issue("error", code, text, location))
