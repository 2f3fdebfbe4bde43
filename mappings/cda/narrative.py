"""The narrative of a section (StrucDoc.Text) -> HTML that can do nothing but be read.

Only elements and attributes listed here come out, everything else is text; no script, no style of the sender,
nothing that is loaded from elsewhere. CDA R2, 4.3.5 Narrative Block; CI-SIS volet Structuration minimale.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final
from urllib.parse import quote

import pybase64

from mappings.cda.xml import Node, local_name, text_of

_ELEMENTS: Final = {
    "paragraph": "p",
    "sub": "sub",
    "sup": "sup",
    "caption": "caption",
    "table": "table",
    "thead": "thead",
    "tbody": "tbody",
    "tfoot": "tfoot",
    "colgroup": "colgroup",
    "tr": "tr",
    "th": "th",
    "td": "td",
    "item": "li",
    "content": "span",
    "footnote": "small",
    "ul": "ul",
    "ol": "ol",
    "li": "li",
    "p": "p",
}
"""Element of the narrative -> element of HTML."""

_DROPPED: Final = frozenset({"script", "style", "object", "embed", "iframe", "applet", "template"})
"""What no narrative has, and whose text is no text."""

_STYLES: Final = {
    "bold": "b",
    "emphasis": "i",
    "italics": "i",
    "underline": "u",
    "lrule": "rl",
    "rrule": "rr",
    "toprule": "rt",
    "botrule": "rb",
    "arabic": "l1",
    "littleroman": "li",
    "bigroman": "lI",
    "littlealpha": "la",
    "bigalpha": "lA",
    "disc": "ld",
    "circle": "lc",
    "square": "ls",
}
"""styleCode, in lower case -> class of the page's own style sheet."""

_ALIGN: Final = {"left": "al", "center": "ac", "right": "ar", "justify": "al"}
_SPAN: Final = re.compile(r"[1-9][0-9]{0,2}")
_LINK: Final = re.compile(r"(?:https?|mailto|tel):[^\s\x00-\x1f]+", re.IGNORECASE)
_IMAGES: Final = {
    "image/png": b"\x89PNG",
    "image/jpeg": b"\xff\xd8",
    "image/gif": b"GIF8",
    "image/bmp": b"BM",
}
"""Media types of pictures that are shown, and what their bytes begin with."""


@dataclass(frozen=True, slots=True)
class Media:
    """A file that the narrative shows: of a picture the base64 is kept, of others the type, and where they
    are there their size in bytes."""

    media_type: str
    encoded: str = field(default="", repr=False)
    size: int = 0


def media_of(root: Node) -> dict[str, Media]:
    """The files of a document by the ID that renderMultiMedia names, pictures checked to be pictures."""
    found: dict[str, Media] = {}
    for node in root.iter("regionOfInterest"):
        value = node.find("value")
        if (name := node.get("ID")) and value is not None:
            found.setdefault(name, _media(value))
    for position, node in enumerate(root.iter("observationMedia"), 1):
        if (value := node.find("value")) is not None:
            found.setdefault(node.get("ID") or f"file-{position}", _media(value))
    return found


def to_html(text: Node, media: Mapping[str, Media]) -> str:
    """The inside of a section's text as HTML."""
    return "".join(_inside(text, media))


def _media(value: Node) -> Media:
    media_type = (value.get("mediaType") or "").strip().lower()
    if (value.get("representation") or "").upper() != "B64":
        return Media(media_type)
    start = _IMAGES.get(media_type)
    encoded = "".join(text_of(value).split())
    try:
        data = pybase64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return Media(media_type)
    if start is None:
        return Media(media_type, size=len(data))
    return (
        Media(media_type, pybase64.b64encode_as_string(data)) if data.startswith(start) else Media(media_type)
    )


def _inside(node: Node, media: Mapping[str, Media]) -> Iterator[str]:
    if node.text:
        yield escape(node.text, quote=False)
    for child in node:
        yield from _element(child, media)
        if child.tail:
            yield escape(child.tail, quote=False)


def _element(node: Node, media: Mapping[str, Media]) -> Iterator[str]:
    name = local_name(node)
    match name:
        case "br":
            yield "<br>"
        case "col":
            yield f"<col{_attributes(node)}>"
        case "list":
            yield from _list(node, media)
        case "linkHtml" | "a":
            yield from _link(node, media)
        case "footnoteRef":
            target = escape(node.get("IDREF") or "")
            yield f'<sup><a href="#n-{target}">*</a></sup>'
        case "renderMultiMedia":
            yield from _shown(node, media)
        case _ if name in _DROPPED:
            return
        case _ if name in _ELEMENTS:
            tag = {"delete": "del", "insert": "ins"}.get(node.get("revised") or "", _ELEMENTS[name])
            yield f"<{tag}{_attributes(node)}>"
            yield from _inside(node, media)
            yield f"</{tag}>"
        case _:
            yield from _inside(node, media)


def _list(node: Node, media: Mapping[str, Media]) -> Iterator[str]:
    """The caption of a list stands before it: HTML lists have none."""
    tag = "ol" if (node.get("listType") or "").lower() == "ordered" else "ul"
    for caption in node.findall("caption"):
        yield f'<p class="b">{"".join(_inside(caption, media))}</p>'
    yield f"<{tag}{_attributes(node)}>"
    for item in node:
        if local_name(item) != "caption":
            yield from _element(item, media)
    yield f"</{tag}>"


def _link(node: Node, media: Mapping[str, Media]) -> Iterator[str]:
    """A place in the page or an address that is opened when somebody asks for it; any other is text."""
    target = (node.get("href") or "").strip()
    if target.startswith("#"):
        opening = f'<a href="#n-{escape(target[1:])}">'
    elif _LINK.fullmatch(target):
        opening = f'<a href="{escape(target)}" rel="noopener noreferrer nofollow">'
    else:
        opening = "<span>"
    yield opening
    yield from _inside(node, media)
    yield "</a>" if opening.startswith("<a") else "</span>"


def _shown(node: Node, media: Mapping[str, Media]) -> Iterator[str]:
    """The pictures themselves, and links to other files; of one without content that it is not there."""
    caption = text_of(node.find("caption"))
    for name in (node.get("referencedObject") or "").split():
        found = media.get(name)
        if found is not None and found.encoded:
            source = f"data:{found.media_type};base64,{found.encoded}"
            yield f'<img alt="{escape(caption or name)}" src="{source}">'
        elif found is not None and found.size:
            yield file_link(name, found, caption)
        else:
            kind = found.media_type if found is not None else ""
            yield f'<span class="m">[{escape(" ".join(filter(None, (caption or name, kind))))}]</span>'


def file_link(name: str, file: Media, title: str) -> str:
    """A link to a file of the document: the page's own address with ``attachment=name``."""
    size = f"{max(1, file.size // 1024)} Ko"
    kind = file.media_type.rpartition("/")[2].upper()
    text = escape(f"{title or name} ({kind}, {size})")
    return f'<a href="?attachment={quote(name, safe="")}">{text}</a>'


def _attributes(node: Node) -> str:
    """The identifier to link to, how many cells it spans, and classes for what styleCode and align say."""
    found = ""
    if name := node.get("ID"):
        found += f' id="n-{escape(name)}"'
    for span in ("colspan", "rowspan", "span"):
        if _SPAN.fullmatch(value := (node.get(span) or "").strip()):
            found += f' {span}="{value}"'
    codes = [code.lower() for code in (node.get("styleCode") or "").split()]
    classes = [_STYLES[code] for code in codes if code in _STYLES]
    if (align := (node.get("align") or "").lower()) in _ALIGN:
        classes.append(_ALIGN[align])
    return found + (f' class="{" ".join(dict.fromkeys(classes))}"' if classes else "")
