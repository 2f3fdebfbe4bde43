"""FHIR elements -> the HL7v2 data types inside XDS metadata; each undoes one of ``mappings.xds.datatypes``.

IHE ITI TF-3 4.2.3.1.7, https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html#4.2.3.1.7
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import unquote

from mappings.core.codes import OID, SYSTEM_OF_OID, UUID
from mappings.core.identity import PROFESSIONAL_OID, STRUCTURE_OID, is_ins
from mappings.core.result import Element
from mappings.xds.kept import SCHEME

_OID_OF_SYSTEM: Final = {system: oid for oid, system in reversed(SYSTEM_OF_OID.items())}
_V2_TABLE: Final = re.compile(r"http://terminology\.hl7\.org/CodeSystem/v2-([0-9]{4})")
_ESCAPES: Final = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
_NAME_USE: Final = {"usual": "D", "official": "L", "maiden": "M", "anonymous": "S"}
_GENDER: Final = {"female": "F", "male": "M", "other": "O", "unknown": "U"}
_TYPE: Final = {PROFESSIONAL_OID: "IDNPS", STRUCTURE_OID: "IDNST"}
_SHA1_BYTES: Final = 20
URI: Final = "urn:ietf:rfc:3986"


def escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def oid_of_system(system: str) -> str:
    """The OID of a code or identifier system, or the name that XDS has for it; else the URI itself."""
    if system.startswith(SCHEME):
        return unquote(system.removeprefix(SCHEME))
    if system.startswith("urn:oid:"):
        return system.removeprefix("urn:oid:")
    if found := _V2_TABLE.fullmatch(system):
        return f"2.16.840.1.113883.12.{int(found[1])}"
    return _OID_OF_SYSTEM.get(system, system)


def unique_id(identifier: Element) -> str:
    """Identifier -> uniqueId: ``oid`` or ``oid^extension``; "" when it is neither."""
    system, value = identifier.get("system", ""), str(identifier.get("value", ""))
    if system == URI:
        bare = value.removeprefix("urn:oid:").removeprefix("urn:uuid:")
        if OID.fullmatch(bare):
            return bare
        # https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html: a UUID as an OID is under 2.25
        return f"2.25.{int(bare.replace('-', ''), 16)}" if UUID.fullmatch(bare) else ""
    oid = oid_of_system(system)
    return f"{oid}^{value}" if OID.fullmatch(oid) else ""


def entry_uuid(identifiers: list[Element]) -> str:
    """The entryUUID among identifiers, "" when there is none."""
    values = [
        i.get("value", "") for i in identifiers if i.get("use") == "official" and i.get("system") == URI
    ]
    return next((v.lower() for v in values if UUID.fullmatch(v.removeprefix("urn:uuid:"))), "")


def cx(identifier: Element, kind: str = "") -> str:
    """Identifier -> CX ``id^^^&oid&ISO``; "" without an authority that is an OID.

    XDS has no type in it (TF-3, table 4.2.3.1.7-2), France has NH for an INS.
    """
    oid, value = oid_of_system(identifier.get("system", "")), escape(str(identifier.get("value", "")))
    if not OID.fullmatch(oid) or not value:
        return ""
    kind = kind or ("NH" if is_ins(identifier) else "")
    return f"{value}^^^&{oid}&ISO^{kind}".rstrip("^")


def reference_id(identifier: Element) -> str:
    """context.related.identifier -> CXi, whose fifth component says what it identifies."""
    kind = (identifier.get("type", {}).get("coding") or [{}])[0].get("code", "")
    oid, value = oid_of_system(identifier.get("system", "")), escape(str(identifier.get("value", "")))
    if oid == URI:  # a UID by itself, as that of a study
        value = value.removeprefix("urn:oid:")
    return (
        f"{value}^^^&{oid}&ISO^{kind}".rstrip("^") if OID.fullmatch(oid) else f"{value}^^^^{kind}".rstrip("^")
    )


def dtm(text: str) -> str:
    """date, dateTime, instant -> DTM in UTC, as precise as it was; a leap second, which DTM has not, is the
    second before it."""
    if not text:
        return ""
    if "T" not in text:
        return text.replace("-", "")
    moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(":60", ":59", 1))
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first or last day there is: nothing is left to shift it to
        moment = moment.replace(tzinfo=UTC)
    return f"{moment.year:04}{moment:%m%d%H%M%S}"


def hexadecimal(hash: str) -> str:
    """Attachment.hash -> hash; "" when it is no SHA-1."""
    try:
        raw = base64.b64decode(hash, validate=True)
    except binascii.Error:
        return ""
    return raw.hex() if len(raw) == _SHA1_BYTES else ""


def local_date(text: str) -> str:
    """date -> the date part of a DTM."""
    return text[:10].replace("-", "")


def xpn(name: Element) -> str:
    """HumanName -> XPN."""
    given = [*name.get("given", ()), "", ""]
    parts = [name.get("family", ""), given[0], " ".join(given[1:]).strip()]
    parts += [" ".join(name.get("suffix", ())), " ".join(name.get("prefix", ())), ""]
    return "^".join([*(escape(part) for part in parts), _NAME_USE.get(name.get("use", ""), "")]).rstrip("^")


def xad(address: Element) -> str:
    """Address -> XAD."""
    lines = [*address.get("line", ()), "", ""]
    rest = [address.get(element, "") for element in ("city", "state", "postalCode", "country")]
    return "^".join(escape(part) for part in (lines[0], " ".join(lines[1:]).strip(), *rest)).rstrip("^")


def gender(code: str) -> str:
    return _GENDER.get(code, "")


def xon(organization: Element) -> str:
    """Organization -> XON ``name^^^^^&oid&ISO^type^^^id``."""
    name = escape(organization.get("name", ""))
    oid, value = _numbered(organization)
    if not value:
        return name
    if oid == value:  # an OID by itself
        return f"{name}^^^^^^^^^{value}"
    return f"{name}^^^^^&{oid}&ISO^{_TYPE.get(oid, '')}^^^{escape(value)}"


def xcn(practitioner: Element) -> str:
    """Practitioner, Patient, RelatedPerson -> XCN ``id^family^given^^suffix^prefix^^^&oid&ISO^D^^^type``."""
    name: Element = next(iter(practitioner.get("name", ())), {})
    oid, value = _numbered(practitioner)
    family = name.get("family") or ("" if name.get("given") else name.get("text", ""))
    parts = [escape(value), escape(family), escape(next(iter(name.get("given", ())), ""))]
    parts += ["", escape(" ".join(name.get("suffix", ()))), escape(" ".join(name.get("prefix", ()))), "", ""]
    if not any(parts):
        return ""
    kind = "NH" if oid and is_ins({"system": f"urn:oid:{oid}"}) else _TYPE.get(oid, "")
    authority = f"&{oid}&ISO" if value else ""
    return "^".join([*parts, authority, "D", "", "", kind]).rstrip("^")


def xcn_of_device(device: Element) -> str:
    """Device -> XCN of type U (unspecified): a system."""
    oid, value = _numbered(device)
    name = next((n["name"] for n in device.get("deviceName", ()) if n.get("name")), "")
    if not value and not name:
        return ""
    authority = f"&{oid}&ISO" if value else ""
    return f"{escape(value)}^{escape(name)}^^^^^^^{authority}^U"


def ce(concept: Element) -> str:
    """CodeableConcept -> ``code^display^scheme``; a mere text is a word."""
    coding = next(iter(concept.get("coding", ())), None)
    if coding is None:
        return escape(concept.get("text", ""))
    words = coding.get("display", "") or concept.get("text", "")
    parts = (coding.get("code", ""), words, oid_of_system(coding.get("system", "")))
    return "^".join(escape(part) for part in parts).rstrip("^")


def _numbered(resource: Element) -> tuple[str, str]:
    """Authority and value of the first identifier that has an OID; those this server made do not count."""
    for identifier in resource.get("identifier", ()):
        oid, value = oid_of_system(identifier.get("system", "")), str(identifier.get("value", ""))
        if OID.fullmatch(oid):
            return oid, value
        if identifier.get("system") == URI and OID.fullmatch(bare := value.removeprefix("urn:oid:")):
            return bare, bare
    return "", ""
