"""The XHTML of a narrative. https://hl7.org/fhir/R4/narrative.html"""

import re
from typing import Any
from xml.parsers import expat

_XHTML = "http://www.w3.org/1999/xhtml"

# txt-1, as the definition lists them
_ELEMENT_NAMES = """
    a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr
    i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
"""
_ATTRIBUTE_NAMES = """
    abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff
    charset cite class colspan compact coords dir frame headers height href hreflang hspace id lang longdesc
    name nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type valign
    value vspace width http://www.w3.org/XML/1998/namespace|lang http://www.w3.org/XML/1998/namespace|space
"""
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_SCRIPT = re.compile(r"[\s\x00-\x1f]*(?:javascript|vbscript|data\s*:\s*text/html)", re.IGNORECASE)


class _Refused(Exception):
    """What is wrong with the narrative, in English and French; thrown through the parser to stop it."""


def is_narrative(value: Any) -> bool:
    return type(value) is str and problem(value) is None


def problem(div: str) -> tuple[str, str] | None:
    """What is wrong with the text of Narrative.div, with the constraint's key, in English and French; None
    when it is fine.
    """
    content = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal content
        namespace, _, local = name.rpartition("|")
        if namespace != _XHTML:
            raise _Refused(
                f"<{local[:40]}> is not in the namespace {_XHTML}",
                f"<{local[:40]}> n'est pas dans l'espace de noms {_XHTML}",
            )
        if local not in _ELEMENTS:
            raise _Refused(
                f"txt-1: the element <{local[:40]}> is not allowed",
                f"txt-1 : l'élément <{local[:40]}> n'est pas permis",
            )
        for attribute, text in attributes.items():
            if attribute not in _ATTRIBUTES:
                raise _Refused(
                    f"txt-1: the attribute {attribute[:40]!r} is not allowed",
                    f"txt-1 : l'attribut {attribute[:40]!r} n'est pas permis",
                )
            if attribute in ("href", "src") and _SCRIPT.match(text):
                raise _Refused("txt-1: scripts are not allowed", "txt-1 : les scripts ne sont pas permis")
        if local == "img" and "src" in attributes:
            content = True

    def characters(text: str) -> None:
        nonlocal content
        content = content or not text.isspace()

    def doctype(*_: object) -> None:
        raise _Refused("a DOCTYPE is not allowed", "un DOCTYPE n'est pas permis")

    parser = expat.ParserCreate(namespace_separator="|")
    parser.StartElementHandler = start
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(div.encode(), True)
    except expat.ExpatError as error:
        return f"not well-formed XML: {error}", f"XML mal formé : {error}"
    except UnicodeEncodeError:
        return "it has half of a surrogate pair", "il a la moitié d'une paire de substitution"
    except _Refused as refused:
        return refused.args[0], refused.args[1]
    if not re.match(r"\s*<(?:\w+:)?div[\s>/]", div):
        return "it has to be one <div> element", "ce doit être un élément <div>"
    return None if content else ("txt-2: it has no content", "txt-2 : il n'a pas de contenu")
