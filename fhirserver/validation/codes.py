"""Codes that are not listed by the specification but have a form, and how codes are named in messages."""

import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from fhirserver.model import ucum
from fhirserver.validation.messages import Said

_LISTED = 12
"""So many codes are named in a message."""
_LONGEST = 64

_MIME_PART = r"[A-Za-z0-9!#$&^_.+\-]+"
_mime = re.compile(rf"{_MIME_PART}/{_MIME_PART}(?:\s*;.*)?|xml|json|ttl").fullmatch
_language = re.compile(r"(?:[A-Za-z]{2,3}|[iIxX])(?:-[A-Za-z0-9]{1,8})*").fullmatch

# https://www.six-group.com/en/products-services/financial-information/data-standards.html (ISO 4217)
_LISTED_CURRENCIES = """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD
    CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP
    GEL GGP GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR IQD IRR ISK JEP JMD JOD JPY KES KGS
    KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
    MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK
    SGD SHP SLE SLL SOS SPL SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TVD TWD TZS UAH UGX USD USN
    UYI UYU UYW UZS VED VEF VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XDR XOF XPD XPF XPT XSU XTS XUA
    XXX YER ZAR ZMW ZWD ZWL
"""
_CURRENCIES = frozenset(_LISTED_CURRENCIES.split())

SYNTAXES: dict[str, Callable[[str], bool]] = {
    "urn:ietf:bcp:13": lambda code: _mime(code) is not None,
    "urn:ietf:bcp:47": lambda code: _language(code) is not None,
    "urn:iso:std:iso:4217": _CURRENCIES.__contains__,
    ucum.SYSTEM: ucum.is_valid,
}
"""What a code of a system may look like, where HL7's package does not list its codes."""


def allowed(value: str, codes: Sequence[str], value_set: str) -> Said:
    """The codes for a message, nearest first: all of a small set, the nearest of a large one."""
    near = get_close_matches(value, codes, 3, 0.5) if len(value) <= _LONGEST else []
    name = value_set.rpartition("/")[2]
    if codes and len(codes) <= _LISTED:
        listed = ", ".join([*near, *(code for code in codes if code not in near)])
        return f"one of {listed} ({name})", f"l'un de {listed} ({name})"
    if near:
        listed = ", ".join(near)
        return (
            f"a code of {value_set}; near is {listed}",
            f"un code de {value_set} ; proche : {listed}",
        )
    return f"a code of {value_set}", f"un code de {value_set}"
