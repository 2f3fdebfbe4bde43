"""The invariants of a structure as the rules ask them: written in Python, or compiled from FHIRPath."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from fhirserver.errors import Severity
from fhirserver.model import reference
from fhirserver.model.definitions import Constraint
from fhirserver.validation.fhirpath import Env, Evaluate, FHIRPathError, Model, compile_expression, holds
from fhirserver.validation.french import FRENCH
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.messages import Said
from fhirserver.validation.report import Node, Report
from fhirserver.validation.rules import Scope

Violations = Callable[[dict[str, Any]], Iterable[str]]
"""Yields the places that break an invariant, as FHIRPath relative to the object ("" is the object)."""


Holds = Callable[[Mapping[str, Any]], bool]
"""Whether an invariant holds for an object."""


def said(key: str, human: str) -> Said:
    """The text of a constraint in both languages; French where it has been translated."""
    return human, FRENCH.get(key, human)


class Native:
    """An invariant in Python: the common ones, for a general FHIRPath engine takes a hundred times longer."""

    __slots__ = ("_key", "_severity", "_text", "_url", "_violations", "holds")
    silent = False

    def __init__(
        self, holds: Holds | None, violations: Violations | None, constraint: Constraint, url: str
    ) -> None:
        """One of the two: whether the object as a whole is right, or which places are not."""
        self.holds = holds
        self._violations = violations
        self._severity: Severity = "error" if constraint.severity == "error" else "warning"
        self._key = constraint.key
        self._text = said(constraint.key, constraint.human)
        self._url = url

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        try:
            for place in self._places(value):
                scope.report.breach(
                    (node, place), self._key, self._text, severity=self._severity, url=self._url
                )
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            # An invariant relies on the shape of the content: where that has been found wrong, what is
            # wrong has been said, and the invariant cannot be asked.
            if well_formed:
                raise

    def _places(self, value: dict[str, Any]) -> Iterable[str]:
        if self._violations is not None:
            return self._violations(value)
        return () if self.holds is None or self.holds(value) else ("",)


class Expressed:
    """An invariant in FHIRPath, compiled when it is first asked; one that cannot be evaluated is a warning.

    A best practice (dom-6: there is a narrative) is only asked where these are wanted.
    """

    def __init__(self, constraint: Constraint, url: str, structure: str, knowledge: Knowledge) -> None:
        self._constraint = constraint
        self._text = said(constraint.key, constraint.human)
        self._url = url
        self._structure = structure
        self._knowledge = knowledge
        self.silent = constraint.advice

    @cached_property
    def _evaluate(self) -> Evaluate:
        return compile_expression(self._constraint.expression)

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if not well_formed or (self._constraint.advice and not scope.report.practices):
            return
        model = self._knowledge.model
        item = model.resource(value) if value is scope.resource else model.element(value, self._structure)
        if not self.holds_for(item, node, scope):
            severity: Severity = "information" if self._constraint.advice else "warning"
            if self._constraint.severity == "error":
                severity = "error"
            scope.report.breach(node, self._constraint.key, self._text, severity=severity, url=self._url)

    def holds_for(self, item: Any, node: Node, scope: Scope) -> bool:
        """Whether it does; true with a warning where that cannot be said."""
        try:
            found = self._evaluate(environment(item, scope, self._knowledge), [item])
            return holds(found) or (not found and self._constraint.severity != "error")
        except (FHIRPathError, ArithmeticError, RecursionError) as error:
            unchecked(self._constraint.key, error, node, scope.report)
            return True


def _contained(root: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The resources a fragment may name: contained in the resource; of a Bundle, in any of its resources, for
    an expression about the Bundle does not say in which one it stands."""
    entries = root.get("entry") if root.get("resourceType") == "Bundle" else None
    inside = [entry.get("resource") for entry in _objects(entries)]
    for resource in (root, *_objects(inside)):
        yield from _objects(resource.get("contained"))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if type(one) is dict] if type(value) is list else []


def unchecked(rule: str, error: Exception, node: Node, report: Report) -> None:
    why = str(error) if isinstance(error, FHIRPathError) else type(error).__name__
    report.note("warning", node, "incomplete", "invariant-unchecked", rule=rule, why=why)


def environment(item: Any, scope: Scope, knowledge: Knowledge) -> Env:
    """What an expression about an element of the scope's resource can see."""
    model: Model = knowledge.model
    return Env(
        model=model,
        resource=model.resource(scope.resource),
        root=model.resource(scope.root),
        context=item,
        resolve=lambda literal: resolved(literal, scope, knowledge),
        is_member=knowledge.is_member,
        conforms=knowledge.conforms,
        this=[item],
    )


def selects(expression: str, element: Mapping[str, Any], scope: Scope, knowledge: Knowledge) -> bool:
    """Whether an expression about the scope's resource finds this very element, an object or the ``_name`` of
    a primitive; where it cannot be evaluated, it may."""
    resource = knowledge.model.resource(scope.resource)
    try:
        found = compile_expression(expression)(environment(resource, scope, knowledge), [resource])
    except (FHIRPathError, ArithmeticError, RecursionError):
        return True
    return any(one.value is element or one.twin is element for one in found)


def allows(expression: str, item: Any, extension: Any, scope: Scope, knowledge: Knowledge) -> bool:
    """Whether the condition of an extension holds for the element that has it; true where it cannot be
    evaluated."""
    env = environment(item, scope, knowledge)
    env.extension = extension
    try:
        return holds(compile_expression(expression)(env, [item]))
    except (FHIRPathError, ArithmeticError, RecursionError):
        return True


def found(literal: str, scope: Scope) -> Mapping[str, Any] | None:
    """The resource that a reference points to, where it is here: contained, or in the same Bundle."""
    if literal == "#":
        return scope.root
    if literal.startswith("#"):
        return next((one for one in _contained(scope.root) if one.get("id") == literal[1:]), None)
    inside: Mapping[str, Any] | None = scope.bundle.get(literal)
    if inside is not None:
        return inside
    named = reference.parse(literal)
    if not named.type or named.base:
        return None
    address = f"/{named.type}/{named.id}"
    return next((resource for url, resource in scope.bundle.items() if url.endswith(address)), None)


def resolved(literal: str, scope: Scope, knowledge: Knowledge) -> Mapping[str, Any] | None:
    """What a reference points to: a resource that is here, or (nothing is fetched) an empty one of the type
    that the reference names."""
    inside = found(literal, scope)
    if inside is not None or literal.startswith("#"):
        return inside
    named = reference.parse(literal)
    if not named.type or named.type not in knowledge.definitions.resource_types:
        return None
    return {"resourceType": named.type, "id": named.id}
