"""Where the links of a narrative lead. https://hl7.org/fhir/R4/narrative.html#id"""

import re
from collections.abc import Iterator
from typing import Any

from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Scope

_LINKS = re.compile(r"""<a\s[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_ANCHORS = re.compile(r"""\s(?:id|name)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):").match
_FOLLOWED = frozenset(("http", "https", "ftp", "sftp", "mailto", "tel", "sms", "fax", "data", "file", "cid"))


class NarrativeLinks:
    """A link can be followed, and one inside (``#a``) leads to something in the resource."""

    silent = True

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if not scope.report.advice or not well_formed:
            return
        place, there = (node, ".div"), None
        for found in _LINKS.findall(value["div"]):
            link = "".join(found)
            scheme = _SCHEME(link)
            if scheme and scheme[1].lower() not in _FOLLOWED:
                values = {"value": shown(link), "scheme": scheme[1]}
                scope.report.strict(place, "value", "link-scheme", **values)
            elif link.startswith("#") and len(link) > 1:
                there = set(_anchors(scope.root)) if there is None else there
                if link[1:] not in there:
                    scope.report.strict(place, "not-found", "link-dead", value=shown(link))


def _anchors(value: Any) -> Iterator[str]:
    """What a link may lead to: ids of elements and contained resources, anchors of all narratives."""
    if type(value) is dict:
        if type(value.get("id")) is str:
            yield value["id"]
        if type(value.get("div")) is str:
            yield from ("".join(found) for found in _ANCHORS.findall(value["div"]))
        for item in value.values():
            yield from _anchors(item)
    elif type(value) is list:
        for item in value:
            yield from _anchors(item)
