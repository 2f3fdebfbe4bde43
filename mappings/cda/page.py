"""A CDA document as an HTML page for people: who, when, by whom, then the sections' narrative.

The page stands alone: no script, one style sheet of ours (``STYLE_HASH`` is for the Content-Security-Policy),
pictures inline.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Final

from mappings.cda.attachments import attachments
from mappings.cda.document import ClinicalDocument
from mappings.cda.narrative import Media, file_link, media_of, to_html
from mappings.cda.xml import Node, text_of
from mappings.core.identity import INS_TYPES
from mappings.core.times import HL7Time, NotATime, parse

STYLE: Final = """
body{font:16px/1.45 system-ui,sans-serif;max-width:60rem;margin:1rem auto;padding:0 1rem;color:#1b1b1f}
header{border-bottom:2px solid #5a6478;margin-bottom:1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0 1rem}
dt{color:#5a6478}dd{margin:0}
table{border-collapse:collapse;margin:.5rem 0;max-width:100%}
th,td{border:1px solid #b9c0cc;padding:.2rem .5rem;text-align:left;vertical-align:top}
th{background:#eef1f5}caption{text-align:left;font-weight:600}
section section{margin-left:1rem}img{max-width:100%}
.b{font-weight:700}.i{font-style:italic}.u{text-decoration:underline}
.rl{border-left:1px solid}.rr{border-right:1px solid}.rt{border-top:1px solid}.rb{border-bottom:1px solid}
.l1{list-style:decimal}.li{list-style:lower-roman}.lI{list-style:upper-roman}.la{list-style:lower-alpha}
.lA{list-style:upper-alpha}.ld{list-style:disc}.lc{list-style:circle}.ls{list-style:square}
.al{text-align:left}.ac{text-align:center}.ar{text-align:right}.m{color:#5a6478}
@media print{body{margin:0;max-width:none}}
"""
STYLE_HASH: Final = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_GENDER: Final = {"M": "masculin", "F": "féminin"}
_DEEPEST: Final = 6


def to_page(document: ClinicalDocument) -> bytes:
    """The document as a page in UTF-8; one without sections says so."""
    title = document.title or "Document"
    language = document.language if document.language.replace("-", "").isalpha() else "fr"
    media = media_of(document.root)
    sections = document.root.findall("component/structuredBody/component/section")
    body = "".join(part for section in sections for part in _section(section, media, 2))
    page = (
        f'<!DOCTYPE html><html lang="{escape(language or "fr")}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<header><h1>{escape(title)}</h1><dl>{''.join(_facts(document.root))}</dl></header>"
        f"<main>{body or '<p>Ce document n’a pas de texte.</p>'}{''.join(_files(document, media))}</main>"
        "</body></html>"
    )
    return page.encode("utf-8", "replace")


def _files(document: ClinicalDocument, media: Mapping[str, Media]) -> Iterator[str]:
    """Links to the files that are attached and no pictures, whether or not the narrative mentions them."""
    titles = {name: file.title for name, file in attachments(document).items()}
    links = [file_link(name, media[name], title) for name, title in titles.items() if media[name].size]
    if links:
        yield f"<section><h2>Pièces jointes</h2><ul><li>{'</li><li>'.join(links)}</li></ul></section>"


def _section(section: Node, media: Mapping[str, Media], depth: int) -> Iterator[str]:
    yield "<section>"
    if title := text_of(section.find("title")):
        level = min(depth, _DEEPEST)
        yield f"<h{level}>{escape(title)}</h{level}>"
    if (text := section.find("text")) is not None:
        yield f"<div>{to_html(text, media)}</div>"
    for inner in section.findall("component/section"):
        yield from _section(inner, media, depth + 1)
    yield "</section>"


def _facts(root: Node) -> Iterator[str]:
    """Who the document is about, its date, its authors, who answers for it."""
    role = root.find("recordTarget/patientRole")
    if role is not None:
        yield from _fact("Patient", _patient_name(role.find("patient/name")))
        yield from _fact("Né(e) le", _day(_value(role.find("patient/birthTime"))))
        gender = role.find("patient/administrativeGenderCode")
        yield from _fact("Sexe", _GENDER.get("" if gender is None else gender.get("code") or "", ""))
        ins = [node.get("extension") or "" for node in role.findall("id") if node.get("root") in INS_TYPES]
        yield from _fact("INS", ", ".join(filter(None, ins)))
    yield from _fact("Date", _day(_value(root.find("effectiveTime")), clock=True))
    for author in root.findall("author/assignedAuthor"):
        who = _person(author.find("assignedPerson/name")) or text_of(
            author.find("assignedAuthoringDevice/softwareName")
        )
        where = text_of(author.find("representedOrganization/name"))
        yield from _fact("Auteur", ", ".join(filter(None, (who, where))))
    custodian = root.find("custodian/assignedCustodian/representedCustodianOrganization/name")
    yield from _fact("Conservé par", text_of(custodian))
    version = root.find("versionNumber")
    yield from _fact("Version", "" if version is None else version.get("value") or "")


def _fact(name: str, value: str) -> Iterator[str]:
    if value:
        yield f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"


def _patient_name(name: Node | None) -> str:
    """The name used, then the birth name where it is another one."""
    if name is None:
        return ""
    parts = {
        (tag, qualifier): " ".join(
            filter(None, (text_of(n) for n in name.findall(tag) if n.get("qualifier") == qualifier))
        )
        for tag in ("family", "given")
        for qualifier in ("BR", "CL", "SP", None)
    }
    birth = parts["family", "BR"] or parts["family", None]
    used = parts["family", "CL"] or parts["family", "SP"] or birth
    given = parts["given", "CL"] or parts["given", "BR"] or parts["given", None]
    shown = " ".join(filter(None, (given, used))) or text_of(name)
    return f"{shown} (nom de naissance : {birth})" if birth and birth != used else shown


def _person(name: Node | None) -> str:
    if name is None:
        return ""
    parts = (text_of(node) for tag in ("suffix", "given", "family") for node in name.findall(tag))
    return " ".join(filter(None, parts)) or text_of(name)


def _value(node: Node | None) -> str:
    return "" if node is None else (node.get("value") or "").strip()


def _day(value: str, *, clock: bool = False) -> str:
    """A date as it is written in France, as precise as it was sent; what is no time as it stands."""
    try:
        time: HL7Time = parse(value)
    except NotATime:
        return value
    day = "/".join(reversed(time.date.split("-")))
    return f"{day} à {time.clock[:5]}" if clock and time.clock else day
