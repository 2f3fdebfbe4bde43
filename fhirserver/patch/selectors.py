"""The selectors of XML Patch: https://www.rfc-editor.org/rfc/rfc5261#section-4.1"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

_NAME = r"[A-Za-z_][\w.\-]*"
_STEP = re.compile(rf"(?:(?P<prefix>{_NAME}):)?(?P<name>{_NAME}|\*)(?P<predicates>(?:\[[^\]]*\])*)")
_PREDICATE = re.compile(
    rf"\[\s*(?:(?P<position>[1-9]\d{{0,8}})"
    rf"|(?P<path>\.|(?:{_NAME}(?::{_NAME})?/)*(?:@{_NAME}|{_NAME}(?::{_NAME})?))"
    r"\s*=\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"))\s*\]"
)
MAX_LENGTH = 2000
_XHTML = "http://www.w3.org/1999/xhtml"


class NotASelector(Exception):
    """The text is not of the grammar; says why."""


@dataclass(frozen=True, slots=True)
class Selected:
    """An element, or one of its attributes."""

    element: etree._Element
    attribute: str = ""


def select(root: etree._Element, selector: str, namespaces: Mapping[str, str]) -> list[Selected]:
    """The nodes a selector selects in the document of ``root``.

    A name without prefix is in the default namespace of the patch ("" in ``namespaces``), as section 4.2.2
    wants.

    Raises:
        NotASelector: see there.
    """
    if len(selector) > MAX_LENGTH:
        raise NotASelector(f"the selector is longer than {MAX_LENGTH} characters")
    steps = _split(selector.strip().removeprefix("/"))
    last = steps[-1]
    if last.startswith("@"):
        elements = _elements(root, steps[:-1], namespaces)
        return [Selected(e, last[1:]) for e in elements if last[1:] in e.attrib]
    if last.endswith("()"):
        raise NotASelector(f"{last[:40]} is nothing that FHIR XML has outside of narratives")
    return [Selected(e) for e in _elements(root, steps, namespaces)]


def _elements(root: etree._Element, steps: list[str], namespaces: Mapping[str, str]) -> list[etree._Element]:
    if not steps:
        raise NotASelector("the document itself cannot be selected")
    found = _matching([root], steps[0], namespaces)
    for step in steps[1:]:
        found = [child for parent in found for child in _matching(list(parent), step, namespaces)]
    if any(etree.QName(e).namespace == _XHTML and etree.QName(e).localname != "div" for e in found):
        raise NotASelector("a narrative is replaced as a whole, by its <div>")
    return found


def _split(selector: str) -> list[str]:
    """The steps between the slashes that are not in a predicate."""
    steps, depth, quote, start = [], 0, "", 0
    for position, character in enumerate(selector):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[]":
            depth += 1 if character == "[" else -1
        elif character == "/" and depth == 0:
            steps.append(selector[start:position])
            start = position + 1
    return [*steps, selector[start:]]


def _matching(
    elements: list[etree._Element], step: str, namespaces: Mapping[str, str]
) -> list[etree._Element]:
    parts = _STEP.match(step)
    if parts is None:
        raise NotASelector(f"{step[:40]!r} is not a step of a selector")
    name = _qualified(parts["prefix"], parts["name"], namespaces)
    found = [e for e in elements if isinstance(e.tag, str) and (parts["name"] == "*" or e.tag == name)]
    end = parts.end("name")
    while end < len(step):
        predicate = _PREDICATE.match(step, end)
        if predicate is None:
            raise NotASelector(f"{step[end : end + 40]!r} is not a predicate of a selector")
        end = predicate.end()
        if predicate["position"]:
            at = int(predicate["position"]) - 1
            found = found[at : at + 1]
        else:
            wanted = predicate["single"] if predicate["single"] is not None else predicate["double"]
            found = [e for e in found if wanted in _texts(e, predicate["path"], namespaces)]
    return found


def _texts(element: etree._Element, path: str, namespaces: Mapping[str, str]) -> list[str]:
    """The texts that a predicate compares: of an attribute, of the element, or of its children."""
    if path == ".":
        return [_content(element)]
    found = [element]
    *steps, last = path.split("/")
    for step in steps:
        found = [child for parent in found for child in _matching(list(parent), step, namespaces)]
    if last.startswith("@"):
        return [str(e.attrib[last[1:]]) for e in found if last[1:] in e.attrib]
    matching = [child for parent in found for child in _matching(list(parent), last, namespaces)]
    return [_content(child) for child in matching]


def _content(element: etree._Element) -> str:
    return "".join(map(str, element.itertext()))


def _qualified(prefix: str | None, name: str, namespaces: Mapping[str, str]) -> str:
    uri = namespaces.get(prefix or "")
    if uri is None and prefix:
        raise NotASelector(f"the prefix {prefix!r} is not declared in the patch")
    return f"{{{uri}}}{name}" if uri else name
