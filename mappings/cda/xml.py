"""XML from outside, read without trusting it, and what every reader of CDA needs to walk it."""

import re
from xml.parsers import expat

from lxml import etree

from mappings.core.result import Unreadable

Node = etree._Element

XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 100
LIBXML_TEXT = 10_000_000
_HL7_V3 = "{urn:hl7-org:v3}"
_ROOT = re.compile(
    rb"""(\A[^<]*(?:<[?][^>]*[?]>[^<]*)*<ClinicalDocument(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*?)"""
    rb"""\s+xmlns\s*=\s*(?:"urn:hl7-org:v3"|'urn:hl7-org:v3')(?=[\s/>])"""
)
_TOO_DEEP = etree.XPath(f"boolean({'/*' * (MAX_DEPTH + 1)})")


def parse(
    raw: bytes, *, limit: int = MAX_BYTES, undeclared_prefixes: bool = False, plain: bool = False
) -> Node:
    """Parse a document type free XML document: no DTD, no entities, no network, no comments.

    ``undeclared_prefixes`` reads prefixes without a namespace; any other fault stays one. ``plain`` reads a
    ClinicalDocument without the declaration that its elements have no prefix, where its root has that one:
    ``strip_hl7_namespace`` has next to nothing left to rename, which takes longer than reading.

    Raises:
        Unreadable: too big, not XML, with a document type, nested deeper than ``MAX_DEPTH``.
    """
    if len(raw) > limit:
        raise Unreadable(f"The XML has {len(raw)} bytes; at most {limit} are read")
    # libxml2 refuses a text of 10 million bytes, which an embedded PDF may have. Its limits are lifted only
    # for documents that were seen to have no document type and to be shallow.
    large = len(raw) >= LIBXML_TEXT
    if large:
        _refuse_unsafe(raw)
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=large,
        recover=undeclared_prefixes,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        # White space before the XML declaration is an error that real senders make.
        text = _ROOT.sub(rb"\1", raw, count=1) if plain else raw
        root = etree.fromstring(text.lstrip(), parser)
    except etree.XMLSyntaxError as error:
        if b"<!ENTITY" in raw or b"<!DOCTYPE" in raw:
            raise Unreadable("The XML has a document type declaration, which is refused") from None
        if "XML_PARSE_HUGE" in error.msg:
            raise Unreadable(f"The XML is nested deeper than {MAX_DEPTH} elements") from None
        raise Unreadable(f"The document is not well-formed XML: {error.msg}") from None
    except ValueError:
        raise Unreadable("The document is not XML") from None
    if root is None:
        raise Unreadable("The document is not XML")
    if faults := [entry for entry in parser.error_log if entry.domain_name != "NAMESPACE"]:
        raise Unreadable(f"The document is not well-formed XML: {faults[0].message}")
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("The XML has a document type declaration, which is refused")
    _check_depth(root)
    return root


def local_name(node: Node) -> str:
    """The tag without its namespace or (undeclared) prefix."""
    return str(node.tag).rpartition("}")[2].rpartition(":")[2]


def strip_hl7_namespace(root: Node) -> None:
    """Make the elements of CDA itself plain names, whatever prefix they came with; others stay qualified."""
    for node in root.iter(_HL7_V3 + "*"):
        node.tag = node.tag[len(_HL7_V3) :]


def strip_all_namespaces(root: Node) -> None:
    for node in root.iter():
        node.tag = local_name(node)


def xsi_type(node: Node) -> str:
    """The data type without its prefix: ``CD`` for ``xsi:type="c:CD"``."""
    return (node.get(XSI_TYPE) or "").rpartition(":")[2]


def text_of(node: Node | None) -> str:
    """All text below, white space collapsed."""
    return "" if node is None else " ".join("".join(str(t) for t in node.itertext()).split())


def path(node: Node) -> str:
    """The XPath of an element from the document's root, with positions only where they are needed."""
    steps = []
    current: Node | None = node
    while current is not None:
        parent = current.getparent()
        name = local_name(current)
        if parent is not None and len(siblings := parent.findall(current.tag)) > 1:
            name += f"[{siblings.index(current) + 1}]"
        steps.append(name)
        if name == "ClinicalDocument":
            break
        current = parent
    return "/" + "/".join(reversed(steps))


def _refuse_unsafe(raw: bytes) -> None:
    """Refuse a document type or deep nesting, in one pass that keeps nothing."""
    parser = expat.ParserCreate()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise Unreadable(f"The XML is nested deeper than {MAX_DEPTH} elements")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*declaration: object) -> None:
        raise Unreadable("The XML has a document type declaration, which is refused")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(raw.lstrip(), True)
    except expat.ExpatError as error:
        raise Unreadable(f"The document is not well-formed XML: {expat.ErrorString(error.code)}") from None


def _check_depth(root: Node) -> None:
    if _TOO_DEEP(root):
        raise Unreadable(f"The XML is nested deeper than {MAX_DEPTH} elements")
