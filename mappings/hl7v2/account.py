"""PID-18 and MRG-3: the account that a stay is put on. HL7 v2.9 chapters 3.3.35 to 3.3.49

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-mrg-to-account.html; what is on it is not read.
"""

from typing import NoReturn

from mappings.core.bundle import mention, put
from mappings.core.result import Element, Issue, MappingError
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cx_to_identifier
from mappings.hl7v2.merge import entry_of, leads_back
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.segment import Segment


def add_account(pid: Segment, subject: Subject, context: Context) -> Element | None:
    """Add the Account of PID-18, when unknown, and give a reference to it; None without a number."""
    identifier = cx_to_identifier(pid[18], context)
    if identifier is None:
        return None
    account = cx_to_account(identifier, subject)
    url = _url(identifier, context)
    context.entries.append(mention(url, account, identifier))
    return {"reference": url}


def cx_to_account(identifier: Element, subject: Subject) -> Element:
    return {
        "resourceType": "Account",
        "identifier": [identifier],
        "status": "active",
        "subject": [subject.reference],
    }


def add_account_merge(pid: Segment, mrg: Segment, subject: Subject, context: Context) -> None:
    """A35, A36, A41: add the account that survives (PID-18) and the one that it replaces (MRG-3).

    Raises:
        MappingError: one of them has no number, or they are the same.
    """
    current, prior = _numbers(pid, mrg, context)
    if _pair(current) == _pair(prior):
        _refuse("MRG-3 is PID-18: an account cannot be merged into itself", "duplicate")
    url, victim_url = _url(current, context), _url(prior, context)
    victim = cx_to_account(prior | {"use": "old"}, subject) | {"status": "entered-in-error"}
    context.entries.append(put(url, cx_to_account(current, subject), current))
    known = next((entry["resource"] for entry in context.entries if entry["fullUrl"] == victim_url), None)
    if known is not None:  # the survivor of another merge in the message
        known |= victim
    else:
        context.entries.append(put(victim_url, victim, prior))
    if context.effects.replaced.setdefault(victim_url, url) != url:
        _refuse("One account is merged into two", "conflict")
    if leads_back(victim_url, context.effects.replaced):
        _refuse("Accounts are merged in a circle", "conflict")


def add_account_move(pid: Segment, mrg: Segment, subject: Subject, context: Context) -> None:
    """A44: the account, which may have had another number (MRG-3), is the patient's of PID from now on.

    Raises:
        MappingError: nothing says which account is moved.
    """
    current, prior = _numbers(pid if pid[18] else None, mrg, context)
    url = _url(current, context)
    context.entries.append(put(url, cx_to_account(current, subject), current))
    if _pair(current) != _pair(prior):
        _rename(url, prior, context)
    context.effects.moved.add(url)


def add_change_of_account_number(pid: Segment, mrg: Segment, subject: Subject, context: Context) -> None:
    """A49: the prior number (MRG-3) becomes an old one of the account, which is looked up by it.

    Raises:
        MappingError: one of the numbers is missing.
    """
    current, prior = _numbers(pid, mrg, context)
    url = _url(current, context)
    context.entries.append(put(url, cx_to_account(current, subject), current))
    if _pair(current) != _pair(prior):
        _rename(url, prior, context)


def _rename(url: str, prior: Element, context: Context) -> None:
    entry = entry_of(url, context)
    account = entry["resource"]
    account["identifier"] = [*account["identifier"], prior | {"use": "old"}]
    entry["request"] = put(url, account, prior)["request"]
    context.effects.renamed.add(url)


def _numbers(pid: Segment | None, mrg: Segment, context: Context) -> tuple[Element, Element]:
    """PID-18 (where the number stays: MRG-3) and MRG-3; one without an authority has that of the other."""
    now, before = pid[18] if pid else mrg[3], mrg[3]
    current, prior = cx_to_identifier(now, context), cx_to_identifier(before, context)
    if current is None or prior is None:
        _refuse("PID-18 and MRG-3 must say which account it is about", "required")
    if not before[4]:
        prior = prior | {"system": current["system"]}
    elif not now[4]:
        current = current | {"system": prior["system"]}
    return current, prior


def _url(identifier: Element, context: Context) -> str:
    return context.url("Account", *_pair(identifier))


def _pair(identifier: Element) -> tuple[str, str]:
    return identifier["system"], identifier["value"]


def _refuse(text: str, code: str) -> NoReturn:
    raise MappingError(text, Issue("error", code, text, "MRG-3"))
