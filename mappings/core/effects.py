"""What an input does to what is stored already, beyond the resources that its Bundle states."""

from dataclasses import dataclass, field
from typing import Any, Literal

Element = dict[str, Any]
Action = Literal["insert", "cancel", "update", "none"]


@dataclass(frozen=True, slots=True)
class Movement:
    """What an event does to the places (``location``) in a stored Encounter.

    ``insert`` puts the places sent into its history at their ``period.start``, ``update`` says where the
    patient is now (a correction, no move), ``cancel`` takes back the movement of that ``identifier``, or the
    last one. ``time`` is the event's (dateTime).
    """

    action: Action
    time: str = ""
    identifier: Element | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A list that a source states as a whole: what is stored of it (``meta.source``) for the patient and is
    not in the Bundle is no longer so. ``patient`` is the fullUrl."""

    type: str
    patient: str
    source: str


@dataclass(slots=True)
class Effects:
    """Keys and values named ``url`` are fullUrls of the Bundle.

    ``assumed``: url -> elements that only count where nothing is stored of them. ``withdrawn``: url ->
    element -> items that the input takes back: stored items that say all that one of these says.
    ``movements``: url of an Encounter -> what happened to its places. ``replaced``: url of the resource that
    goes out of use -> url of the one that takes its place, with all that refers to it (HL7v2: merge).
    ``renamed``: urls of resources whose number changed, which are looked up by the old one. ``moved``: urls
    of what is taken from one patient to another. ``unlinked``: pairs of urls of Patients that are not one.
    """

    assumed: dict[str, set[str]] = field(default_factory=dict)
    withdrawn: dict[str, dict[str, list[Element]]] = field(default_factory=dict)
    movements: dict[str, Movement] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    unlinked: list[tuple[str, str]] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
