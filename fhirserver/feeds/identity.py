"""Which stored patient an input is about, when the identifier it is looked up by is not stored.

CI-SIS and IHE PAM France: the INS comes to be known later than the establishment's own number (IPP).
"""

from typing import Final

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.lookup import Found, Key, identifier_key
from fhirserver.model.json import Resource
from mappings.core.bundle import KEY_SYSTEM
from mappings.core.identity import INS_TEST_OIDS, has_valid_key, ins_values, is_ins
from mappings.core.result import Held, Issue

_NUMBERS: Final = frozenset({"PI", "MR", "PT"})
"""Types (HL7 table 0203) of numbers that are of one person in one record; cards and visits are not."""


def other_keys(entry: Entry) -> tuple[list[Key], list[Key]]:
    """The other identifiers that may find the patient of an entry: each INS, and the other numbers; of a
    visit its other numbers, such as that of the preadmission."""
    ins: list[Key] = []
    numbers: list[Key] = []
    if entry.type == "Encounter" and entry.asserts:
        sent = (i for i in entry.resource.get("identifier", ()) if i.get("use") != "old")
        return [], [key for i in sent if (key := identifier_key("Encounter", i)) != entry.key]
    for identifier in entry.resource.get("identifier", ()) if entry.type == "Patient" else ():
        key = identifier_key("Patient", identifier)
        if key == entry.key or not key.system or not key.value or identifier.get("use") == "old":
            continue
        if is_ins(identifier):
            if has_valid_key(key.value) or key.system.removeprefix("urn:oid:") in INS_TEST_OIDS:
                ins.append(key)
        elif _is_number(identifier):
            numbers.append(key)
    return ins, numbers


def find_patient(entry: Entry, found: dict[Key, list[Found]], issues: list[Issue]) -> Found | None:
    """The one stored patient that has one of the other identifiers, those of the first rank first.

    An input that is looked up by its INS is not held by a local number that a person with another INS has,
    too: they are two persons, and a warning says so.

    Raises:
        Held: several have one, or the one has an identifier that contradicts.
    """
    for keys in other_keys(entry):
        matches = {match.stored.reference: match for key in keys for match in found.get(key, ())}
        if entry.key and is_ins({"system": entry.key.system}):
            same = {name: match for name, match in matches.items() if may_be(entry.resource, match.resource)}
            if len(same) < len(matches):
                text = "A local number of this patient is also that of a patient with another INS"
                issues.append(Issue("warning", "conflict", text, "Patient.identifier"))
            matches = same
        if len(matches) > 1:
            text = f"{len(matches)} patients have one of the identifiers of this one"
            raise Held(text, Issue("error", "multiple-matches", text, "Patient.identifier"))
        for match in matches.values():
            check_identity(entry.resource, match.resource)
            _check_numbers(entry.resource, match.resource)
            return match
    return None


def find_visit(entry: Entry, found: dict[Key, list[Found]]) -> Found | None:
    """The one stored visit that has another number of this one: what a preadmission has become."""
    if entry.type != "Encounter":
        return None
    matches = {m.stored.id: m for key in other_keys(entry)[1] for m in found.get(key, ())}
    return next(iter(matches.values())) if len(matches) == 1 else None


def leave_out_foreign_numbers(entry: Entry, found: dict[Key, list[Found]], issues: list[Issue]) -> None:
    """Leave out numbers that another stored patient goes by: with two of one number nobody finds either."""
    foreign = {
        key
        for key in other_keys(entry)[1]
        if any(
            match.stored.id != entry.id and not _is_replaced(match.resource) for match in found.get(key, ())
        )
    }
    if foreign:
        numbers = entry.resource["identifier"]
        kept = [i for i in numbers if identifier_key(entry.type, i) not in foreign]
        entry.resource = {**entry.resource, "identifier": kept}
        text = (
            f"Another {entry.type} goes by a number of this one: left out. If they are one, a merge says so"
        )
        issues.append(Issue("warning", "conflict", text, f"{entry.type}.identifier"))


def _is_replaced(resource: Resource) -> bool:
    if resource["resourceType"] in ("Encounter", "Account"):
        return bool(resource["status"] == "entered-in-error")
    return any(link.get("type") == "replaced-by" for link in resource.get("link", ()))


def may_be(sent: Resource, stored: Resource) -> bool:
    """Whether both may be one person: not where both have a national identity (INS) and none in common."""
    here, came = ins_values(stored.get("identifier", [])), ins_values(sent.get("identifier", []))
    return not (here and came) or bool(here & came)


def check_identity(sent: Resource, stored: Resource) -> None:
    """Raises Held when both have a national identity (INS) and none in common."""
    if not may_be(sent, stored):
        _contradict("The patient found by another identifier has another INS")


def _check_numbers(sent: Resource, stored: Resource) -> None:
    """Raises Held when both have current numbers of one system and none in common."""
    here, came = _by_system(stored), _by_system(sent)
    if any(here[system].isdisjoint(came[system]) for system in here.keys() & came.keys()):
        _contradict("The patient found by another identifier has another number of the same system")


def _contradict(text: str) -> None:
    raise Held(text, Issue("error", "conflict", text, "Patient.identifier"))


def _by_system(patient: Resource) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for identifier in patient.get("identifier", ()):
        if identifier.get("use") != "old" and (is_ins(identifier) or _is_number(identifier)):
            values.setdefault(identifier.get("system", ""), set()).add(identifier.get("value", ""))
    return values


def _is_number(identifier: Resource) -> bool:
    if str(identifier.get("system", "")).startswith(KEY_SYSTEM):
        return False
    codes = {coding.get("code") for coding in identifier.get("type", {}).get("coding", ())}
    return "type" not in identifier or bool(codes & _NUMBERS)
