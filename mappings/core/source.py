"""Who sends: the settings of a source that change how its input is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """A sending system.

    ``timezone`` is the IANA zone of times without an offset; ``charset`` the codec of HL7v2 messages that do
    not declare one; ``authorities`` maps an assigning authority's namespace (HD.1) to the system URI of its
    identifiers; ``demographics`` says whether its clinical messages may update a Patient (``False``: they
    only create an unknown one); ``xds_timezone`` is the zone of times without an offset in XDS metadata: UTC
    by the standard, local time from some senders.
    """

    name: str = "default"
    timezone: str = "Europe/Paris"
    charset: str = ""
    authorities: Mapping[str, str] = field(default_factory=dict)
    demographics: bool = False
    xds_timezone: str = "UTC"
