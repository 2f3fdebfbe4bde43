"""The French national health identity (INS). https://interop.esante.gouv.fr/ins, fr-core-patient-ins"""

import re
from typing import Final

from mappings.core.result import Element

INS_TYPES: Final = {
    "1.2.250.1.213.1.4.8": ("INS-NIR", "official"),
    "1.2.250.1.213.1.4.9": ("INS-NIA", "temp"),
    "1.2.250.1.213.1.4.10": ("INS-NIR-TEST", "official"),
    "1.2.250.1.213.1.4.11": ("INS-NIR-DEMO", "official"),
}
"""OID of each kind of INS -> its identifier type code and Identifier.use."""

INS_TEST_OIDS: Final = frozenset({"1.2.250.1.213.1.4.10", "1.2.250.1.213.1.4.11"})
"""Kinds of INS that are no person's: official samples have wrong keys under them, so it is a hint."""

IDENTIFIER_TYPE_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
FR_IDENTIFIER_TYPE_SYSTEM: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"

IDENTITY_STATUS_SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/v2-0445"
FR_IDENTITY_STATUS_SYSTEM: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0445"
_IDENTITY_STATUS: Final = frozenset(("AL", "UA", "UD", "US"))

NIR_BILLING_OID: Final = "1.2.250.1.213.1.4.13"
"""The social-security number used for billing: same digits, but not an INS."""

PROFESSIONAL_OID: Final = "1.2.250.1.71.4.2.1"
"""Identifiers of French health professionals (PS_IdNat; type IDNPS)."""

STRUCTURE_OID: Final = "1.2.250.1.71.4.2.2"
"""Identifiers of French health structures (Struct_IdNat; type IDNST)."""

_MATRICULE = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{8}")


def has_valid_key(ins: str) -> bool:
    """Tell whether 15 characters are an INS whose last two are its key: 97 - (first 13 mod 97).

    Corsican departments 2A and 2B count as 19 and 18 in the arithmetic.
    """
    if not _MATRICULE.fullmatch(ins):
        return False
    number = ins[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(number) % 97 == int(ins[13:])


def is_ins_oid(oid: str) -> bool:
    return oid in INS_TYPES


def identity_status(code: str) -> Element:
    """Code how reliable an identity is (PID-32): HL7's codes, and France's (VALI, PROV, QUAL, DOUT ...)."""
    known = code in _IDENTITY_STATUS
    return {"system": IDENTITY_STATUS_SYSTEM if known else FR_IDENTITY_STATUS_SYSTEM, "code": code}


def is_ins(identifier: Element) -> bool:
    """Tell whether an Identifier's system is one of the INS systems, whatever its key."""
    return str(identifier.get("system", "")).removeprefix("urn:oid:") in INS_TYPES


def ins_identifier(oid: str, value: str) -> Element:
    """Build the Identifier of an INS. Raises KeyError when the OID is not one of ``INS_TYPES``."""
    code, use = INS_TYPES[oid]
    return {
        "use": use,
        "type": {"coding": [{"system": FR_IDENTIFIER_TYPE_SYSTEM, "code": code}]},
        "system": f"urn:oid:{oid}",
        "value": value,
    }


def ins_values(identifiers: list[Element]) -> set[str]:
    """The INS numbers among Identifiers; two records of one person must not have disjoint ones."""
    return {i["value"] for i in identifiers if is_ins(i) and i.get("value")}
