"""Where in a body the element of a FHIRPath stands: its line and column, as editors count them, from 1."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from xml.parsers import expat

from fhirserver.errors import Issue

LARGEST = 16 * 1024 * 1024
"""Larger bodies are not looked through: a refusal must not cost more than what it refuses."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CHOICE = re.compile(r"\.ofType\((\w)(\w*)\)")
_LAST = re.compile(r"(?:\.[^.\[]*|\[\d+\])$")
_STEP = re.compile(r"([^.\[]+)(?:\[(\d+)\])?")


def located(issues: Iterable[Issue], body: bytes, *, within: str = "") -> list[Issue]:
    """The issues with line and column, those that name an element; the nearest element above one that is not
    there. ``within`` is the way from the root of the body to the resource (``parameter[0].resource``).

    Bodies that are neither JSON nor XML leave the issues as they are.
    """
    issues = list(issues)
    paths = {i.expression: _path(i.expression, within) for i in issues if i.rule and i.expression}
    if not paths or len(body) > LARGEST:
        return issues
    xml = body.lstrip()[:1] == b"<"
    wanted = {above for path in paths.values() for above in _above(_indexed(path) if xml else path)}
    found = _in_xml(body, wanted) if xml else _in_json(body, wanted)
    placed = []
    for issue in issues:
        path = paths.get(issue.expression)
        if path is None or issue.line:
            placed.append(issue)
            continue
        place = next((found[a] for a in _above(_indexed(path) if xml else path) if a in found), (0, 0))
        placed.append(replace(issue, line=place[0], column=place[1]))
    return placed


def _path(expression: str, within: str) -> str:
    """``Observation.value.ofType(Quantity).unit`` -> ``.valueQuantity.unit``"""
    below = expression.partition(".")[2]
    named = _CHOICE.sub(lambda m: m[1].upper() + m[2], "." + below if below else "")
    return ("." + within if within else "") + named


def _above(path: str) -> list[str]:
    """The path and those above it, the root ("") last."""
    found = [path]
    while path:
        path = _LAST.sub("", path) if _LAST.search(path) else ""
        found.append(path)
    return found


def _indexed(path: str) -> str:
    """Every step with its number: XML does not tell a single element from the first of several."""
    return "".join(f".{name}[{index or 0}]" for name, index in _STEP.findall(path.lstrip(".")))


def _in_json(body: bytes, wanted: set[str]) -> Mapping[str, tuple[int, int]]:
    offsets: dict[str, int] = {}
    stack: list[list[int]] = []  # of arrays: the index; of objects: nothing
    paths = [""]  # of what encloses
    here, key = "", False
    for token in _TOKEN.finditer(body):
        text = token[0]
        if text == b"," or text == b":":
            key = text == b"," and bool(stack) and not stack[-1]
            if text == b"," and stack and stack[-1]:
                stack[-1][0] += 1
                here = f"{paths[-1]}[{stack[-1][0]}]"
            continue
        if text in (b"}", b"]"):
            if stack:
                stack.pop()
                paths.pop()
            continue
        if key:
            name = text.strip(b'"').decode("utf-8", "replace")
            here, key = f"{paths[-1]}.{name.removeprefix('_')}", False
            if here in wanted:
                offsets.setdefault(here, token.start())
            continue
        if here in wanted:
            offsets.setdefault(here, token.start())
        if text == b"{":
            stack.append([])
            paths.append(here)
            key = True
        elif text == b"[":
            stack.append([0])
            paths.append(here)
            here += "[0]"
    return {path: _place(body, offset) for path, offset in offsets.items()}


def _place(body: bytes, offset: int) -> tuple[int, int]:
    start = body.rfind(b"\n", 0, offset) + 1
    return body.count(b"\n", 0, offset) + 1, len(body[start:offset].decode("utf-8", "replace")) + 1


def _in_xml(body: bytes, wanted: set[str]) -> Mapping[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    paths: list[str] = []
    counts: list[dict[str, int]] = [{}]
    parser = expat.ParserCreate(namespace_separator="|")

    def start(name: str, attributes: Mapping[str, str]) -> None:
        local = name.rpartition("|")[2]
        if not paths or local[:1].isupper():
            path = paths[-1] if paths else ""  # the resource itself, which has no step of its own
        else:
            index = counts[-1][local] = counts[-1].get(local, -1) + 1
            path = f"{paths[-1]}.{local}[{index}]"
        paths.append(path)
        counts.append({})
        if path in wanted:
            found.setdefault(path, (parser.CurrentLineNumber, parser.CurrentColumnNumber + 1))

    def end(name: str) -> None:
        paths.pop()
        counts.pop()

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        return found  # as far as it can be read
    return found
