"""What a primitive value looks like in JSON. https://hl7.org/fhir/R4/datatypes.html#primitive

Every test takes any JSON value and answers quickly: these functions run for every value that is stored.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pybase64

from fhirserver.validation.messages import Said
from fhirserver.validation.narrative import is_narrative

Test = Callable[[Any], bool]

MAX_STRING = 1024 * 1024
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

_YEAR = "(?!0000)[0-9]{4}"
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = "(0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_date = re.compile(f"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?").fullmatch
_date_time = re.compile(f"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_TIME}{_ZONE})?)?)?").fullmatch
_instant = re.compile(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}").fullmatch
_time = re.compile(_TIME).fullmatch
_id = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
_uuid = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
# White space is that of the specification's regular expressions: a no-break space is none.
_no_space = re.compile(r"[^\x00-\x20]+").fullmatch
_single_spaces = re.compile(r"[^\x00-\x20]+(?: [^\x00-\x20]+)*").fullmatch
_control_character = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]").search


def is_boolean(value: Any) -> bool:
    return value is True or value is False


def is_string(value: Any) -> bool:
    # isprintable() is a tenth of the price of the search, and true for nearly everything.
    return (
        type(value) is str
        and 0 < len(value) <= MAX_STRING
        and (value.isprintable() or _control_character(value) is None)
    )


def is_uri(value: Any) -> bool:
    """Not empty, no white space, an OID where it says to be one.

    ``urn:uuid:`` is often followed by something else in the Bundles of clients; that is a name, too.
    """
    if type(value) is not str:
        return False
    if (" " in value or not value.isprintable() or not value) and _no_space(value) is None:
        return False
    if value[0] not in "uo":
        return True
    if value[:8] == "urn:oid:":
        return _oid(value.partition("|")[0]) is not None
    return not value.startswith(("oid:", "uuid:"))


def is_element_id(value: Any) -> bool:
    return is_uri(value) and len(value) <= MAX_STRING


def is_code(value: Any) -> bool:
    """No white space but single spaces inside."""
    return type(value) is str and (
        (" " not in value and value.isprintable() and value != "") or _single_spaces(value) is not None
    )


def is_id(value: Any) -> bool:
    return type(value) is str and _id(value) is not None


def is_oid(value: Any) -> bool:
    return type(value) is str and _oid(value) is not None


def is_uuid(value: Any) -> bool:
    return type(value) is str and _uuid(value) is not None


def is_decimal(value: Any) -> bool:
    return type(value) is int or (type(value) is Decimal and value.is_finite())


def is_integer(value: Any) -> bool:
    return type(value) is int and -0x80000000 <= value <= 0x7FFFFFFF


def is_unsigned_int(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 0x7FFFFFFF


def is_positive_int(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 0x7FFFFFFF


def is_date(value: Any) -> bool:
    return type(value) is str and _in_calendar(value, _date(value))


def is_date_time(value: Any) -> bool:
    return type(value) is str and _in_calendar(value, _date_time(value))


def is_instant(value: Any) -> bool:
    return type(value) is str and _in_calendar(value, _instant(value))


def is_time(value: Any) -> bool:
    return type(value) is str and _time(value) is not None


def is_base64(value: Any) -> bool:
    """White space in between is allowed."""
    return type(value) is str and (_is_base64(value) or _is_base64("".join(value.split())))


def _is_base64(value: str) -> bool:
    try:
        return bool(pybase64.b64decode(value, validate=True))
    except ValueError:
        return False


def _in_calendar(value: str, found: re.Match[str] | None) -> bool:
    """Whether the day, where there is one, is a day of that month."""
    if found is None:
        return False
    day = found[1]
    if day is None or day < "29" or (day < "31" and value[5:7] != "02"):
        return True
    return int(day) <= monthrange(int(value[:4]), int(value[5:7]))[1]


_STRING = (
    "a string that is not empty, of at most 1 MB, without control characters",
    "une chaîne non vide, d'au plus 1 Mo, sans caractères de contrôle",
)
_URI = (
    "a URI without white space (OIDs and UUIDs as urn:oid: and urn:uuid:)",
    "une URI sans espace (OID et UUID comme urn:oid: et urn:uuid:)",
)

TESTS: dict[str, tuple[Test, Said]] = {
    "base64Binary": (is_base64, ("base64 text", "du texte base64")),
    "boolean": (is_boolean, ("true or false", "true ou false")),
    "canonical": (is_uri, ("a URL without white space", "une URL sans espace")),
    "code": (
        is_code,
        (
            "a code: a string without white space but single spaces inside",
            "un code : une chaîne sans espaces, sauf des espaces simples à l'intérieur",
        ),
    ),
    "date": (
        is_date,
        (
            "a date that exists: YYYY, YYYY-MM or YYYY-MM-DD",
            "une date qui existe : AAAA, AAAA-MM ou AAAA-MM-JJ",
        ),
    ),
    "dateTime": (
        is_date_time,
        (
            "a date that exists, or one with a time and a zone: YYYY, YYYY-MM, YYYY-MM-DD or "
            "YYYY-MM-DDThh:mm:ss+zz:zz",
            "une date qui existe, ou une date avec heure et fuseau : AAAA, AAAA-MM, AAAA-MM-JJ ou "
            "AAAA-MM-JJThh:mm:ss+zz:zz",
        ),
    ),
    "decimal": (is_decimal, ("a number", "un nombre")),
    "id": (
        is_id,
        (
            "an id: 1 to 64 letters A-Z and a-z, digits, - and .",
            "un id : 1 à 64 lettres A-Z et a-z, chiffres, - et .",
        ),
    ),
    "instant": (
        is_instant,
        (
            "an instant that exists: YYYY-MM-DDThh:mm:ss.sss+zz:zz, with its zone",
            "un instant qui existe : AAAA-MM-JJThh:mm:ss.sss+zz:zz, avec son fuseau",
        ),
    ),
    "integer": (
        is_integer,
        (
            "a whole number from -2147483648 to 2147483647",
            "un nombre entier de -2147483648 à 2147483647",
        ),
    ),
    "markdown": (is_string, _STRING),
    "oid": (is_oid, ("an OID such as urn:oid:1.2.3.4", "un OID tel que urn:oid:1.2.3.4")),
    "positiveInt": (
        is_positive_int,
        ("a whole number from 1 to 2147483647", "un nombre entier de 1 à 2147483647"),
    ),
    "string": (is_string, _STRING),
    "time": (is_time, ("a time of day: hh:mm:ss", "une heure : hh:mm:ss")),
    "unsignedInt": (
        is_unsigned_int,
        ("a whole number from 0 to 2147483647", "un nombre entier de 0 à 2147483647"),
    ),
    "uri": (is_uri, _URI),
    "url": (is_uri, ("a URL without white space", "une URL sans espace")),
    "uuid": (
        is_uuid,
        (
            "a UUID in lower case such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
            "un UUID en minuscules tel que urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
        ),
    ),
    "xhtml": (is_narrative, ("a narrative", "un texte narratif")),
}
"""The test of every primitive type, and what it wants."""
