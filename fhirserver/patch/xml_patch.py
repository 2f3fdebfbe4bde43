"""XML Patch on the FHIR XML form: https://www.rfc-editor.org/rfc/rfc5261

``sel`` is RFC 5261's own small part of XPath 1.0 (steps down from the root, positions, comparisons with a
text), read and followed here: XPath as a library has it may search a document without end. Predicates may
compare the attribute of a descendant, too (``f:identifier[f:system/@value='urn:x']``), because in FHIR
every value is an attribute. Only narratives have text; they are replaced as a whole (``<div>``).
"""

from collections.abc import Callable, Mapping
from copy import deepcopy

from lxml import etree

from fhirserver.errors import MalformedBody
from fhirserver.model import xml
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.patch.failure import MalformedPatch, PatchFailed, check_count, place
from fhirserver.patch.selectors import NotASelector, Selected, select


def apply_xml_patch(resource: Resource, patch: bytes, definitions: Definitions) -> Resource:
    """The resource with the operations of a ``<diff>`` document applied, in order, to its XML form.

    Raises:
        MalformedPatch: not XML, not a ``<diff>`` of add, replace and remove, or a selector that is none.
        PatchFailed: a selector does not select exactly one node, or the outcome is not FHIR XML.
    """
    operations = _operations(patch)
    root = _parse(xml.format(resource, definitions))
    before = _read(root, definitions)
    for position, operation in enumerate(operations):
        name = etree.QName(operation).localname
        label = place(position, f"{name} {operation.get('sel', '')[:100]}".strip())
        perform = OPERATIONS.get(name)
        if perform is None:
            raise MalformedPatch(f"{label}: an operation is one of {', '.join(OPERATIONS)}")
        if not operation.get("sel"):
            raise MalformedPatch(f"{label}: the attribute sel is missing")
        try:
            found = select(root, operation.get("sel", ""), _namespaces(operation))
        except NotASelector as reason:
            raise MalformedPatch(f"{label}: {reason}") from None
        if len(found) != 1:
            count = f"{len(found)} nodes" if found else "nothing"
            raise PatchFailed(f"{label}: the selector selects {count}; it must select one node")
        try:
            root = perform(operation, found[0], root)
        except ValueError as reason:
            raise PatchFailed(f"{label}: {reason}") from None
    try:
        patched = _read(root, definitions)
    except MalformedBody as error:
        raise PatchFailed(f"The outcome of the patch is not FHIR: {error}") from None
    if "text" in patched and patched["text"] == before.get("text"):
        patched["text"] = resource["text"]  # as it was written, not as this library writes XHTML
    return patched


def _operations(patch: bytes) -> list[etree._Element]:
    try:
        if b"<!DOCTYPE" in patch:
            raise MalformedPatch("A DOCTYPE is not allowed in an XML Patch")
        patch.decode()
        root = _parse(patch)
    except (etree.XMLSyntaxError, UnicodeDecodeError, ValueError) as error:
        raise MalformedPatch(f"The XML Patch is not XML: {error}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise MalformedPatch("A DOCTYPE is not allowed in an XML Patch")
    if etree.QName(root).localname != "diff":
        raise MalformedPatch("The root of an XML Patch is <diff>")
    operations = [child for child in root if isinstance(child.tag, str)]
    check_count(len(operations))
    return operations


def _parse(text: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    return etree.fromstring(text, parser)


def _read(root: etree._Element, definitions: Definitions) -> Resource:
    return xml.parse(etree.tostring(root), definitions)


def _namespaces(operation: etree._Element) -> Mapping[str, str]:
    """Prefixes as they are declared where the operation stands; "" is the default namespace."""
    return {prefix or "": uri for prefix, uri in operation.nsmap.items() if uri}


def _add(operation: etree._Element, found: Selected, root: etree._Element) -> etree._Element:
    attribute, position = operation.get("type"), operation.get("pos")
    target, content = found.element, _children(operation)
    if found.attribute:
        raise ValueError("content is added to an element, or before or after one")
    if attribute:
        if not attribute.startswith("@"):
            raise ValueError("only attributes are added by type; namespaces are those of FHIR")
        if attribute[1:] in target.attrib:
            raise ValueError(f"the attribute {attribute[1:]} is there already")
        target.set(attribute[1:], _text(operation))
        return root
    if not content:
        raise ValueError("there is no element to add")
    parent = target.getparent()
    match position:
        case None:
            target.extend(content)
        case "prepend":
            target[0:0] = content
        case "before" | "after":
            if parent is None:
                raise ValueError("nothing can stand beside the resource")
            at = parent.index(target) + (position == "after")
            parent[at:at] = content
        case _:
            raise ValueError("pos is one of before, after, prepend")
    return root


def _replace(operation: etree._Element, found: Selected, root: etree._Element) -> etree._Element:
    if found.attribute:
        found.element.set(found.attribute, _text(operation))
        return root
    content = _children(operation)
    if len(content) != 1:
        raise ValueError("an element is replaced by exactly one element")
    parent = found.element.getparent()
    if parent is None:
        return content[0]
    parent.replace(found.element, content[0])
    return root


def _remove(operation: etree._Element, found: Selected, root: etree._Element) -> etree._Element:
    """``ws`` has nothing to do: between the elements of FHIR XML there is no white space that counts."""
    if operation.get("ws", "both") not in ("before", "after", "both"):
        raise ValueError("ws is one of before, after, both")
    if found.attribute:
        del found.element.attrib[found.attribute]
        return root
    element = found.element
    parent = element.getparent()
    if parent is None:
        raise ValueError("the resource itself cannot be removed by a patch")
    parent.remove(element)
    # FHIR has no empty elements: what has lost all of its content goes, too.
    while not len(parent) and not parent.attrib and (above := parent.getparent()) is not None:
        above.remove(parent)
        parent = above
    return root


OPERATIONS: Mapping[str, Callable[[etree._Element, Selected, etree._Element], etree._Element]] = {
    "add": _add,
    "replace": _replace,
    "remove": _remove,
}


def _children(operation: etree._Element) -> list[etree._Element]:
    children = [deepcopy(child) for child in operation if isinstance(child.tag, str)]
    for child in children:
        child.tail = None
    return children


def _text(operation: etree._Element) -> str:
    if len(operation):
        raise ValueError("an attribute is set to text, not to elements")
    return operation.text or ""
