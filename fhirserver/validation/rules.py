"""The rules of an element, and how they are checked.

``compilation`` makes one ``Rules`` for each structure; its ``check`` walks an object once. What is right
costs as little as possible; a text and a FHIRPath are only made for what is wrong.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from fhirserver.errors import Severity
from fhirserver.validation.narrative import is_narrative, problem
from fhirserver.validation.primitives import Test
from fhirserver.validation.report import Node, Report, shown

MAX_DEPTH = 100
"""Objects inside objects; more is refused before Python's own limit is met."""

_LONGEST_NAME = 64

Violations = Callable[[dict[str, Any]], Iterable[str]]
"""An invariant: yields the places that break it, as FHIRPath relative to the object ("" is the object)."""


class Scope:
    """What is the same for all elements of one resource: where issues go, and what ``#id`` may name.

    ``contained`` has the contained resources' types by id; ``inside`` is true within a contained resource.
    """

    __slots__ = ("contained", "depth", "inside", "report")

    def __init__(self, report: Report, contained: Mapping[str, str], depth: int) -> None:
        self.report = report
        self.contained = contained
        self.depth = depth
        self.inside = False


Extra = Callable[[dict[str, Any], Node, Scope], None]
"""A further check of an object that is right by itself: its binding, the target of a reference."""


class Rule:
    """How one name of a JSON object is checked.

    ``test`` decides alone where it is set and answers true; otherwise ``check`` looks closely. ``choice`` is
    the name of the choice it is an alternative of (``value``), ``step`` the way to it in FHIRPath.
    """

    __slots__ = ("choice", "name", "step", "test")

    def __init__(self, name: str, step: str, choice: str | None, test: Test | None = None) -> None:
        self.name = name
        self.step = step
        self.choice = choice
        self.test = test

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        """Look closely and report what is wrong: nothing, where the name alone is checked."""

    def _array(self, item: Any, node: Node, scope: Scope) -> bool:
        """Whether the item is an array with something in it, as repeating elements are."""
        if type(item) is list and item:
            return True
        if type(item) is list:
            scope.report.add((node, self.step), "structure", "ele-1: an array cannot be empty")
        else:
            scope.report.add((node, self.step), "structure", f"{self.name} repeats: it has to be an array")
        return False

    def _single(self, item: Any, node: Node, scope: Scope) -> bool:
        """Whether the item is not an array, as elements that do not repeat are."""
        if type(item) is list:
            scope.report.add(
                (node, self.step), "structure", f"{self.name} does not repeat: it cannot be an array"
            )
            return False
        return True


class PrimitiveRule(Rule):
    """A primitive element; ``wanted`` says what the test accepts, ``code`` is the issue's when it fails."""

    __slots__ = ("_accepts", "_code", "_many", "_wanted")

    def __init__(
        self, name: str, step: str, choice: str | None, many: bool, test: Test, wanted: str, code: str
    ) -> None:
        super().__init__(name, step, choice, None if many else test)
        self._many = many
        self._accepts = test
        self._wanted = wanted
        self._code = code

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        if not self._many:
            if self._single(item, node, scope):
                self._one(item, (node, self.step), scope)
        elif self._array(item, node, scope):
            for index, value in enumerate(item):
                if value is None:
                    twin = parent.get("_" + self.name)
                    if not (type(twin) is list and index < len(twin) and twin[index] is not None):
                        text = f"ele-1: null needs an object in _{self.name} at the same place"
                        scope.report.add(((node, self.step), index), "structure", text)
                elif not self._accepts(value):
                    self._one(value, ((node, self.step), index), scope)

    def _one(self, value: Any, node: Node, scope: Scope) -> None:
        if self._accepts(value):
            return
        if value is None or value == "":
            scope.report.add(node, "structure", "ele-1: a value cannot be null or empty")
        elif type(value) is dict or type(value) is list:
            scope.report.add(node, "structure", f"{shown(value)} is not {self._wanted}")
        else:
            why = problem(value) if self._accepts is is_narrative and type(value) is str else None
            text = f"The narrative is refused: {why}" if why else f"{shown(value)} is not {self._wanted}"
            scope.report.add(node, self._code, text)


class TwinRule(Rule):
    """``_birthDate``: the id and the extensions of a primitive element."""

    __slots__ = ("_many", "_rules", "_value")

    def __init__(self, name: str, step: str, choice: str | None, many: bool, rules: "Rules") -> None:
        super().__init__("_" + name, step, choice)
        self._value = name
        self._many = many
        self._rules = rules

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        here = (node, self.step)
        if not self._many:
            if self._single(item, node, scope):
                self._one(item, self._value in parent, here, scope)
        elif self._array(item, node, scope):
            values = parent.get(self._value)
            if type(values) is not list:
                values = [None] * len(item)
            elif len(values) != len(item):
                text = (
                    f"{self._value} and {self.name} have {len(values)} and {len(item)} items; null pads them"
                )
                scope.report.add(here, "structure", text)
                return
            for index, (one, value) in enumerate(zip(item, values, strict=True)):
                if one is not None:
                    self._one(one, value is not None, (here, index), scope)
                elif value is None:
                    text = f"ele-1: null in {self.name} without a value in {self._value}"
                    scope.report.add((here, index), "structure", text)

    def _one(self, item: Any, has_value: bool, node: Node, scope: Scope) -> None:
        self._rules.check(item, node, scope, alone=not has_value)


class ComplexRule(Rule):
    """An element with elements of its own."""

    __slots__ = ("_extras", "_many", "_rules")

    def __init__(
        self,
        name: str,
        step: str,
        choice: str | None,
        many: bool,
        rules: "Rules",
        extras: tuple[Extra, ...],
    ) -> None:
        super().__init__(name, step, choice)
        self._many = many
        self._rules = rules
        self._extras = extras

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        here = (node, self.step)
        if not self._many:
            if self._single(item, node, scope):
                self._one(item, here, scope)
        elif self._array(item, node, scope):
            for index, one in enumerate(item):
                self._one(one, (here, index), scope)

    def _one(self, item: Any, node: Node, scope: Scope) -> None:
        if self._rules.check(item, node, scope):
            for extra in self._extras:
                extra(item, node, scope)


class ResourceRule(Rule):
    """An element that holds any resource: contained, Bundle.entry.resource, Parameters.parameter.resource."""

    __slots__ = ("_many", "_validate")

    def __init__(
        self, name: str, step: str, many: bool, validate: Callable[[Any, Node, Scope, bool], None]
    ) -> None:
        super().__init__(name, step, None)
        self._many = many
        self._validate = validate

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        here = (node, self.step)
        contained = self.name == "contained"
        if not self._many:
            if self._single(item, node, scope):
                self._validate(item, here, scope, contained)
        elif self._array(item, node, scope):
            for index, one in enumerate(item):
                self._validate(one, (here, index), scope, contained)


class Rules:
    """The rules of an object: a resource, a datatype or an element that is defined in place.

    ``required`` has, for each element that has to be there, its name and the JSON names that satisfy it.
    """

    __slots__ = ("elements", "invariants", "name", "required", "resource")

    def __init__(self, name: str, resource: bool) -> None:
        self.name = name
        self.resource = resource
        self.elements: dict[str, Rule] = {}
        self.required: tuple[tuple[str, frozenset[str]], ...] = ()
        self.invariants: tuple[tuple[Violations, Severity, str], ...] = ()

    def check(self, value: Any, node: Node, scope: Scope, alone: bool = True) -> bool:
        """Report what is wrong with the object; say whether nothing is.

        ``alone`` is false where the object only adds to a value that is there (``_birthDate``).
        """
        report = scope.report
        before = report.count
        if type(value) is not dict:
            report.add(node, "structure", f"{self.name} has to be an object, not {shown(value)}")
            return False
        if not value or (len(value) == 1 and alone and "id" in value and not self.resource):
            report.add(node, "structure", "ele-1: an object cannot be empty or have nothing but an id")
            return False
        if scope.depth >= MAX_DEPTH:
            report.add(node, "too-long", f"nested deeper than {MAX_DEPTH} levels")
            return False
        scope.depth += 1
        elements = self.elements
        chosen: dict[str, str] | None = None
        for name, item in value.items():
            rule = elements.get(name)
            if rule is None:
                self._unknown(name, node, report)
                continue
            if rule.choice is not None:
                chosen = chosen or {}
                other = chosen.setdefault(rule.choice, name.lstrip("_"))
                if other != name.lstrip("_"):
                    text = f"{rule.choice}[x] can be there once, not as {other} and {name.lstrip('_')}"
                    report.add((node, "." + rule.choice), "structure", text)
            test = rule.test
            if test is None or not test(item):
                rule.check(item, value, node, scope)
        for element, names in self.required:
            if names.isdisjoint(value):
                report.add((node, "." + element), "required", f"{self.name} needs {element}")
        scope.depth -= 1
        well_formed = report.count == before
        for violations, severity, text in self.invariants:
            try:
                for place in violations(value):
                    report.add((node, place), "invariant", text, severity)
            except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
                # An invariant relies on the shape of the content: where that has been found wrong, what is
                # wrong has been said, and the invariant cannot be asked.
                if well_formed:
                    raise
        return report.count == before

    def _unknown(self, name: str, node: Node, report: Report) -> None:
        if report.full or len(name) > _LONGEST_NAME:
            report.add(node, "structure", f"{shown(name)} is not an element of {self.name}")
            return
        alternatives = [n for n, rule in self.elements.items() if rule.choice == name and n[0] != "_"]
        close = get_close_matches(name, self.elements, 1)
        if len(alternatives) > 5:
            advice = f"; its type belongs into the name, such as {alternatives[0]}"
        elif alternatives:
            advice = f"; its type belongs into the name: {', '.join(alternatives)}"
        else:
            advice = f"; did you mean {close[0]!r}?" if close else ""
        report.add((node, "." + name), "structure", f"{name!r} is not an element of {self.name}{advice}")
