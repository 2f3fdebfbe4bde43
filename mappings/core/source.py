"""Who sends: the settings of a source that change how its input is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

SNAPSHOTS: Final = ("AL1", "IAM", "NK1", "PID-3")
"""What a message may list as a whole: what it does not list any more is no longer so, for this source."""

Code = tuple[str, str]
"""A code system's URI and a code of it."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What a source's code stands for. ``system`` is empty where the element is a plain ``code``."""

    code: str
    system: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A sending system.

    ``name`` is its identity domain: local numbers and codes are those of this name. ``timezone`` is the IANA
    zone of times without an offset; ``charset`` the codec of HL7v2 messages that do not declare one;
    ``authorities`` maps an assigning authority's namespace (HD.1) to the system URI of its identifiers, and
    "" to that of identifiers without one; ``demographics`` says whether its clinical messages may update a
    Patient (``False``: they only create an unknown one); ``xds_timezone`` is the zone of times without an
    offset in XDS metadata: UTC by the standard, local time from some senders; ``snapshots`` names those of
    ``SNAPSHOTS`` that its messages list as a whole; ``premappings`` names the functions that its messages go
    through before they are mapped (``mappings.hl7v2.premapping``); ``codes`` is its code map: a code as it is
    sent, with the URI of its system, and what it stands for.
    """

    name: str = "default"
    timezone: str = "Europe/Paris"
    charset: str = ""
    authorities: Mapping[str, str] = field(default_factory=dict)
    demographics: bool = False
    xds_timezone: str = "UTC"
    snapshots: frozenset[str] = frozenset({"AL1", "IAM"})
    premappings: tuple[str, ...] = ()
    codes: Mapping[Code, Coding] = field(default_factory=dict)
