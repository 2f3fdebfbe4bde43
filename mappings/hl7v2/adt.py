"""ADT: which event says what of patients, visits, allergies and merges. HL7 v2.9 chapter 3.3"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

from mappings.core.result import Held, Issue, MappingError
from mappings.hl7v2.account import (
    add_account,
    add_account_merge,
    add_account_move,
    add_change_of_account_number,
)
from mappings.hl7v2.allergy import add_allergies
from mappings.hl7v2.context import Context
from mappings.hl7v2.diagnosis import add_diagnoses
from mappings.hl7v2.groups import orders
from mappings.hl7v2.merge import (
    add_change_of_numbers,
    add_change_of_visit_number,
    add_link,
    add_merge,
    add_unlink,
    add_visit_merge,
    add_visit_move,
)
from mappings.hl7v2.observation import ObservationEntries
from mappings.hl7v2.pam import add_pam_france
from mappings.hl7v2.patient import Subject, add_patient, key_of, patient_identifiers, the_pid
from mappings.hl7v2.procedure import add_procedures
from mappings.hl7v2.reader import Message
from mappings.hl7v2.related import add_next_of_kin, add_roles
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.visit import add_visit, stay_without_number


@dataclass(slots=True)
class Group:
    """A PID and what follows it up to the next one: in a merge or link each is an event of its own."""

    pid: Segment
    segments: list[Segment] = field(default_factory=list)

    def find(self, name: str) -> Segment | None:
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, *names: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name in names]


def groups(message: Message) -> Iterator[Group]:
    """Raises Held: there is no PID."""
    the_pid(message)
    group: Group | None = None
    for segment in message.segments:
        if segment.name == "PID":
            if group:
                yield group
            group = Group(segment)
        elif group:
            group.segments.append(segment)
    if group:
        yield group


def visit_to_entries(message: Message, context: Context) -> Subject:
    """Patient, RelatedPerson, Encounter, AllergyIntolerance, Condition, Procedure, Observation, Consent."""
    return _stated(message, context, assert_it=True)


def cancel_to_entries(message: Message, context: Context) -> Subject:
    """The Encounter; of the Patient only what is not known yet: to cancel a visit undoes nothing else."""
    return _stated(message, context, assert_it=False)


def person_to_entries(message: Message, context: Context) -> Subject:
    """As a visit's, and the Patient's record is in use (A28)."""
    subject = _stated(message, context, assert_it=True)
    context.entries[0]["resource"]["active"] = True
    return subject


def deletion_to_entries(message: Message, context: Context) -> Subject:
    """A29: the Patient's record is not in use any more; nothing is deleted."""
    subject = add_patient(the_pid(message), context, assert_it=True)
    context.entries[0]["resource"]["active"] = False
    return subject


def allergies_to_entries(message: Message, context: Context) -> Subject:
    """A60: the AllergyIntolerances by their action codes; the Patient only when unknown."""
    return _stated(message, context, assert_it=False)


def merge_to_entries(message: Message, context: Context) -> Subject:
    """Per PID and MRG the Patient that survives and the one that it replaces.

    Raises:
        MappingError: a PID without MRG, or an MRG that cannot be followed.
    """
    return _each_with_mrg(message, context, add_merge)


def change_to_entries(message: Message, context: Context) -> Subject:
    """Per PID and MRG the Patient, whose prior numbers are old ones now. Raises MappingError."""
    return _each_with_mrg(message, context, add_change_of_numbers)


def account_merge_to_entries(message: Message, context: Context) -> Subject:
    """A35, A41: per PID and MRG the Account that survives and the one it replaces. Raises MappingError."""
    return _each_account_with_mrg(message, context, add_account_merge)


def account_move_to_entries(message: Message, context: Context) -> Subject:
    """A44: per PID and MRG an Account that becomes the patient's of PID. Raises MappingError."""
    return _each_account_with_mrg(message, context, add_account_move)


def account_change_to_entries(message: Message, context: Context) -> Subject:
    """A49: the Account, whose prior number is an old one now. Raises MappingError."""
    return _each_account_with_mrg(message, context, add_change_of_account_number)


def patient_and_account_merge_to_entries(message: Message, context: Context) -> Subject:
    """A36: as A34 and, where both accounts are named, as A35. Raises MappingError."""
    subject = merge_to_entries(message, context)
    for group in groups(message):
        mrg = group.find("MRG")
        if mrg is not None and group.pid[18] and mrg[3]:
            identifiers, _ = patient_identifiers(group.pid, context)
            key = key_of(identifiers)
            url = context.url("Patient", key["system"], key["value"]) if key else subject.url
            add_account_merge(group.pid, mrg, replace(subject, url=url), context)
    return subject


def number_move_to_entries(message: Message, context: Context) -> Subject:
    """A43. Raises Held: a number is another patient's, and nothing says which data go with it."""
    the_pid(message)
    text = "A number moves from one patient to another, and nothing says which of the data are whose"
    raise Held(text, Issue("error", "business-rule", text, "MRG-1"))


def visit_merge_to_entries(message: Message, context: Context) -> Subject:
    """A42: per PID and MRG the Encounter that survives and the one that it replaces. Raises MappingError."""
    return _each_visit_with_mrg(message, context, add_visit_merge)


def visit_change_to_entries(message: Message, context: Context) -> Subject:
    """A50: the Encounter, whose prior number is an old one now. Raises MappingError."""

    def change(_: Segment | None, mrg: Segment, url: str | None, context: Context) -> None:
        add_change_of_visit_number(mrg, url, context)

    return _each_visit_with_mrg(message, context, change)


def alternate_visit_change_to_entries(message: Message, context: Context) -> Subject:
    """A51: as A50, of the alternate number (PV1-50, MRG-6). Raises MappingError."""

    def change(_: Segment | None, mrg: Segment, url: str | None, context: Context) -> None:
        add_change_of_visit_number(mrg, url, context, 6)

    return _each_visit_with_mrg(message, context, change)


def visit_move_to_entries(message: Message, context: Context) -> Subject:
    """A45: per MRG and PV1 an Encounter that becomes the patient's of PID. Raises MappingError."""
    subject = add_patient(the_pid(message), context, assert_it=True)
    mrgs, pv1s = message.all("MRG"), message.all("PV1")
    if not mrgs or len(mrgs) != len(pv1s):
        _refuse("Each MRG needs its PV1: nothing says which visit is moved", "PV1")
    for mrg, pv1 in zip(mrgs, pv1s, strict=True):
        mrg.mark_read(1)  # whose visit it was is stored with it
        encounter = add_visit(pv1, None, None, subject, context)
        add_visit_move(mrg, encounter["reference"] if encounter else None, context)
    return subject


def link_to_entries(message: Message, context: Context) -> Subject:
    """A24: two Patients that refer to each other. Raises MappingError."""
    one, other = _pair(message, context)
    add_link(one.url, other.url, "seealso", context)
    add_link(other.url, one.url, "seealso", context)
    return one


def unlink_to_entries(message: Message, context: Context) -> Subject:
    """A37: two Patients that are not linked any more; a merge of theirs is undone. Raises MappingError."""
    one, other = _pair(message, context)
    add_unlink(one, other, context)
    return one


def _stated(message: Message, context: Context, *, assert_it: bool) -> Subject:
    subject = add_patient(the_pid(message), context, assert_it=assert_it, pd1=message.find("PD1"))
    if assert_it:
        add_next_of_kin(message.all("NK1"), subject, context)
    pv1 = message.find("PV1")
    known_by = stay_without_number(pv1, the_pid(message), subject, context) if pv1 is not None else None
    encounter = add_visit(pv1, message.find("PV2"), message.find("ZBE"), subject, context, known_by)
    if encounter is None and assert_it:
        add_account(the_pid(message), subject, context)
    if pv1 is not None and encounter is None and pv1[3]:
        text = "A visit without number, account and admission time cannot be recognised again: left out"
        context.issue("warning", "required", text, "PV1-19")
    if assert_it:
        add_roles([*message.all("ROL"), *message.all("PRT")], subject, encounter, context)
        add_diagnoses(message.all("DG1"), subject, encounter, context)
        add_procedures(message.all("PR1"), subject, encounter, context)
    add_allergies([*message.all("AL1"), *message.all("IAM")], subject, context)
    add_pam_france(message, subject, encounter, context)
    observations = ObservationEntries(subject, context)
    # A note is about the observation before it.
    observed = [segment for segment in message.segments if segment.name in ("OBX", "NTE")]
    for result in (result for order in orders(observed) for result in order.results):
        observations.add(result, {"encounter": encounter} if encounter else {})
    return subject


def _each_with_mrg(
    message: Message, context: Context, add: Callable[[Segment, Subject, Context], None]
) -> Subject:
    subjects: list[Subject] = []
    for group in groups(message):
        mrg = group.find("MRG")
        if mrg is None:
            _refuse("A PID without an MRG: nothing says what is merged or changed", "MRG")
        subject = add_patient(group.pid, context, assert_it=True, pd1=group.find("PD1"))
        if any(other.url == subject.url for other in subjects):
            # one patient in several groups: what the first says of it holds
            again = [e for e in context.entries if e["fullUrl"] == subject.url][1:]
            context.entries = [e for e in context.entries if not any(e is one for one in again)]
        add(mrg, subject, context)
        subjects.append(subject)
    return subjects[0]


def _each_account_with_mrg(
    message: Message, context: Context, add: Callable[[Segment, Segment, Subject, Context], None]
) -> Subject:
    subjects = []
    for group in groups(message):
        mrg = group.find("MRG")
        if mrg is None:
            _refuse("A PID without an MRG: nothing says what is merged or changed", "MRG")
        mrg.mark_read(1, 2)  # whose account it was is stored with it
        subject = add_patient(group.pid, context, assert_it=True, pd1=group.find("PD1"))
        add(group.pid, mrg, subject, context)
        subjects.append(subject)
    return subjects[0]


def _each_visit_with_mrg(
    message: Message,
    context: Context,
    add: Callable[[Segment | None, Segment, str | None, Context], None],
) -> Subject:
    subjects = []
    for group in groups(message):
        mrg, pv1 = group.find("MRG"), group.find("PV1")
        if mrg is None:
            _refuse("A PID without an MRG: nothing says what is merged or changed", "MRG")
        subject = add_patient(group.pid, context, assert_it=False)
        encounter = add_visit(pv1, group.find("PV2"), None, subject, context)
        add(pv1, mrg, encounter["reference"] if encounter else None, context)
        subjects.append(subject)
    return subjects[0]


def _pair(message: Message, context: Context) -> tuple[Subject, Subject]:
    found = [add_patient(group.pid, context, assert_it=True) for group in groups(message)]
    if len(found) != 2 or found[0].url == found[1].url:
        _refuse("Two PID segments must name two patients", "PID")
    return found[0], found[1]


def _refuse(text: str, location: str) -> NoReturn:
    raise MappingError(text, Issue("error", "required", text, location))


_VISIT: Final = (
    *("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A14", "A15", "A16"),
    *("A21", "A22", "A31", "A54", "Z99"),
)
_CANCEL: Final = ("A11", "A12", "A13", "A23", "A25", "A26", "A27", "A38", "A52", "A53", "A55")

ADT_EVENTS: Final[dict[str, Callable[[Message, Context], Subject]]] = {
    **{f"ADT^{trigger}": visit_to_entries for trigger in _VISIT},
    **{f"ADT^{trigger}": cancel_to_entries for trigger in _CANCEL},
    "ADT^A28": person_to_entries,
    "ADT^A29": deletion_to_entries,
    "ADT^A60": allergies_to_entries,
    **{f"ADT^{trigger}": merge_to_entries for trigger in ("A18", "A30", "A34", "A40")},
    **{f"ADT^{trigger}": account_merge_to_entries for trigger in ("A35", "A41")},
    "ADT^A43": number_move_to_entries,
    "ADT^A44": account_move_to_entries,
    "ADT^A49": account_change_to_entries,
    "ADT^A36": patient_and_account_merge_to_entries,
    "ADT^A42": visit_merge_to_entries,
    **{f"ADT^{trigger}": change_to_entries for trigger in ("A46", "A47", "A48")},
    "ADT^A45": visit_move_to_entries,
    "ADT^A50": visit_change_to_entries,
    "ADT^A51": alternate_visit_change_to_entries,
    "ADT^A24": link_to_entries,
    "ADT^A37": unlink_to_entries,
}
"""Trigger event -> how its entries are made."""
