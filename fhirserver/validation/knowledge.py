"""What a validation can look up: definitions, value sets, profiles."""

from collections.abc import Callable, Mapping
from typing import Any

from fhirserver.model.definitions import Definitions, ValueSet
from fhirserver.validation.bindings import Membership, members
from fhirserver.validation.fhirpath import Model


class Knowledge:
    """The definitions, value sets beyond theirs, what others know about value sets (``elsewhere``: a
    terminology), and, when the validator is complete, whether an element conforms to a profile."""

    def __init__(
        self,
        definitions: Definitions,
        elsewhere: Membership | None = None,
        value_sets: Mapping[str, ValueSet] | None = None,
    ) -> None:
        self.definitions = definitions
        self.value_sets = {**definitions.value_sets, **(value_sets or {})}
        self.model = Model(definitions)
        self.conforms: Callable[[Any, str], bool | None] | None = None
        self._elsewhere = elsewhere
        self._members: dict[str, Callable[[Any, Any], bool]] = {}

    def is_member(self, value_set: str, system: str, code: str) -> bool | None:
        """Whether the code is in the value set; None where neither the specification nor a terminology says.

        Without a system (of a ``code``) any system of the set will do.
        """
        url = value_set.partition("|")[0]
        expanded = self.value_sets.get(url)
        if expanded is None:
            return self._elsewhere(value_set, system, code) if self._elsewhere else None
        if not system:
            return any(self._test(url)(one, code) for one in (*expanded.codes, *expanded.open))
        return self._test(url)(system, code)

    def _test(self, url: str) -> Callable[[Any, Any], bool]:
        found = self._members.get(url)
        if found is None:
            found = self._members[url] = members(self.value_sets[url])
        return found
