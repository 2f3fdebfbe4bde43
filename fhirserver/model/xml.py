"""FHIR XML to the same dicts as JSON, and back, without loss. https://hl7.org/fhir/R4/xml.html

The parser is expat, which opens nothing and knows nothing but the bytes it is given: there is no network or
file access to switch off. A DOCTYPE is refused as it begins, so there are no entities.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from fhirserver.errors import MalformedBody, Unprocessable
from fhirserver.model.definitions import Definitions, Element, Type
from fhirserver.model.json import Resource

MAX_DEPTH = 100

_FHIR = "http://hl7.org/fhir"
_XHTML = "http://www.w3.org/1999/xhtml"
_NUMBERS = frozenset(("decimal", "integer", "unsignedInt", "positiveInt"))

_number = re.compile(r"-?(?:0|[1-9][0-9]{0,4000})(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?").fullmatch
_own_namespace = re.compile(rf"""<div\s(?:[^>]*\s)?xmlns\s*=\s*["']{re.escape(_XHTML)}["']""").match
_is_div = re.compile(r"<(?:[\w.-]+:)?div[\s/>]").match
_illegal = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]").search
_ESCAPES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


class _Node:
    """An XML element; ``source`` is the text of a narrative, only inside one does ``content`` have text."""

    __slots__ = ("attributes", "content", "line", "name", "namespace", "source", "start")

    def __init__(self, name: str, attributes: Mapping[str, str], line: int, start: int) -> None:
        self.namespace, _, self.name = name.rpartition("|")
        self.attributes = attributes
        self.content: list[_Node | str] = []
        self.line = line
        self.start = start
        self.source = ""

    @property
    def children(self) -> Iterator["_Node"]:
        return (child for child in self.content if isinstance(child, _Node))


def parse(body: bytes, definitions: Definitions) -> Resource:
    """Read a resource from XML.

    Raises:
        MalformedBody: not XML, or not a resource by the definitions; says the line.
    """
    root = _read(body)
    return _resource(root, root.name, definitions)


def format(resource: Mapping[str, Any], definitions: Definitions, *, pretty: bool = False) -> bytes:
    """Write a resource as XML, its elements in the order of the definitions.

    Raises:
        Unprocessable: it has what XML cannot say: an element that is not defined, a control character, a
            narrative that is not XHTML.
    """
    writer = _Writer(definitions, pretty)
    writer.resource(resource, 0, f' xmlns="{_FHIR}"')
    text = '<?xml version="1.0" encoding="UTF-8"?>' + writer.text()
    illegal = _illegal(text)
    if illegal:
        raise Unprocessable(f"The resource has the character U+{ord(illegal[0]):04X}, which XML cannot hold")
    return text.encode()


def _read(body: bytes) -> _Node:
    """The elements of a document; comments and processing instructions are left out."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte 0x{body[error.start]:02x}") from None
    parser = expat.ParserCreate("UTF-8", "|")
    parser.buffer_text = True
    stack: list[_Node] = []
    roots: list[_Node] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= MAX_DEPTH:
            raise _wrong(f"nested deeper than {MAX_DEPTH} elements", parser.CurrentLineNumber)
        node = _Node(name, attributes, parser.CurrentLineNumber, parser.CurrentByteIndex)
        (stack[-1].content if stack else roots).append(node)
        stack.append(node)

    def end(_: str) -> None:
        node = stack.pop()
        if node.namespace == _XHTML and not (stack and stack[-1].namespace == _XHTML):
            # Here is where </div> begins, or for <div/> where it ends.
            source = body[node.start : parser.CurrentByteIndex].decode()
            node.source = f"{source}</div>" if _own_namespace(source) and node.content else _xhtml(node, True)

    def characters(text: str) -> None:
        node = stack[-1]
        if node.namespace == _XHTML:
            node.content.append(text)
        elif not text.isspace():
            raise _wrong(f"the text {text.strip()[:40]!r} is not in an attribute", parser.CurrentLineNumber)

    def doctype(*_: object) -> None:
        raise _wrong("a DOCTYPE is not allowed", parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise MalformedBody(f"The body is not XML: {error}") from None
    return roots[0]


def _wrong(text: str, line: int, path: str = "") -> MalformedBody:
    return MalformedBody(f"The body is not FHIR XML: {text} (line {line})", expression=path)


def _resource(node: _Node, path: str, definitions: Definitions) -> Resource:
    if node.namespace != _FHIR:
        raise _wrong(f"<{node.name}> is not in the namespace {_FHIR}", node.line, path)
    if node.name not in definitions.resource_types:
        raise _wrong(f"{node.name!r} is not a resource type of FHIR R4", node.line)
    return {"resourceType": node.name, **_object(node, path, node.name, definitions)}


def _object(node: _Node, path: str, structure: str, definitions: Definitions) -> dict[str, Any]:
    """The JSON object of an element that has the elements of ``structure``."""
    elements = definitions.elements(structure)
    result: dict[str, Any] = {}
    for name, text in node.attributes.items():
        if name not in elements or not elements[name][0].attribute:
            raise _wrong(f"the attribute {name!r} is not defined", node.line, path)
        result[name] = _not_empty(text, name, node, path)
    for child in node.children:
        here = f"{path}.{child.name}"
        element, type = _defined(child, here, structure, elements)
        if type.code == "Resource":
            value: Any = _inner(child, here, definitions)
        elif type.structure:
            value = _object(child, here, type.structure, definitions)
            if not value:
                raise _wrong(f"<{child.name}> is empty", child.line, here)
        elif type.code == "xhtml":
            value = child.source
        else:
            _add_primitive(result, child, here, element, type, definitions)
            continue
        if element.max is None:
            result.setdefault(child.name, []).append(value)
        elif child.name in result:
            raise _wrong(f"<{child.name}> does not repeat", child.line, here)
        else:
            result[child.name] = value
    return result


def _defined(
    child: _Node, path: str, structure: str, elements: Mapping[str, tuple[Element, Type]]
) -> tuple[Element, Type]:
    found = elements.get(child.name)
    if found is None or found[0].attribute:
        raise _wrong(f"{child.name!r} is not an element of {structure}", child.line, path)
    namespace = _XHTML if found[1].code == "xhtml" else _FHIR
    if child.namespace != namespace:
        raise _wrong(f"<{child.name}> is not in the namespace {namespace}", child.line, path)
    return found


def _inner(node: _Node, path: str, definitions: Definitions) -> Resource:
    children = list(node.children)
    if node.attributes or len(children) != 1:
        raise _wrong(f"<{node.name}> holds one resource and nothing else", node.line, path)
    return _resource(children[0], path, definitions)


def _add_primitive(
    result: dict[str, Any], node: _Node, path: str, element: Element, type: Type, definitions: Definitions
) -> None:
    """Put the value into ``name`` and its id and extensions into ``_name``."""
    text = node.attributes.get("value")
    value = None if text is None else _value(_not_empty(text, "value", node, path), type.code, node, path)
    bare = _Node("", {k: v for k, v in node.attributes.items() if k != "value"}, node.line, 0)
    bare.content = node.content
    twin = _object(bare, path, "Element", definitions) or None
    if value is None and twin is None:
        raise _wrong(f"<{node.name}> is empty", node.line, path)
    name, other = node.name, f"_{node.name}"
    if element.max is not None:
        if name in result or other in result:
            raise _wrong(f"<{name}> does not repeat", node.line, path)
        result.update({key: part for key, part in ((name, value), (other, twin)) if part is not None})
        return
    # Both arrays are as long as there are elements; null stands for the part that is missing.
    count = len(result.get(name) or result.get(other) or ())
    for key, part in ((name, value), (other, twin)):
        if key in result:
            result[key].append(part)
        elif part is not None:
            result[key] = [None] * count + [part]


def _value(text: str, type: str, node: _Node, path: str) -> Any:
    if type == "boolean":
        if text.strip() in ("true", "false"):
            return text.strip() == "true"
        raise _wrong(f"{text[:40]!r} is not true or false", node.line, path)
    if type in _NUMBERS:
        found = _number(text.strip())
        if not found:
            raise _wrong(f"{text[:40]!r} is not a number", node.line, path)
        return Decimal(found[0]) if found[1] or found[2] else int(found[0])
    return text


def _not_empty(text: str, name: str, node: _Node, path: str) -> str:
    if not text:
        raise _wrong(f"the attribute {name!r} is empty", node.line, path)
    return text


def _xhtml(node: _Node, root: bool) -> str:
    """A narrative whose namespace is declared further out, with a declaration of its own and no prefixes."""
    attributes = "".join(f" {n.replace(_XML, 'xml:')}={quoteattr(v)}" for n, v in node.attributes.items())
    inner = "".join(escape(part) if isinstance(part, str) else _xhtml(part, False) for part in node.content)
    declaration = f' xmlns="{_XHTML}"' if root else ""
    return f"<{node.name}{declaration}{attributes}" + (f">{inner}</{node.name}>" if inner else "/>")


_XML = "http://www.w3.org/XML/1998/namespace|"


class _Writer:
    """Collects the text of one document."""

    def __init__(self, definitions: Definitions, pretty: bool) -> None:
        self._definitions = definitions
        self._pretty = pretty
        self._parts: list[str] = []

    def text(self) -> str:
        return "".join(self._parts)

    def resource(self, resource: Mapping[str, Any], depth: int, namespace: str = "") -> None:
        type = resource.get("resourceType")
        if type not in self._definitions.resource_types:
            raise Unprocessable(f"{str(type)[:40]!r} is not a resource type of FHIR R4")
        content = {name: value for name, value in resource.items() if name != "resourceType"}
        self._element(type, namespace, content, type, depth)

    def _element(
        self, name: str, attributes: str, content: Mapping[str, Any], structure: str, depth: int
    ) -> None:
        elements = self._definitions.elements(structure)
        for key in content:
            if key not in elements and (key[:1] != "_" or key[1:] not in elements):
                raise Unprocessable(f"{key[:40]!r} is not an element of {structure} and has no XML form")
        children = []
        for key, (element, type) in elements.items():
            if element.attribute and key in content:
                attributes += f" {key}={_quoted(content[key])}"
            elif key in content or f"_{key}" in content:
                children.append((key, type, _pairs(content.get(key), content.get(f"_{key}"))))
        self._line(depth)
        self._parts.append(f"<{name}{attributes}>" if children else f"<{name}{attributes}/>")
        for key, type, pairs in children:
            for value, twin in pairs:
                self._child(key, type, value, twin, depth + 1)
        if children:
            self._line(depth)
            self._parts.append(f"</{name}>")

    def _child(self, name: str, type: Type, value: Any, twin: Any, depth: int) -> None:
        wanted = dict if type.structure or type.code == "Resource" else str | int | Decimal | None
        shaped = isinstance(value, wanted) and isinstance(twin, dict | None)
        if not shaped:
            raise Unprocessable(f"{name} does not have the shape of its definition and has no XML form")
        if type.code == "Resource":
            self._line(depth)
            self._parts.append(f"<{name}>")
            self.resource(value, depth + 1)
            self._line(depth)
            self._parts.append(f"</{name}>")
        elif type.structure:
            self._element(name, "", value, type.structure, depth)
        elif type.code == "xhtml":
            self._line(depth)
            self._parts.append(_embeddable(value))
        else:
            attribute = "" if value is None else f" value={_quoted(value)}"
            self._element(name, attribute, twin or {}, "Element", depth)

    def _line(self, depth: int) -> None:
        if self._pretty:
            self._parts.append("\n" + "  " * depth)


def _pairs(value: Any, twin: Any) -> list[tuple[Any, Any]]:
    """The items of ``name`` and ``_name`` side by side."""
    values = value if isinstance(value, list) else [value]
    twins = twin if isinstance(twin, list) else [twin]
    count = max(len(values), len(twins))
    values, twins = ([*items, *[None] * (count - len(items))] for items in (values, twins))
    return list(zip(values, twins, strict=True))


def _quoted(value: Any) -> str:
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    return '"' + escape(str(value), {**_ESCAPES, '"': "&quot;"}) + '"'


def _embeddable(div: Any) -> str:
    """The narrative as it is, once it is sure that it is one element and in its namespace."""
    text = str(div).strip()
    try:
        root = _read(text.encode())
    except (MalformedBody, UnicodeEncodeError):
        root = None
    if root is None or root.namespace != _XHTML or not _is_div(text):
        raise Unprocessable("The narrative is not one XHTML <div> and has no XML form")
    return text
