"""Which module knows which type of search parameter."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index
from fhirserver.search.types import date, near, number, phonetic, quantity, reference, string, token, uri

Entries = Callable[[Index, str, str, Any, Site], None]
Match = Callable[[Parameter, str, Site], Condition]


class Comparison(Protocol):
    """A way of comparing, mostly that of a type of parameter: what is indexed and asked, side by side."""

    @property
    def MODIFIERS(self) -> Mapping[str, Match]: ...  # noqa: N802 (a constant of the modules)

    @property
    def entries(self) -> Entries: ...

    @property
    def present(self) -> Callable[[Parameter], Condition]: ...


COMPARISONS: Mapping[str, Comparison] = {
    "string": string,
    "token": token,
    "reference": reference,
    "date": date,
    "number": number,
    "quantity": quantity,
    "uri": uri,
    "phonetic": phonetic,
    "near": near,
}
"""Composites are compared part by part, see ``composite``."""
