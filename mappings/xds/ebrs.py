"""How a registry or repository answers: ebRS RegistryResponse and its errors.

IHE ITI TF-3 4.2.4, https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html#4.2.4
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from lxml import etree

from mappings.cda.xml import Node
from mappings.core.result import Issue

RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
XDSB: Final = "urn:ihe:iti:xds-b:2007"

SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"
_SEVERITY: Final = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:"

MOST_TEXT: Final = 1000
"""Characters of one codeContext."""


@dataclass(frozen=True, slots=True)
class RegistryError:
    """``code`` is from table 4.2.4.1-2, ``context`` says in words what is wrong, ``location`` where."""

    code: str
    context: str
    location: str = ""
    severity: Literal["Error", "Warning"] = "Error"


def status_of(errors: Iterable[RegistryError], *, partly: bool = False) -> str:
    """The status as URN: Failure with an error (PartialSuccess where ``partly`` was done), else Success."""
    if any(error.severity == "Error" for error in errors):
        return PARTIAL_SUCCESS if partly else FAILURE
    return SUCCESS


def registry_response(errors: Sequence[RegistryError] = (), *, partly: bool = False) -> Node:
    """rs:RegistryResponse with its errors and warnings."""
    response = etree.Element(
        f"{{{RS}}}RegistryResponse", {"status": status_of(errors, partly=partly)}, nsmap={"rs": RS}
    )
    if errors:
        response.append(error_list(errors))
    return response


def error_list(errors: Iterable[RegistryError]) -> Node:
    """rs:RegistryErrorList; its highestSeverity is an error's, if there is one."""
    listed = etree.Element(f"{{{RS}}}RegistryErrorList", nsmap={"rs": RS})
    severities = set()
    for error in errors:
        severities.add(error.severity)
        attributes = {
            "errorCode": error.code,
            "codeContext": _printable(error.context)[:MOST_TEXT],
            "severity": _SEVERITY + error.severity,
        }
        if error.location:
            attributes["location"] = _printable(error.location)[:MOST_TEXT]
        etree.SubElement(listed, f"{{{RS}}}RegistryError", attributes)
    listed.set("highestSeverity", _SEVERITY + ("Error" if "Error" in severities else "Warning"))
    return listed


def errors_of(issues: Iterable[Issue], otherwise: str) -> list[RegistryError]:
    """Errors as RegistryErrors, those without a code of their own as ``otherwise``."""
    return [
        RegistryError(issue.fault or otherwise, issue.text, issue.location)
        for issue in issues
        if issue.severity == "error"
    ]


def _printable(text: str) -> str:
    """Without the characters that XML cannot have."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "�"
        for c in text
    )
