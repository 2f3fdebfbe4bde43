"""What a mapping gives back, and how it says no."""

from dataclasses import dataclass, field
from typing import Any, Literal

from mappings.core.effects import Effects

Element = dict[str, Any]
"""A FHIR element or resource as a plain dict, shaped as its JSON."""

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One remark about the input.

    ``code`` is from FHIR's IssueType value set. ``location`` is in the input's own terms: ``PID-3.4``,
    ``OBX[2]-5``, ``/ClinicalDocument/recordTarget``. ``fault`` is the code in the source
    standard's own table, where it has one (``XDSMissingDocument``).
    """

    severity: Severity
    code: str
    text: str
    location: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A code that nothing maps: the URI of its system ("" when none was sent), its display as sent, and where
    it stands in the result (``Observation.code``) or, without a place there, in the input. ``told``: an issue
    names it already."""

    system: str
    code: str
    display: str = ""
    location: str = ""
    told: bool = False


@dataclass(slots=True)
class Mapped:
    """The transaction Bundle of one message, document or submission.

    Entries are conditional: ``PUT Type?identifier=system|value`` for what the input asserts (create, or merge
    into what is there), ``POST`` with ``ifNoneExist`` for what it only mentions (create when unknown, else
    leave as it is), plain ``POST`` for what is always new (Binary, Provenance). References between entries
    are their ``fullUrl`` (``urn:uuid:...``). A document that replaces another says so in ``relatesTo`` with
    ``target.identifier``; who stores the Bundle resolves it.

    ``cleared`` names, per fullUrl, the elements the input deletes explicitly (HL7 null ``""``).
    ``unread`` names what was sent and never looked at. ``patient`` is the key (``system|value``) whose
    messages must stay in order. ``unmapped`` are the codes that stay as the sender has them. ``effects`` is
    what is to be done with what is stored, beyond storing the Bundle.
    """

    bundle: Element
    issues: list[Issue] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    cleared: dict[str, set[str]] = field(default_factory=dict)
    patient: str = ""
    unmapped: list[Unmapped] = field(default_factory=list)
    effects: Effects = field(default_factory=Effects)


class MappingError(Exception):
    """The input cannot become a Bundle; the issues say why."""

    def __init__(self, text: str, *issues: Issue) -> None:
        super().__init__(text)
        self.issues = issues or (Issue("error", "processing", text),)


class Unreadable(MappingError):
    """The bytes are not what they claim to be: refuse them."""


class Held(MappingError):
    """Readable, but a person must decide (identity disagrees, parent unknown): keep, store nothing."""


class NoMapping(Held):
    """Readable and well-formed, but of a kind that has no mapping (yet): keep, store nothing."""
