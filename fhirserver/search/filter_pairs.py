"""Brackets on what has pairs of values: ``relatesTo[code eq replaces].target re DocumentReference/1``.

These are the composite parameters, under their own names with the names of their parts, and under the names
that search_filter.html#params adds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.search.criteria import Criteria
from fhirserver.search.filter_operators import named
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition
from fhirserver.search.types import composite
from fhirserver.search.values import PREFIXES, shown

_NAMES: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]] = {
    ("DocumentReference", "relatesTo"): ("relationship", {"code": "relation", "target": "relatesto"}),
    ("Group", "characteristic"): ("characteristic-value", {"code": "characteristic", "value": "value"}),
}
_OPERATORS: Mapping[str, str] = {p: "" if p in ("eq", "re") else p for p in ("re", *PREFIXES)}

Asked = tuple[str, str, str]
"""The name of a part, the operator, the value."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A composite parameter as a filter names it; ``parts`` are the names of its parts where they differ."""

    name: str
    parameter: Parameter
    parts: Mapping[str, str]
    site: Site

    def condition(self, first: Asked, second: Asked) -> Condition:
        """One pair has both values, in whatever order they are asked.

        Raises:
            BadRequest: there is no such part, or a value is malformed; UnknownParameter: no such comparison.
        """
        by_code = {self.parts.get(name, name): (operator, value) for name, operator, value in (first, second)}
        own = [part.parameter for part in self.parameter.parts]
        if set(by_code) != {parameter.code for parameter in own}:
            known = " and ".join(self.parts or (parameter.code for parameter in own))
            raise BadRequest(f"{self.name} has {known}, not {shown(first[0])} and {shown(second[0])}")
        values = []
        for parameter in own:
            operator, value = by_code[parameter.code]
            if operator not in _OPERATORS:
                raise UnknownParameter(f"{operator} is not for {self.name}; {', '.join(_OPERATORS)} are")
            values.append(_OPERATORS[operator] + _escaped(named(parameter, value)))
        return composite.MODIFIERS[""](self.parameter, "$".join(values), self.site)


def find_pairs(type: str, name: str, criteria: Criteria) -> Pairs | None:
    """The pairs of this name, None when it has none."""
    code, parts = _NAMES.get((type, name), (name, MappingProxyType({})))
    parameter = criteria.indexer.compiled(type).compiled.get(code)
    if parameter is None or parameter.type != "composite" or parameter.sources:
        return None
    return Pairs(name, parameter, parts, criteria.indexer.site)


def _escaped(value: str) -> str:
    """A value whose $ separates nothing."""
    return re.sub(r"(\\.)|\$", lambda found: found[1] or r"\$", value, flags=re.DOTALL)
