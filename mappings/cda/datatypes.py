"""The HL7 v3 data types: one function per pair of types, named for both.

https://hl7.org/fhir/R4/datatypes.html; French usage: CI-SIS, volet Structuration minimale de documents.
"""

import re
from decimal import Decimal, InvalidOperation

from mappings.cda.context import Context
from mappings.cda.xml import Node, text_of
from mappings.core.bundle import prune
from mappings.core.codes import OID, SYSTEM_OF_OID, UUID, system_of_name, system_of_oid
from mappings.core.identity import ins_identifier, is_ins_oid
from mappings.core.result import Element
from mappings.core.times import HL7Time, NotATime, parse

URI = "urn:ietf:rfc:3986"
UCUM = "http://unitsofmeasure.org"
BIRTH_GIVEN_NAMES = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-birth-list-given-name"
EMAIL_TYPE = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
EMAIL_TYPES = "https://mos.esante.gouv.fr/NOS/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_ABSENT_REASON = {
    "UNK": "unknown",
    "NI": "unknown",
    "ASKU": "asked-unknown",
    "NASK": "not-asked",
    "NAV": "temp-unknown",
    "MSK": "masked",
    "NA": "not-applicable",
    "OTH": "unsupported",
}
"""v3 NullFlavor -> data-absent-reason."""

_HL7_SYSTEMS = tuple(f"http://terminology.hl7.org/CodeSystem/{version}-" for version in ("v2", "v3"))
_OFFSET = re.compile(r"[+-][0-9]+$")
_ADDRESS_USE = {
    "H": "home",
    "HP": "home",
    "HV": "temp",
    "TMP": "temp",
    "WP": "work",
    "DIR": "work",
    "BAD": "old",
}
_TELECOM_USE = {
    "H": "home",
    "HP": "home",
    "MC": "mobile",
    "WP": "work",
    "DIR": "work",
    "TMP": "temp",
    "BAD": "old",
}
_TELECOM_SYSTEM = {
    "tel": "phone",
    "mailto": "email",
    "fax": "fax",
    "http": "url",
    "https": "url",
    "sms": "sms",
}
_UCUM_UNIT = re.compile(r"[!-~]+")


def data_absent(null_flavor: str | None) -> Element:
    """The element that says why there is no value."""
    reason = _ABSENT_REASON.get(null_flavor or "UNK", "unknown")
    return {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": reason}]}


def ii_to_identifier(node: Node) -> Element | None:
    """II -> Identifier; None for a nullFlavor, an empty one, or a root that is neither an OID nor a UUID."""
    root, extension = (node.get("root") or "").strip(), (node.get("extension") or "").strip()
    if extension and is_ins_oid(root):
        return ins_identifier(root, extension)
    return oid_to_identifier(root, extension)


def oid_to_identifier(root: str, extension: str = "") -> Element | None:
    """A root alone is a URI (``urn:oid:``, ``urn:uuid:`` in lower case); with an extension, the system."""
    if OID.fullmatch(root):
        uri = f"urn:oid:{root}"
    elif UUID.fullmatch(root):
        uri = f"urn:uuid:{root.lower()}"
    else:
        return None
    return {"system": uri, "value": extension} if extension else {"system": URI, "value": uri}


def ii_to_identifiers(nodes: list[Node]) -> list[Element]:
    return [identifier for node in nodes if (identifier := ii_to_identifier(node))]


def cd_to_coding(node: Node, context: Context) -> Element | None:
    """CD (the code itself, without its translations) -> Coding."""
    code = (node.get("code") or "").strip()
    if not code:
        return None
    oid, name = (node.get("codeSystem") or "").strip(), (node.get("codeSystemName") or "").strip()
    coding = {
        "system": _system(oid, name, node, context),
        "version": (node.get("codeSystemVersion") or "").strip(),
        "code": code,
        "display": (node.get("displayName") or "").strip(),
    }
    return {key: value for key, value in coding.items() if value}


def _system(oid: str, name: str, node: Node, context: Context) -> str | None:
    named = system_of_name(name)
    if OID.fullmatch(oid):
        system = system_of_oid(oid)
        if oid not in SYSTEM_OF_OID and named not in (None, system):
            context.warn(node, f"codeSystem {oid} is not that of {name}; kept as sent", "code-invalid")
        return system
    if named is not None:
        context.warn(node, f"codeSystem {oid!r} is not an OID; {name} is read from its name", "code-invalid")
    elif oid:
        context.warn(
            node, f"codeSystem {oid!r} is not an OID; the code stays without a system", "code-invalid"
        )
    return named


def cd_to_codings(node: Node, context: Context) -> list[Element]:
    """CD -> Codings: the code, then its translations (which may be all there is)."""
    codings = [cd_to_coding(node, context)]
    codings += [cd_to_coding(translation, context) for translation in node.findall("translation")]
    return [coding for coding in codings if coding]


def cd_to_codeable_concept(node: Node | None, context: Context) -> Element | None:
    """CD/CE/CV -> CodeableConcept; None when there is neither a code nor a text.

    The words that a sender has for a code of HL7's are the text where there is no other: the code's own
    display is HL7's.
    """
    if node is None:
        return None
    concept: Element = {}
    codings = cd_to_codings(node, context)
    words = [c.pop("display", "") for c in codings if c.get("system", "").startswith(_HL7_SYSTEMS)]
    if codings:
        concept["coding"] = codings
    if not codings:
        words = [node.get("displayName", "")]
    if text := context.text(node.find("originalText")) or "; ".join(dict.fromkeys(filter(None, words))):
        concept["text"] = text
    return concept or None


def ts_to_datetime(node: Node | None, context: Context) -> str | None:
    """TS -> dateTime with the precision and the offset that were sent; None when it is no time.

    FHIR wants seconds and an offset beside an hour: seconds are padded; a missing offset is the source's
    zone, with a warning. ``+100`` is read as ``+0100``, with a warning.
    """
    if node is None or (time := _time(node, context)) is None:
        return None
    return _in_zone(node, time, context).date_time()


def ts_to_date(node: Node | None, context: Context) -> str | None:
    """TS -> date: the calendar date as written, never shifted by an offset."""
    time = _time(node, context) if node is not None else None
    return time.date if time else None


def ts_to_instant(node: Node | None, context: Context) -> str | None:
    """TS -> instant; a time without a clock is its first second in the source's zone."""
    if node is None or (time := _time(node, context)) is None:
        return None
    if not time.clock:
        time = HL7Time((time.date + "-01-01")[:10], "00:00:00").in_zone(context.zone)
    return _in_zone(node, time, context).date_time()


def ivl_ts_to_period(node: Node | None, context: Context) -> Element | None:
    """IVL_TS -> Period; a single value is its start."""
    if node is None:
        return None
    period = {
        "start": ts_to_datetime(node.find("low"), context) or ts_to_datetime(node, context),
        "end": ts_to_datetime(node.find("high"), context),
    }
    return {key: value for key, value in period.items() if value} or None


def pq_to_quantity(node: Node | None, context: Context) -> Element | None:
    """PQ -> Quantity with the unit as sent; without a unit (or with ``1``) it is a count and has none."""
    value = "" if node is None else (node.get("value") or "").strip()
    if node is None or not value:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        context.warn(node, f"{value!r} is not a number; it is left out")
        return None
    unit = (node.get("unit") or "").strip()
    quantity: Element = {"value": number}
    if unit and unit != "1":
        quantity["unit"] = unit
        if _UCUM_UNIT.fullmatch(unit):  # PQ.unit is UCUM by definition; free text with blanks is not
            quantity |= {"system": UCUM, "code": unit}
    return quantity


def en_to_human_name(node: Node) -> Element | None:
    """EN/PN without French qualifiers (professionals, relatives) -> HumanName; parts in any order."""
    name = {
        "family": " ".join(_texts(node, "family")),
        "given": _texts(node, "given"),
        "prefix": _texts(node, "prefix"),
        "suffix": _texts(node, "suffix"),
    }
    found = {key: value for key, value in name.items() if value}
    return found or ({"text": text} if (text := text_of(node)) else None)


def pn_to_human_names(node: Node) -> list[Element]:
    """A patient's PN -> HumanNames: one element carries the birth name and the name used.

    ``BR`` marks the birth family name and the first birth given name, ``CL`` (formerly ``SP``) those used; a
    given name without qualifier is the list of all birth given names.
    """
    birth_family, birth_given = _texts(node, "family", "BR"), _texts(node, "given", "BR")
    listed = _texts(node, "given", None)
    official: Element = {
        "use": "official",
        "family": " ".join(birth_family or _texts(node, "family", None)),
        "given": birth_given or listed,
        "prefix": _texts(node, "prefix"),
        "suffix": _texts(node, "suffix"),
    }
    if listed:
        official["extension"] = [{"url": BIRTH_GIVEN_NAMES, "valueString": " ".join(listed)}]
    usual: Element = {
        "use": "usual",
        "family": " ".join(_texts(node, "family", "CL") or _texts(node, "family", "SP")),
        "given": _texts(node, "given", "CL"),
    }
    return [prune(name) for name in (official, usual) if name["family"] or name["given"]]


def ad_to_address(node: Node) -> Element | None:
    """AD -> Address; the parts of a line are joined in French order."""
    if node.get("nullFlavor"):
        return None
    street = " ".join(t for tag in ("houseNumber", "streetNameType", "streetName") for t in _texts(node, tag))
    lines = [*_texts(node, "streetAddressLine"), street]
    lines += [t for tag in ("unitID", "additionalLocator", "postBox", "precinct") for t in _texts(node, tag)]
    address: Element = prune(
        {
            "use": next(
                (_ADDRESS_USE[u] for u in (node.get("use") or "").split() if u in _ADDRESS_USE), None
            ),
            "line": lines,
            "city": " ".join(_texts(node, "city")),
            "district": " ".join(_texts(node, "county")),
            "state": " ".join(_texts(node, "state")),
            "postalCode": " ".join(_texts(node, "postalCode")),
            "country": " ".join(_texts(node, "country")),
        }
    )
    if not address or set(address) == {"use"}:
        return {"text": text} if (text := text_of(node)) else None
    return address


def ad_to_addresses(nodes: list[Node]) -> list[Element]:
    return [address for node in nodes if (address := ad_to_address(node))]


def tel_to_contact_point(node: Node) -> Element | None:
    """TEL -> ContactPoint; the system is the URL's scheme. MSSante mailboxes are marked as such."""
    url = (node.get("value") or "").strip()
    scheme, colon, rest = url.partition(":")
    value = rest.strip() if colon else url
    if not value:
        return None
    system = _TELECOM_SYSTEM.get(scheme.lower() if colon else "", "email" if "@" in value else "phone")
    if system == "url":
        value = url
    uses = (node.get("use") or "").split()
    point: Element = {
        "system": system,
        "value": value,
        "use": next((_TELECOM_USE[use] for use in uses if use in _TELECOM_USE), None),
    }
    if system == "email" and value.lower().endswith(".mssante.fr"):
        point["extension"] = [{"url": EMAIL_TYPE, "valueCoding": {"system": EMAIL_TYPES, "code": "MSSANTE"}}]
    return {key: value for key, value in point.items() if value}


def tel_to_telecom(nodes: list[Node]) -> list[Element]:
    return [point for node in nodes if (point := tel_to_contact_point(node))]


_ANY = object()


def _texts(node: Node, tag: str, qualifier: object = _ANY) -> list[str]:
    """The texts of the parts with this tag; ``qualifier`` None means those without one."""
    parts = node.findall(tag)
    if qualifier is not _ANY:
        parts = [part for part in parts if part.get("qualifier") == qualifier]
    return [text for part in parts if (text := text_of(part))]


def _time(node: Node, context: Context) -> HL7Time | None:
    value = (node.get("value") or "").strip()
    if not value:
        return None
    try:
        time = parse(value)
    except NotATime as error:
        context.warn(node, f"{value!r} is not a time ({error}); it is left out")
        return None
    if (sent := _OFFSET.search(value)) and len(sent[0]) != 5:
        context.warn(node, f"The offset {sent[0]} has not four digits; read as {time.offset}")
    return time


def _in_zone(node: Node, time: HL7Time, context: Context) -> HL7Time:
    if time.clock and not time.offset:
        context.warn(node, f"The time has no offset; read in {context.source.timezone}")
    return time.in_zone(context.zone)
