"""What a validation can look up: definitions, value sets, profiles."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fhirserver.model.definitions import Definitions, ValueSet
from fhirserver.validation.bindings import members
from fhirserver.validation.fhirpath import Model


class Codes(Protocol):
    """What a terminology knows at once: nothing is waited for."""

    def is_member(self, value_set: str, system: str, code: str) -> bool | None:
        """Whether the code is in the value set ("": in its code system); None where that cannot be said."""
        ...

    def names(self, system: str, code: str, language: str) -> tuple[str, ...]:
        """What the code may be called, its display first; () where that is not known, or not in the language
        ("": in any)."""
        ...

    def is_supplement(self, system: str) -> bool:
        """Whether this is the url of a supplement, which has no codes of its own."""
        ...

    def property_type(self, system: str, code: str) -> str:
        """The type of a property that the code system defines; "" where it is not known."""
        ...

    def is_constraint(self, text: str) -> bool:
        """Whether a text is an expression of SNOMED CT, as far as that can be said."""
        ...


class Knowledge:
    """The definitions, value sets beyond theirs, what others know about codes (``elsewhere``: a terminology),
    and, when the validator is complete, whether an element conforms to a profile."""

    def __init__(
        self,
        definitions: Definitions,
        elsewhere: Codes | None = None,
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

        Without a system (of a ``code``) any system of the set will do; without a value set the code system is
        asked.
        """
        url = value_set.partition("|")[0]
        expanded = self.value_sets.get(url)
        if expanded is None:
            return self._elsewhere.is_member(value_set, system, code) if self._elsewhere else None
        if not system:
            return any(self._test(url)(one, code) for one in (*expanded.codes, *expanded.open))
        return self._test(url)(system, code)

    def is_code(self, system: str, code: str) -> bool | None:
        """Whether the code system has the code."""
        listed = self.definitions.code_systems.get(system)
        return code in listed if listed is not None else self.is_member("", system, code)

    def names(self, system: str, code: str, language: str) -> tuple[str, ...]:
        return self._elsewhere.names(system, code, language) if self._elsewhere else ()

    def is_supplement(self, system: str) -> bool:
        return self._elsewhere is not None and self._elsewhere.is_supplement(system)

    def property_type(self, system: str, code: str) -> str:
        return self._elsewhere.property_type(system, code) if self._elsewhere else ""

    def is_constraint(self, text: str) -> bool:
        return self._elsewhere is None or self._elsewhere.is_constraint(text)

    def _test(self, url: str) -> Callable[[Any, Any], bool]:
        found = self._members.get(url)
        if found is None:
            found = self._members[url] = members(self.value_sets[url])
        return found
