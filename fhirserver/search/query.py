"""What a search asks, as a small algebra that knows no database.

``search`` compiles a query string to it, ``storage`` turns it into a pipeline.
The index of a resource (what ``search`` writes and these conditions find) is

* ``keys``: flat strings found by equality, ``<parameter>|...`` (tokens, references, uris);
* ``sorted``: flat strings found by range (folded strings, bounds of dates, numbers), ``<parameter>|...``;
* ``intervals``: ``(name, low, high)`` of dates, numbers, quantities by unit, composites, and the texts of
  tokens, for the exact check: they need no database index, because every Interval comes in an And with a
  Range, Keys or KeyRange that narrows;
* ``sort``: per parameter the lowest and the highest value, as sortable text;
* ``contained``: the indexes of contained resources, which no search of the resource itself looks into.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Index:
    """The index values of one resource, stored beside its body."""

    keys: list[str] = field(default_factory=list)
    sorted: list[str] = field(default_factory=list)
    intervals: list[tuple[str, str, str]] = field(default_factory=list)
    sort: dict[str, tuple[str, str]] = field(default_factory=dict)
    contained: "list[Inner]" = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Inner:
    """The index of a contained resource; ``by`` are the parameters by which its container refers to it."""

    type: str
    id: str
    by: tuple[str, ...]
    index: Index


@dataclass(frozen=True, slots=True)
class Everything:
    """Every resource of the type that is not deleted."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No resource at all (a criterion that cannot match)."""


@dataclass(frozen=True, slots=True)
class Ids:
    """The resource has one of these logical ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keys:
    """``keys`` contains at least one of these."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyRange:
    """``keys`` contains an entry e with low <= e < high: ``system|``, ``:below`` and ``:missing``.

    Where ``pattern`` is set, an entry in the range must also match that regular expression, see Range.
    """

    low: str
    high: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """``sorted`` contains an entry e with low <= e < high.

    Where ``pattern`` is set, an entry in the range must also match that regular expression (anchored, of
    literal text escaped by the compiler): for ``:contains``.
    """

    low: str
    high: str
    pattern: str = ""


Operator = Literal["$lt", "$lte", "$gt", "$gte", "$eq", "$ne", "$regex"]


@dataclass(frozen=True, slots=True)
class Interval:
    """``intervals`` holds, for the parameter, one (low, high) with all of the bounds that are set.

    Each bound is ``(operator, sortable text)``, or a regular expression; both sides refer to the SAME
    interval of the resource.
    """

    parameter: str
    low: tuple[tuple[Operator, str], ...] = ()
    high: tuple[tuple[Operator, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Updated:
    """``_lastUpdated``: the version's instant in microseconds since 1970, low <= updated < high."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Near:
    """``intervals`` holds, under this name, a point (latitude, longitude) within a distance of another: in
    degrees and metres, along a great circle."""

    name: str
    latitude: float
    longitude: float
    distance: float


@dataclass(frozen=True, slots=True)
class Within:
    """By the reference parameter ``parameter`` it refers to the resource ``type/id`` or to one below it: one
    that refers to it, or to another below it, by ``part`` (``Location.partOf``). With ``above`` to one above
    it."""

    parameter: str
    type: str
    part: str
    id: str
    above: bool = False


@dataclass(frozen=True, slots=True)
class Coded:
    """A code of a value set (``in``, ``value`` is its canonical or ``ValueSet/id``), or one that is at or
    ``below``, or at or ``above``, the code ``value`` of ``system``.

    ``storage`` has the codes looked up and makes a condition of each; nothing else can tell what meets it.
    """

    parameter: str
    relation: Literal["in", "above", "below"]
    system: str
    value: str
    condition: Callable[[str, str], "Condition"] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    all: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    any: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Contained:
    """It contains a resource of ``type`` that meets the condition, and refers to that by ``parameter`` (""
    where it need not). Comes in an And with what narrows, see ``search.contained``."""

    type: str
    condition: "Condition"
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class Refers:
    """Chaining: by the reference parameter ``parameter`` it refers to a resource of ``type``, a stored one or
    one that it contains, that meets the condition."""

    parameter: str
    type: str
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class Referred:
    """Reverse chaining: a resource of type ``source`` that meets the condition refers to it by ``parameter``.

    ``type`` is the type of the resource itself.
    """

    type: str
    source: str
    parameter: str
    condition: "Condition"


Condition = (
    Everything
    | Nothing
    | Ids
    | Keys
    | KeyRange
    | Range
    | Interval
    | Updated
    | Coded
    | Near
    | Within
    | And
    | Or
    | Not
    | Contained
    | Refers
    | Referred
)


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of ``_sort``; ``parameter`` is a search parameter's code, ``_id`` or ``_lastUpdated``."""

    parameter: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Include:
    """``_include``, or ``_revinclude`` where ``reverse``: what refers by a parameter and what it refers to.

    ``source`` is the type that refers, ``parameters`` the codes of its reference parameters, ``target`` the
    type referred to ("" for any). ``iterate`` follows what was included as well.
    """

    source: str
    parameters: tuple[str, ...]
    target: str = ""
    reverse: bool = False
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled search of one resource type.

    ``parameters`` are the (name, value) pairs that were understood, in order: the self link shows these.
    ``contained`` says whether contained resources of the type are looked for, or are as well; the condition
    does not say so (``search.contained.containers`` does). ``shows_contained``: these and not what contains
    them are the matches.
    """

    type: str
    condition: Condition
    sort: tuple[Sort, ...] = ()
    count: int = 0
    total: Literal["none", "estimate", "accurate"] = "none"
    parameters: tuple[tuple[str, str], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()
    includes: tuple[Include, ...] = ()
    contained: Literal["false", "true", "both"] = "false"
    shows_contained: bool = False
