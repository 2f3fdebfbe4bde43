"""PID[Patient], PD1[Patient].

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html; for the INS: IHE PAM France, CI-SIS
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from mappings.core.bundle import mention, prune, put
from mappings.core.codes import V3
from mappings.core.effects import Snapshot
from mappings.core.identity import INS_TEST_OIDS, has_valid_key, identity_status, is_ins, is_ins_oid
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    cx_to_identifier,
    dr_to_period,
    dtm_to_date_time,
    hd_to_uri,
    telecom,
    token,
    translated,
    xad_to_address,
    xpn_to_human_name,
)
from mappings.hl7v2.languages import cwe_to_language
from mappings.hl7v2.people import practitioners, xon_to_reference
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import GENDER, MARITAL_STATUS

EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/"
INSEE_CODE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
COMMUNES: Final = "https://mos.esante.gouv.fr/NOS/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"

_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|[0-9]{3}")
"""What ISO 3166 has for a country."""

_NEVER_A_KEY: Final = frozenset({"AN", "VN", "SS", "NH", "SB", "DL", "PPN", "MC", "BC"})
"""CX.5 of identifiers of accounts, visits, cards and insurances: not of one person in one record."""

_CLEARED_BY: Final = (
    ((5,), ("name",)),
    ((7,), ("birthDate", "_birthDate")),
    ((8,), ("gender", "_gender")),
    ((11,), ("address",)),
    ((13, 14, 40), ("telecom",)),
    ((15,), ("communication",)),
    ((16,), ("maritalStatus",)),
    ((24, 25), ("multipleBirthBoolean", "multipleBirthInteger")),
    ((29, 30), ("deceasedBoolean", "deceasedDateTime")),
)
"""PID fields whose null deletes elements of Patient."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The patient of a message as other resources need it; ``sent_ins`` are the INS in it, used or not,
    ``identifiers`` those that it is known by."""

    url: str
    key: str
    sent_ins: frozenset[str]
    identifiers: tuple[Element, ...] = ()

    @property
    def reference(self) -> Element:
        return {"reference": self.url}


def add_patient(pid: Segment, context: Context, *, assert_it: bool, pd1: Segment | None = None) -> Subject:
    """Add the Patient entry: create or merge (``assert_it``), or create only when unknown.

    Raises:
        Held: PID has no identifier that tells who this is.
    """
    identifiers, sent_ins = patient_identifiers(pid, context)
    key = key_of(identifiers)
    if key is None:
        issue = Issue("error", "required", "No identifier tells who the patient is", "PID-3")
        raise Held(issue.text, issue)
    url = context.url("Patient", key["system"], key["value"])
    patient = pid_to_patient(pid, [*identifiers, *personal_numbers(pid, context)], context)
    if pd1 is not None:
        more = pd1_to_patient(pd1, context)
        extensions = [*patient.get("extension", ()), *more.get("extension", ())]
        patient |= more | ({"extension": extensions} if extensions else {})
    entry = put if assert_it else mention
    context.entries.append(entry(url, patient, key))
    if "_gender" in patient:  # what nobody understands does not replace what is known
        context.effects.assumed[url] = {"gender", "_gender"}
    if assert_it:
        cleared = {element for fields, names in _CLEARED_BY if _is_cleared(pid, fields) for element in names}
        if cleared:
            context.cleared[url] = cleared
        if gone := [system for system in nulled_systems(pid, context) if system != key["system"]]:
            context.effects.withdrawn[url] = {"identifier": [{"system": system} for system in gone]}
        if "PID-3" in context.source.snapshots:
            context.effects.snapshots.append(Snapshot("Patient", url, context.source_uri))
    return Subject(url, f"{key['system']}|{key['value']}", sent_ins, tuple(identifiers))


def the_pid(message: Message) -> Segment:
    """Raises Held: there is none."""
    pid = message.find("PID")
    if pid is None:
        issue = Issue("error", "required", "There is no PID segment: no patient", "PID")
        raise Held(issue.text, issue)
    return pid


def positive_int(text: str) -> int | None:
    """A number from 1 to the largest that FHIR has; None for anything else."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 11 else 0
    return number if 0 < number < 2**31 else None


def personal_numbers(pid: Segment, context: Context) -> list[Element]:
    """PID-19 and PID-20: the numbers of the social security and of the driver's license. Nobody is known by
    them here."""
    numbers: list[Element] = []
    if ssn := str(pid[19][1]):
        american = re.fullmatch(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", ssn) is not None
        system = "http://hl7.org/fhir/sid/us-ssn" if american else f"{context.source_uri}:PID-19"
        numbers.append({"type": context.table_concept("0203", "SS"), "system": system, "value": ssn})
    if license := str(pid[20][1]):
        where = quote(str(pid[20][2]), safe="")
        numbers.append(
            prune(
                {
                    "type": context.table_concept("0203", "DL"),
                    "system": ":".join(filter(None, (f"{context.source_uri}:PID-20", where))),
                    "value": license,
                    "period": dr_to_period(pid[20][99], pid[20][3], context),
                }
            )
        )
    return numbers


def nulled_systems(pid: Segment, context: Context) -> list[str]:
    """The systems of the identifiers that PID-3 takes away: ``""`` with an assigning authority (PAM France:
    the INS)."""
    systems = []
    for cx in pid.repetitions(3):
        if cx[1].is_null and cx[4]:
            oid = next((str(part) for part in (cx[4][2], cx[4][1]) if is_ins_oid(str(part))), "")
            system = f"urn:oid:{oid}" if oid else hd_to_uri(cx[4][1], cx[4][2], cx[4][3], context)
            systems += [system] if system else []
    return systems


def patient_identifiers(pid: Segment, context: Context) -> tuple[list[Element], frozenset[str]]:
    """The identifiers this message may state, and every INS it carries, stated or not.

    An INS counts only of a qualified identity: PID-32 says VALI or, where PID-32 is not sent, the message
    follows the CI-SIS profile that demands it. Any other INS is left out.
    """
    trusted = _is_qualified(pid, context)
    kept: list[Element] = []
    sent_ins: set[str] = set()
    for number in (3, 2, 4):
        for cx in pid.all(number):
            identifier = cx_to_identifier(cx, context)
            if identifier is None or any(_same(identifier, other) for other in kept):
                continue
            if is_ins(identifier):
                sent_ins.add(identifier["value"])
                if not _is_usable_ins(identifier, cx, trusted, context):
                    continue
            kept.append(identifier)
    return kept, frozenset(sent_ins)


def pid_to_patient(pid: Segment, identifiers: list[Element], context: Context) -> Element:
    """https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pid-to-patient.html"""
    pid.mark_read(1)
    birth = context.time(pid[7])
    birth_time = birth.date_time() if birth and birth.clock else None
    addresses = pid.all(11)
    death_time = dtm_to_date_time(pid[29], context)
    birth_order = positive_int(str(pid[25]))
    patient: Element = prune(
        {
            "resourceType": "Patient",
            "meta": {"tag": [identity_status(code) for f in pid.all(32) if (code := token(f))]},
            "extension": [
                _extension("patient-mothersMaidenName", "valueString", str(pid[6][1][1])),
                _birth_place(addresses, pid[23], context),
                _extension("patient-religion", "valueCodeableConcept", _concept(pid[17], context, "0006")),
                *(_country("patient-citizenship", cwe, context) for cwe in pid.all(26)),
                *(_country("patient-nationality", cwe, context) for cwe in pid.all(28)),
                *(
                    _belonging("patient-citizenship", cwe_to_codeable_concept(cwe, context))
                    for cwe in pid.all(39)
                ),
            ],
            "identifier": identifiers,
            "name": [xpn_to_human_name(xpn, context) for xpn in (*pid.all(5), *pid.all(9))],
            "telecom": [
                *telecom(pid, 13, context, "home"),
                *telecom(pid, 14, context, "work"),
                *telecom(pid, 40, context),
            ],
            **context.code("gender", pid[8], GENDER, "0001", "unknown" if pid[8] else None),
            "birthDate": birth.date if birth else None,
            "_birthDate": {"extension": [_extension("patient-birthTime", "valueDateTime", birth_time)]},
            "deceasedDateTime": death_time,
            "deceasedBoolean": None if death_time else context.boolean(pid[30]),
            "address": _addresses(addresses, pid[12], context),
            "maritalStatus": translated(pid[16], context, MARITAL_STATUS, f"{V3}MaritalStatus", "0002"),
            "multipleBirthInteger": birth_order,
            "multipleBirthBoolean": None if birth_order else context.boolean(pid[24]),
            "communication": [{"language": cwe_to_language(cwe, context)} for cwe in pid.all(15)],
        }
    )
    return patient


def pd1_to_patient(pd1: Segment, context: Context) -> Element:
    """https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pd1-to-patient.html"""
    organizations = [xon_to_reference(xon, context) for xon in pd1.all(3)]
    handicap = cwe_to_codeable_concept(pd1[6], context, "0295")
    elements: Element | None = prune(
        {
            "extension": [
                _extension("patient-disability", "valueCodeableConcept", handicap),
                _extension("patient-congregation", "valueString", pd1[14][1].text),
            ],
            "generalPractitioner": [*organizations, *practitioners(pd1, 4, context)],
        }
    )
    return elements or {}


def key_of(identifiers: list[Element]) -> Element | None:
    """The identifier to find the patient by: the INS, else the facility's own number with its authority."""

    def rank(identifier: Element) -> tuple[bool, bool, bool, bool]:
        code = identifier.get("type", {}).get("coding", [{}])[0].get("code", "")
        return (
            not is_ins(identifier),
            code in _NEVER_A_KEY,
            "assigner" not in identifier
            and not identifier["system"].startswith(("urn:oid:", "urn:uuid:", "http")),
            code not in {"PI", "MR", "PT"},
        )

    current = [identifier for identifier in identifiers if identifier.get("use") != "old"]
    return min(current, key=rank, default=None)


def _is_qualified(pid: Segment, context: Context) -> bool:
    reliability = {str(field).upper() for field in pid.all(32)}
    if reliability:
        return "VALI" in reliability
    return "CISIS_CDA_HL7" in context.message.msh[21].raw


def _is_usable_ins(identifier: Element, cx: Field, trusted: bool, context: Context) -> bool:
    if not trusted:
        context.issue(
            "information", "business-rule", "INS of an identity not qualified: left out", cx.location
        )
        return False
    if has_valid_key(identifier["value"]):
        return True
    test = identifier["system"].removeprefix("urn:oid:") in INS_TEST_OIDS
    context.warn("The INS's key is wrong" + ("" if test else ": left out"), cx)
    return test


def _same(one: Element, other: Element) -> bool:
    return (one["system"], one["value"]) == (other["system"], other["value"])


def _is_cleared(pid: Segment, fields: tuple[int, ...]) -> bool:
    return any(pid.is_null(n) for n in fields) and not any(pid.all(n) for n in fields)


def _concept(cwe: Field, context: Context, table: str) -> Element | None:
    return cwe_to_codeable_concept(cwe, context, table)


def _extension(name: str, element: str, value: object) -> Element | None:
    return {"url": f"{EXTENSION}{name}", element: value} if value else None


def _country(name: str, cwe: Field, context: Context) -> Element | None:
    concept = cwe_to_codeable_concept(cwe, context)
    for coding in (concept or {}).get("coding", ())[:1]:
        if "system" not in coding and _COUNTRY.fullmatch(coding["code"]):
            coding |= {"system": "urn:iso:std:iso:3166"}
    return _belonging(name, concept)


def _belonging(name: str, concept: Element | None) -> Element | None:
    part = {"url": "code", "valueCodeableConcept": concept}
    return {"url": f"{EXTENSION}{name}", "extension": [part]} if concept else None


def _addresses(addresses: list[Field], county: Field, context: Context) -> list[Element]:
    """PID-11 but for the place of birth; PID-12 is the county of the only one, else stands for itself."""
    sent = (xad_to_address(xad, context) for xad in addresses if str(xad[7]).upper() != "BDL")
    found = [address for address in sent if address]
    if district := county.text:
        if len(found) == 1 and "district" not in found[0]:
            found[0]["district"] = district
        elif not any(address.get("district") == district for address in found):
            found.append({"district": district})
    return found


def _birth_place(addresses: list[Field], text: Field, context: Context) -> Element | None:
    """PID-23, or the French way: an address of type BDL with the INSEE code of the commune in XAD.9."""
    for xad in addresses:
        if str(xad[7]).upper() == "BDL":
            address = xad_to_address(xad, context) or {}
            address.pop("district", None)
            if code := str(xad[9]):
                coding = {"system": COMMUNES, "code": code}
                address = {"extension": [{"url": INSEE_CODE, "valueCoding": coding}]} | address
            return _extension("patient-birthPlace", "valueAddress", address)
    return _extension("patient-birthPlace", "valueAddress", {"text": text.text} if text else None)
