"""The HL7v2 data types inside XDS metadata: one function per pair of types. IHE ITI TF-3 4.2.3.1.7"""

import re
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from mappings.cda.context import Context
from mappings.cda.datatypes import oid_to_identifier
from mappings.cda.participants import organization_reference, practitioner_to_reference
from mappings.cda.patient import GENDER
from mappings.core.bundle import derived_identifier, prune
from mappings.core.codes import OID, system_of_name, system_of_oid
from mappings.core.identity import ins_identifier, is_ins, is_ins_oid
from mappings.core.result import Element
from mappings.core.times import NotATime, parse
from mappings.xds.kept import SCHEME, as_sent
from mappings.xds.metadata import Classification, Slots

_ESCAPE: Final = re.compile(r"\\([FSTRE])\\")
_ESCAPED: Final = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
_NAME_USE: Final = {"D": "usual", "L": "official", "M": "maiden", "S": "anonymous"}


def components(value: str) -> list[str]:
    """The components of a field, with twenty of them at least so that absent ones are empty."""
    parts = value.split("^")
    return [_unescape(part) for part in parts] + [""] * (20 - len(parts))


def cx_to_identifier(value: str) -> Element | None:
    """CX ``id^^^&oid&ISO^type`` -> Identifier; an INS whatever its type (XDS writes NH, HL7v2 INS)."""
    parts = value.split("^")
    authority = parts[3].split("&") if len(parts) > 3 else []
    oid, number = (authority[1].strip() if len(authority) > 1 else ""), _unescape(parts[0]).strip()
    if not number or not OID.fullmatch(oid):
        return None
    return ins_identifier(oid, number) if is_ins_oid(oid) else oid_to_identifier(oid, number)


def unique_id_to_identifier(value: str) -> Element | None:
    """uniqueId ``root`` or ``root^extension``, with or without ``urn:oid:`` / ``urn:uuid:`` -> Identifier."""
    root, _, extension = value.strip().partition("^")
    return oid_to_identifier(root.removeprefix("urn:oid:").removeprefix("urn:uuid:"), extension)


def dtm_to_datetime(value: str, location: str, context: Context) -> str | None:
    """DTM -> dateTime; without an offset it is UTC, or what the source is known to mean."""
    if not value:
        return None
    try:
        return parse(value).in_zone(ZoneInfo(context.source.xds_timezone)).date_time()
    except NotATime as error:
        context.warn_at(location, f"{value!r} is not a time ({error}); it is left out")
        return None


def classification_to_coding(code: Classification) -> Element:
    """A classification -> Coding; the coding scheme as sent, be it right or not."""
    system = system_of_scheme(code.coding_scheme, code.code)
    coding = {"system": system, "code": code.code, "display": code.display}
    return {key: item for key, item in coding.items() if item}


def system_of_scheme(scheme: str, code: str) -> str | None:
    """A codingScheme -> the URI of a code's system: an OID's, a known name's, or one that spells the name.

    XDS lets an affinity domain name its schemes as it likes (``Connect-a-thon classCodes``).
    """
    if OID.fullmatch(scheme):
        return system_of_oid(scheme)
    if (known := system_of_name(scheme)) is not None:
        return known
    if code.startswith("urn:"):
        return "urn:ietf:rfc:3986"  # codingScheme "URN": the code is a name of its own
    return f"{SCHEME}{quote(scheme, safe='')}" if scheme else None


def classification_to_concept(code: Classification) -> Element:
    return {"coding": [classification_to_coding(code)]}


def ce_to_concept(value: str) -> Element | None:
    """``code^display^scheme`` (authorSpecialty, authorRole) -> CodeableConcept; a mere word is its text."""
    code, display, scheme = (part.strip() for part in components(value)[:3])
    if not code:
        return None
    system = system_of_oid(scheme) if OID.fullmatch(scheme) else system_of_name(scheme)
    if system is None:
        return {"text": display or code}
    coding = {"system": system, "code": code, "display": display}
    return {"coding": [{key: item for key, item in coding.items() if item}]}


def xon_to_reference(value: str, context: Context) -> Element | None:
    """XON ``name^^^^^&oid&ISO^type^^^id`` -> Reference to an Organization; XON.10 may be an OID by itself."""
    parts = value.split("^") + [""] * 10
    authority = parts[5].split("&")
    oid, number = (authority[1].strip() if len(authority) > 1 else ""), _unescape(parts[9]).strip()
    identifier = oid_to_identifier(oid, number) if number and oid else oid_to_identifier(number)
    name = _unescape(parts[0]).strip()
    return organization_reference(identifiers=[identifier] if identifier else [], name=name, context=context)


def xcn_to_reference(
    value: str, organization: Element | None, code: Element | None, patient: Element, context: Context
) -> Element | None:
    """XCN ``id^family^given^^^^^^&oid&ISO^D^^^type`` -> Reference to who it is.

    XCN.10 ``U`` is a system. A patient writes under an INS and is never a Practitioner; ``patient`` has the
    identifiers of the submission's and its ``reference``.
    """
    parts = value.split("^") + [""] * 13
    authority = parts[8].split("&")
    oid, number = (authority[1].strip() if len(authority) > 1 else ""), _unescape(parts[0]).strip()
    identifier = oid_to_identifier(oid, number) if number and oid else None
    family, given = _unescape(parts[1]).strip(), _unescape(parts[2]).strip()
    if identifier and is_ins(identifier):
        if any(i["value"] == number for i in patient["identifier"] if is_ins(i)):
            return {"reference": patient["reference"]}
        return {"type": "Patient", "identifier": ins_identifier(oid, number)}
    if parts[9] == "U":
        return _device(identifier, family or given, organization, context)
    name: Element = prune({"family": family, "given": [given], "prefix": [parts[5]], "suffix": [parts[4]]})
    if not identifier and not name:
        return None
    return practitioner_to_reference(
        identifiers=[identifier] if identifier else [],
        name=name,
        telecom=[],
        address=[],
        organization=organization,
        code=code,
        context=context,
    )


def author_to_reference(slots: Slots, patient: Element, context: Context) -> Element | None:
    """An author's slots -> Reference: the person in that institution and specialty, else the institution.

    The slots are kept with it: an author may have several roles, institutions and addresses.
    """
    institutions = [xon_to_reference(value, context) for value in slots.get("authorInstitution", [])]
    organization = next((reference for reference in institutions if reference), None)
    specialties = slots.get("authorSpecialty", []) or slots.get("authorRole", [])
    code = ce_to_concept(specialties[0]) if specialties else None
    for person in slots.get("authorPerson", []):
        if reference := xcn_to_reference(person, organization, code, patient, context):
            return as_sent(reference, slots)
    if organization is not None:
        return as_sent(organization, slots)
    named = next((value for values in slots.values() for value in values), "")
    return as_sent({"display": named}, slots) if named else None


def source_patient_info(values: list[str], location: str, context: Context) -> Element:
    """sourcePatientInfo (``PID-5|...``) -> the elements of a Patient: name, birthDate, gender, address."""
    fields: dict[str, list[str]] = {}
    for value in values:
        name, _, content = value.partition("|")
        fields.setdefault(name.strip(), []).extend(part for part in content.split("~") if part)
    gender = next(iter(fields.get("PID-8", [])), "")
    return {
        "name": [_name(value) for value in fields.get("PID-5", [])],
        "birthDate": _birth_date(next(iter(fields.get("PID-7", [])), ""), location, context),
        "gender": GENDER.get(gender, "other" if gender in ("O", "A") else None),
        "address": [_address(value) for value in fields.get("PID-11", [])],
    }


def _name(value: str) -> Element:
    """XPN -> HumanName."""
    parts = components(value)
    return {
        "use": _NAME_USE.get(parts[6]),
        "family": parts[0].partition("&")[0].strip(),
        "given": [given.strip() for given in (parts[1], parts[2])],
        "prefix": [parts[4]],
        "suffix": [parts[3]],
    }


def _address(value: str) -> Element:
    """XAD -> Address."""
    parts = components(value)
    return {
        "line": [parts[0].partition("&")[0], parts[1]],
        "city": parts[2],
        "state": parts[3],
        "postalCode": parts[4],
        "country": parts[5],
    }


def _birth_date(value: str, location: str, context: Context) -> str | None:
    if not value:
        return None
    try:
        return parse(value).date
    except NotATime as error:
        context.warn_at(location, f"PID-7 is not a date ({error}); it is left out")
        return None


def _device(identifier: Element | None, name: str, organization: Element | None, context: Context) -> Element:
    owner = (organization or {}).get("reference", "")
    key = identifier or derived_identifier(context.source.name, "device", name, "", owner)
    device = {
        "resourceType": "Device",
        "identifier": [key],
        "deviceName": [{"name": name, "type": "user-friendly-name"}] if name else None,
        "owner": organization,
    }
    reference = {"reference": context.mention(prune(device), key)}
    return reference | ({"display": name} if name else {})


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text)
