"""Named queries, ``_query=current-documents``: criteria that are asked again and again, by one name.

They are combined with whatever else a search says; its ``_sort`` goes before the query's.
https://hl7.org/fhir/R4/search.html#query
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fhirserver.errors import UnknownParameter
from fhirserver.search.parameters import Site
from fhirserver.search.values import shown

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for, by resource type: parameters and their values. ``sort`` is a ``_sort``."""

    criteria: Mapping[str, Callable[[Site], Pairs]]
    sort: str = ""


def _always(*pairs: tuple[str, str]) -> Callable[[Site], Pairs]:
    return lambda site: pairs


def _from_today(*pairs: tuple[str, str]) -> Callable[[Site], Pairs]:
    """And not before today, which begins at midnight in the server's zone."""
    return lambda site: (*pairs, ("date", f"ge{datetime.now(site.zone).date()}"))


SUMMARIES = ("60591-5", "SYNTH", "34133-9", "18842-5", "42348-3", "56445-0", "10160-0")
"""The types (LOINC, TRE_A05) of documents to read first: patient summary, summary of an episode, discharge
summary, advance directives, medication summary and history."""

NAMED: Mapping[str, Named] = {
    "current-documents": Named(
        {"DocumentReference": _always(("status", "current"))},
        "-date",
    ),
    "emergency": Named(
        {
            "AllergyIntolerance": _always(
                ("clinical-status:not", "inactive,resolved"),
                ("verification-status:not", "refuted,entered-in-error"),
            ),
            "MedicationStatement": _always(("status", "active,intended,on-hold,unknown")),
            "Condition": _always(
                ("clinical-status:not", "inactive,resolved,remission"),
                ("verification-status:not", "refuted,entered-in-error"),
            ),
            "DocumentReference": _always(("status", "current"), ("type", ",".join(SUMMARIES))),
            "Immunization": _always(("status", "completed")),
            "Consent": _always(("status", "active")),
        }
    ),
    "upcoming": Named(
        {"Appointment": _from_today(("status", "proposed,pending,booked,arrived,checked-in,waitlist"))},
        "date",
    ),
}


def names(type: str) -> list[str]:
    """The queries that a resource type has."""
    return sorted(name for name, named in NAMED.items() if type in named.criteria)


def find(type: str, name: str, site: Site) -> tuple[Pairs, str]:
    """The parameters and the ``_sort`` of a query.

    Raises:
        UnknownParameter: the type has none of this name; the text says which it has.
    """
    if name not in names(type):
        known = ", ".join(names(type)) or "none"
        elsewhere = ", ".join(f"{other} ({', '.join(sorted(n.criteria))})" for other, n in NAMED.items())
        raise UnknownParameter(
            f"{type} has no named query {shown(name)}; it has {known}. There are: {elsewhere}",
            expression="_query",
        )
    named = NAMED[name]
    return named.criteria[type](site), named.sort
