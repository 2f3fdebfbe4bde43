"""Makes the tree of a profile from its StructureDefinition."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

from fhirserver.model.definitions import Definitions
from fhirserver.validation.profiles.demands import bindings_of, demands_of
from fhirserver.validation.profiles.elements import (
    CANONICAL,
    MISSING,
    Constrained,
    Invariant,
    Kind,
    Slicing,
    kinds_of,
    segments,
    slicing_of,
    value_of,
)

BY_TYPE = Slicing((("type", "$this"),))
BY_URL = Slicing((("value", "url"),))
_EXTENSIONS = ("extension", "modifierExtension")
_VITAL_UNITS = CANONICAL.replace("StructureDefinition", "ValueSet") + "ucum-vitals-common"
"""R4's profiles require these units of every component of a vital sign, also of an oxygen flow: R5 and the
official validator take that as extensible."""
_SILENT = frozenset(("ele-1", "ext-1"))


class UnusableProfile(Exception):
    """The StructureDefinition cannot be understood; the text says why."""


class Building:
    """Builds trees; ``tree_of`` gives the tree of another profile by url, None for an unknown one."""

    def __init__(self, definitions: Definitions, tree_of: Callable[[str], Constrained | None]) -> None:
        self._definitions = definitions
        self._tree_of = tree_of

    def build(self, definition: Mapping[str, Any]) -> Constrained:
        """Raises UnusableProfile."""
        type = str(definition.get("type", ""))
        if type not in self._definitions.structures and type not in _PRIMITIVE_ROOTS:
            raise UnusableProfile(f"{type[:64]!r} is no type of FHIR R4")
        try:
            if "snapshot" in definition:
                root = Constrained(type, type, type)
                elements = definition["snapshot"]["element"]
            else:
                root = self._base(definition, type)
                elements = definition.get("differential", {}).get("element", [])
            for element, steps in segments(elements):
                self._apply(root, element, steps, str(definition.get("url", "")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UnusableProfile(f"its elements are not well-formed ({error})") from None
        root.prune()
        return root

    def _base(self, definition: Mapping[str, Any], type: str) -> Constrained:
        base = str(definition.get("baseDefinition", ""))
        if base.removeprefix(CANONICAL) in self._definitions.structures:
            return Constrained(type, type, type)
        found = self._tree_of(base)
        if found is None:
            raise UnusableProfile(f"its base {base[:200]} is not known here")
        return copy.deepcopy(found)

    def _apply(
        self, root: Constrained, element: Mapping[str, Any], steps: list[tuple[str, str]], url: str
    ) -> None:
        here, parent = root, ""
        if steps[0][1]:
            raise UnusableProfile("its root is a slice")
        for name, slice in steps[1:]:
            parent = here.structure
            here = self._child(here, name)
            if slice:
                here = self._slice(here, slice)
        self._constrain(here, element, parent, len(steps) == 1, url)

    def _child(self, parent: Constrained, name: str) -> Constrained:
        """The child with this name; ``valueQuantity`` is the slice of ``value[x]`` that is a Quantity."""
        plain = name.removesuffix("[x]")
        known = self._definitions.elements(parent.structure) if self._has(parent.structure) else {}
        chosen = known.get(plain)
        if chosen is not None and chosen[0].choice and not name.endswith("[x]"):
            element, type = chosen
            choice = self._child(parent, element.name + "[x]")
            choice.slicing = choice.slicing or BY_TYPE
            slice = self._slice(choice, plain)
            slice.kinds = slice.kinds or (Kind(type.code),)
            slice.structure = type.structure
            return slice
        child = parent.children.get(plain)
        if child is None:
            types = [t for e, t in known.values() if e.name == plain]
            structure = types[0].structure if len(types) == 1 else ""
            child = parent.children[plain] = Constrained(plain, plain, structure)
        return child

    def _slice(self, sliced: Constrained, name: str) -> Constrained:
        """The slice with this name, inside the one that it slices again (``a/b``)."""
        outer, _, inner = name.rpartition("/")
        if inner and outer:
            sliced = self._slice(sliced, outer)
        if sliced.name in _EXTENSIONS:
            sliced.slicing = sliced.slicing or BY_URL
        found = sliced.slices.get(name)
        if found is None:
            structure = sliced.structure or self._named(name, sliced.name)
            found = sliced.slices[name] = Constrained(sliced.name, f"{sliced.name}:{name}", structure)
        return found

    def _named(self, slice: str, choice: str) -> str:
        """The structure of the slice ``valueQuantity`` of ``value[x]``."""
        suffix = slice.removeprefix(choice)
        return suffix if suffix != slice and suffix in self._definitions.structures else ""

    def _has(self, structure: str) -> bool:
        return structure in self._definitions.structures

    def _constrain(
        self, here: Constrained, element: Mapping[str, Any], parent: str, is_root: bool, url: str
    ) -> None:
        base = None
        if not is_root and self._has(parent):
            children = self._definitions.elements(parent).values()
            base = next((e for e, _ in children if e.name == here.name), None)
        if not is_root:
            least, most = element.get("min"), element.get("max")
            if least is not None and (base is None or least > base.min or "sliceName" in element):
                here.least = int(least)
            if most is not None and most != "*":
                limit = int(most)
                if base is None or base.max != limit or "sliceName" in element:
                    here.most = limit
            self._type(here, element, base, parent)
        for name in ("fixed", "pattern", "minValue", "maxValue"):
            value = value_of(element, name)
            if value is not MISSING:
                setattr(here, _FIELDS[name], value)
        if "maxLength" in element:
            here.max_length = int(element["maxLength"])
        binding = element.get("binding", {})
        stated = (binding.get("strength", ""), binding.get("valueSet", "").partition("|")[0])
        if stated[1] == _VITAL_UNITS and url.startswith(CANONICAL):
            stated = ("extensible", _VITAL_UNITS)
        if stated[1] and (base is None or stated != (base.strength, base.value_set)):
            here.binding = stated
        here.bindings = bindings_of(binding) or here.bindings
        here.demands = demands_of(element) or here.demands
        here.slicing = slicing_of(element) or here.slicing
        self._invariants(here, element, url)

    def _type(self, here: Constrained, element: Mapping[str, Any], base: Any, parent: str) -> None:
        kinds = kinds_of(element)
        if not kinds:
            return
        if len(kinds) == 1:
            inside = f"{parent}.{here.name}"
            code = kinds[0].code
            here.structure = inside if self._has(inside) else code if self._has(code) else here.structure
        if base is not None and "sliceName" not in element:
            known = {t.code: t for t in base.types}
            if {k.code for k in kinds} == known.keys() and not any(
                k.aggregation or _narrows(k, known[k.code].targets, known[k.code].profile) for k in kinds
            ):
                return
        if len(kinds) == 1 and kinds[0].code in ("BackboneElement", "Element") and not kinds[0].profiles:
            return
        here.kinds = kinds

    def _invariants(self, here: Constrained, element: Mapping[str, Any], url: str) -> None:
        structure = self._definitions.structures.get(here.structure)
        known = {c.key for c in structure.constraints} if structure else set()
        for constraint in element.get("constraint", ()):
            key, text = str(constraint["key"]), str(constraint.get("expression", ""))
            if text and key not in known and key not in _SILENT:
                severity = "error" if constraint.get("severity") == "error" else "warning"
                source = str(constraint.get("source", url))
                here.invariants[key] = Invariant(
                    key, severity, str(constraint.get("human", key)), text, source
                )


_PRIMITIVE_ROOTS = frozenset(("string", "code", "uri", "integer", "decimal", "boolean", "dateTime", "date"))
_FIELDS = {"fixed": "fixed", "pattern": "pattern", "minValue": "min_value", "maxValue": "max_value"}


def _narrows(kind: Kind, targets: tuple[str, ...], profile: str) -> bool:
    """Whether it says more than the base: another profile, or other targets."""
    stated = {t.removeprefix(CANONICAL) for t in kind.targets} - {"Resource"}
    named = {p.removeprefix(CANONICAL) for p in kind.profiles} - {profile}
    return bool(named) or (bool(stated) and stated != set(targets))
