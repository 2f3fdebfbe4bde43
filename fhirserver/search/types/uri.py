"""Uri parameters, and canonicals wherever they are searched: equal as they are, case and escapes included.

``_profile|http://a/p`` finds every version; one that says its version has ``_profile|http://a/p|1.0`` as
well. https://hl7.org/fhir/R4/search.html#uri, https://hl7.org/fhir/R4/search.html#versions
"""

from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, KeyRange, Keys, Or
from fhirserver.search.text import END
from fhirserver.search.types import sorting
from fhirserver.search.values import escape, shown, split, unescape


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a uri, url, oid, uuid or canonical."""
    url, bar, version = value.partition("|") if type == "canonical" else (value, "", "")
    index.keys.append(f"{code}|{escape(url)}")
    if bar:
        index.keys.append(f"{code}|{escape(url)}|{escape(version)}")
    sorting.note(index, code, value)


def equals(parameter: Parameter, value: str, site: Site) -> Condition:
    return Keys((_key(parameter, value),))


def below(parameter: Parameter, value: str, site: Site) -> Condition:
    """What starts with the value, ``http://acme.org/``; below ``http://a/p|1`` its versions 1, 1.0, 1.1."""
    low = _key(parameter, value)
    _refuse_urn(value)
    if len(split(value, "|")) == 2:
        # 1 is above 1, 1.0 and 1.1, not above 10.
        return Or((Keys((low,)), KeyRange(f"{low}.", f"{low}/")))
    return KeyRange(low, low + END)


def above(parameter: Parameter, value: str, site: Site) -> Condition:
    """What the value starts with, whole steps of the path at a time."""
    _refuse_urn(value)
    whole = _key(parameter, value)
    start = whole.find("://") + 3
    steps = [i for i in range(start, len(whole)) if whole[i] == "/"]
    return Keys(tuple(dict.fromkeys([whole, *(whole[: i + extra] for i in steps for extra in (0, 1))])))


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": equals, "below": below, "above": above}


def _key(parameter: Parameter, value: str) -> str:
    parts = [escape(unescape(part)) for part in split(value, "|")]
    if len(parts) > 2:
        raise BadRequest(f"{shown(value)} has more than one |; a canonical is url or url|version")
    return f"{parameter.code}|{'|'.join(parts)}"


def _refuse_urn(value: str) -> None:
    if "://" not in value:
        raise BadRequest(f"{shown(value)} is not a URL: only URLs have something above and below them")
