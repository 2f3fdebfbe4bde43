"""HL7v2 data types as FHIR data types: ``CX[Identifier]``, ``XPN[HumanName]`` and so on.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html
"""

import re
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from mappings.core.bundle import prune
from mappings.core.codes import OID, SYSTEM_OF_NAME, UUID, system_of_name, system_of_oid
from mappings.core.identity import IDENTIFIER_TYPE_SYSTEM, NIR_BILLING_OID, ins_identifier, is_ins_oid
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import (
    ADDRESS_TYPE,
    ADDRESS_USE,
    NAME_USE,
    TELECOM_SYSTEM,
    TELECOM_USE,
    TERMINOLOGY,
)

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
"""System of identifiers that are themselves URIs."""

BIRTH_GIVEN_NAMES: Final = (
    "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name"
)
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
DATA_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_NUMBER: Final = re.compile(
    r"(<=|>=|<|>)?\s*([+-]?)0*([0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]{1,3})?"
)
_TABLE: Final = f"{TERMINOLOGY}v2-"
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def token(value: Field) -> str:
    """The text of a code: FHIR's code has no white space but single spaces inside."""
    return " ".join(str(value).split())


def dtm_to_date(value: Field, context: Context) -> str | None:
    time = context.time(value)
    return time.date if time else None


def dtm_to_date_time(value: Field, context: Context) -> str | None:
    time = context.time(value)
    return time.date_time() if time else None


def dtm_to_instant(value: Field, context: Context) -> str | None:
    """As instant; a time that is only a day or coarser cannot be one and is left out with an issue."""
    time = context.time(value)
    if time is None:
        return None
    if (instant := time.instant()) is None:
        context.warn("Too coarse for an instant: left out", value)
    return instant


def dr_to_period(start: Field, end: Field, context: Context) -> Element | None:
    """Period; an end before its start is left out with an issue, because FHIR forbids it (per-1)."""
    first, last = context.time(start), context.time(end)
    if first and last and first.is_after(last):
        context.warn("The end is before the start: left out", end)
        last = None
    period: Element | None = prune(
        {"start": first.date_time() if first else None, "end": last.date_time() if last else None}
    )
    return period


def hd_to_uri(namespace: Field, universal: Field, kind: Field, context: Context) -> str | None:
    """The system an assigning authority stands for; None when there is none.

    A universal id that is what its type says, then the source's own table, then a URN of the source's.
    """
    name, uid, uid_type = str(namespace), str(universal), str(kind).upper()
    for candidate in (uid, name):
        if OID.fullmatch(candidate) and candidate.count(".") > 2:
            return f"urn:oid:{candidate}"
        if UUID.fullmatch(candidate):
            return f"urn:uuid:{candidate.lower()}"
    if uid_type == "URI" and _URI.fullmatch(uid):
        return uid
    if name in context.source.authorities and name:
        return context.source.authorities[name]
    if name or uid:
        return f"urn:x-hl7v2:{quote(context.source.name, safe='')}:{quote(name or uid, safe='')}"
    return None


def cx_to_identifier(cx: Field, context: Context) -> Element | None:
    """Identifier with its system always set; ``use`` is old when it had expired at the message's time."""
    value = str(cx[1])
    if not value:
        return None
    namespace, universal, kind = cx[4][1], cx[4][2], cx[4][3]
    kind_code = token(cx[5]).upper()
    period = dr_to_period(cx[7], cx[8], context)
    oid = next((str(part) for part in (universal, namespace) if is_ins_oid(str(part))), "")
    if oid and kind_code != "NH":
        identifier = ins_identifier(oid, value.replace(" ", ""))
    else:
        # Under the INS's OID the type NH means the number used for billing, which is no INS.
        system = f"urn:oid:{NIR_BILLING_OID}" if oid else hd_to_uri(namespace, universal, kind, context)
        identifier = {
            "type": context.table_concept("0203", kind_code) if kind_code else None,
            "system": system or context.default_system,
            "value": value,
            "assigner": {"display": str(namespace)},
        }
    if period and (end := period.get("end")) and end[:10] < context.date:
        identifier["use"] = "old"
    result: Element | None = prune(identifier | {"period": period})
    return result


def ei_to_identifier(ei: Field, context: Context, kind: str = "") -> Element | None:
    """Identifier of an order, document or result; a bare OID or UUID is its own identifier.

    ``kind`` is a code of table 0203: PLAC, FILL.
    """
    value = str(ei[1])
    if not value:
        return None
    coding = {"system": IDENTIFIER_TYPE_SYSTEM, "code": kind}
    if OID.fullmatch(value) and value.count(".") > 3:
        system, value = URI_SYSTEM, f"urn:oid:{value}"
    elif UUID.fullmatch(value.removeprefix("urn:uuid:")):
        system, value = URI_SYSTEM, f"urn:uuid:{value.removeprefix('urn:uuid:').lower()}"
    else:
        system = hd_to_uri(ei[2], ei[3], ei[4], context) or context.default_system
    return {"type": {"coding": [coding]}, "system": system, "value": value} if kind else {
        "system": system,
        "value": value,
    }  # fmt: skip


def xpn_to_human_name(xpn: Field, context: Context) -> Element | None:
    given, further = xpn[2].text, xpn[3].text
    birth_list = None
    if given and (further == given or further.upper().startswith(f"{given.upper()} ")):
        # French identities repeat the first given name in XPN.3, followed by the others of the birth record.
        birth_list = [{"url": BIRTH_GIVEN_NAMES, "valueString": further}]
        further = ""
    name: Element | None = prune(
        {
            "extension": birth_list,
            "use": _soft(xpn[7], NAME_USE),
            "family": str(xpn[1][1]),
            "given": [given, further],
            "prefix": [xpn[5].text],
            "suffix": [xpn[4].text, xpn[6].text, xpn[14].text],
            "period": dr_to_period(xpn[12] or xpn[10][1], xpn[13] or xpn[10][2], context),
        }
    )
    return name if name and (name.keys() - {"use", "period"}) else None


def xad_to_address(xad: Field, context: Context) -> Element | None:
    kind = str(xad[7]).upper()
    street = " ".join(filter(None, (str(xad[1][3]), str(xad[1][2])))) if xad[1][2] else ""
    address: Element | None = prune(
        {
            "use": ADDRESS_USE.get(kind),
            "type": ADDRESS_TYPE.get(kind),
            "line": [
                str(xad[1][1]),
                street if street not in str(xad[1][1]) else "",
                xad[2].text,
                xad[19].text,
            ],
            "city": xad[3].text,
            "district": str(xad[9]),
            "state": xad[4].text,
            "postalCode": str(xad[5]),
            "country": str(xad[6]),
            "period": dr_to_period(xad[13] or xad[12][1], xad[14] or xad[12][2], context),
        }
    )
    return address if address and (address.keys() - {"use", "type", "period"}) else None


def xtn_to_contact_point(xtn: Field, context: Context, use: str | None = None) -> Element | None:
    equipment = str(xtn[3]).upper()
    system = TELECOM_SYSTEM.get(equipment)
    address = str(xtn[4])
    if address and (system == "email" or "@" in address or not equipment):
        system, value = "email", address
    else:
        value = str(xtn[12]) or str(xtn[1]) or _number(xtn)
    if not value:
        return None
    if "@" in value and system in {None, "phone"}:
        system = "email"
    rank = str(xtn[18])
    point: Element | None = prune(
        {
            "system": system or "phone",
            "value": value,
            "use": "mobile" if equipment == "CP" else _soft(xtn[2], TELECOM_USE) or use,
            "rank": int(rank) if rank.isascii() and rank.isdigit() and int(rank) > 0 else None,
            "period": dr_to_period(xtn[13], xtn[14], context),
        }
    )
    return point


def telecom(segment: Segment, number: int, context: Context, use: str | None = None) -> list[Element]:
    points = (xtn_to_contact_point(xtn, context, use) for xtn in segment.all(number))
    return [point for point in points if point]


def coding_system(name: Field, oid: Field, context: Context) -> str | None:
    """The URI of CWE.3 (or of the OID in CWE.14); one that is unknown is the source's own."""
    if OID.fullmatch(str(oid)):
        return system_of_oid(str(oid))
    sent = str(name)
    if not sent:
        return None
    return system_of_name(sent) or context.own_system(sent)


def cwe_to_codings(cwe: Field, context: Context, table: str = "") -> list[Element]:
    """The up to three codings of a CWE (CE, CNE, CF); ``table`` (``0063``) is that of a code sent without a
    system."""
    codings = []
    for code, display, name, version, oid in ((1, 2, 3, 7, 14), (4, 5, 6, 8, 17), (10, 11, 12, 13, 20)):
        if value := " ".join(cwe[code].text.split()):
            system = coding_system(cwe[name], cwe[oid], context)
            if system is None and table and code == 1:
                system = f"{_TABLE}{table}"
            coding = {
                "system": system,
                "version": str(cwe[version]),
                "code": value,
                "display": cwe[display].text,
            }
            if system and system.startswith(_TABLE):
                coding |= context.table_coding(system.removeprefix(_TABLE), value)
            codings.append(prune(coding))
    return codings


def cwe_to_codeable_concept(cwe: Field, context: Context, table: str = "") -> Element | None:
    """CodeableConcept; ``table`` as in ``cwe_to_codings``.

    The words that a sender has for a code of an HL7 table are the text: the code's own display is HL7's.
    """
    if not cwe.raw:
        return None
    codings = cwe_to_codings(cwe, context, table)
    words = [cwe[9].text or ("" if codings else cwe[2].text)]
    words += [c.pop("display", "") for c in codings if c.get("system", "").startswith(_TABLE)]
    concept: Element | None = prune(
        {"coding": codings, "text": "; ".join(dict.fromkeys(filter(None, words)))}
    )
    return concept


def coded_by(method: Field, concept: Element | None, context: Context) -> Element | None:
    """The concept, whose first code is of the system in DG1-2 or PR1-2 where it names none itself."""
    for coding in (concept or {}).get("coding", ())[:1]:
        if "system" not in coding and (system := coding_system(method, method[99], context)):
            coding |= {"system": system}
    return concept


def concept_text(concept: Element | None) -> str:
    """A CodeableConcept as people read it: its text, else what its first coding shows."""
    if concept is None:
        return ""
    coding = concept.get("coding", [{}])[0]
    return str(concept.get("text") or coding.get("display") or coding.get("code", ""))


def translated(
    cwe: Field, context: Context, table: dict[str, str], system: str, number: str
) -> Element | None:
    """CodeableConcept with the FHIR coding first and the code as sent after it."""
    concept = cwe_to_codeable_concept(cwe, context, number)
    mapped = table.get(str(cwe[1]).upper())
    if concept and mapped:
        concept["coding"] = [{"system": system, "code": mapped}, *concept.get("coding", [])]
    return concept


def quantity(text: str, units: Field, context: Context) -> Element | None:
    """Quantity of a number, with the comparator or decimal comma it may have; None when it is no number."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    comparator, sign, digits, exponent = match.groups()
    number = digits.replace(",", ".").rstrip(".") if digits[-1] in ".," else digits.replace(",", ".")
    value = Decimal(("-" if sign == "-" else "") + (f"0{number}" if number.startswith(".") else number))
    if exponent:
        value = Decimal(f"{value}{exponent}")
    result: Element | None = prune({"value": value, "comparator": comparator, **unit(units, context)})
    return result


def unit(units: Field, context: Context) -> Element:
    """The unit elements of a Quantity; code and system only when the system is a known one."""
    code, display = token(units[1]), units[2].text
    if str(units[3]).upper() in SYSTEM_OF_NAME:
        return {"unit": display or code, "system": coding_system(units[3], units[14], context), "code": code}
    return {"unit": display or code}


def _soft(value: Field, table: dict[str, str]) -> str | None:
    """A use code; the official tables leave many codes without one, and that is no defect."""
    return table.get(str(value).upper())


def _number(xtn: Field) -> str:
    country, area, local, extension = (str(xtn[n]) for n in (5, 6, 7, 8))
    if not local:
        return ""
    country = f"+{country.lstrip('+')}" if country else ""
    return " ".join(filter(None, (country, area, local, f"X{extension}" if extension else "")))
