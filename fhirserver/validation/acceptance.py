"""The short way: whether an object is right altogether, without saying what of it is not.

Nearly everything that comes is right, and nothing has to be said of it: then no place has to be known. The
rules themselves are asked, with a report that nobody reads; where an object is not accepted, or something is
said into that report, ``Rules.check`` walks the same rules again and tells.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from fhirserver.validation.constraints import Holds, Native
from fhirserver.validation.extensions import ExtensionRule
from fhirserver.validation.primitives import Test
from fhirserver.validation.rules import (
    MAX_DEPTH,
    ComplexRule,
    Extra,
    Invariant,
    PrimitiveRule,
    ResourceRule,
    Rule,
    Rules,
    Scope,
    TwinRule,
)

Accept = Callable[[Any, Scope, int], bool]
"""Whether a value is right, at this depth, as far as nothing is in ``scope.report`` afterwards; false: look
closely."""


def acceptances(rules: Mapping[str, Rules], accept_contained: Accept) -> dict[str, Accept]:
    """How the objects of all these rules are accepted; ``accept_contained`` asks for contained resources."""
    objects: dict[str, dict[str, Accept]] = {name: {} for name in rules}
    found = {name: _accepting(one, objects[name]) for name, one in rules.items()}
    for name, one in rules.items():
        for json_name, rule in one.elements.items():
            accept = _of(rule, found, accept_contained)
            if accept is not None:
                objects[name][json_name] = accept
    return found


def _accepting(rules: Rules, objects: Mapping[str, Accept]) -> Accept:
    """How an object is accepted; ``objects`` are its elements that are not decided by a test alone."""
    find_test = {name: rule.test for name, rule in rules.elements.items() if rule.test}.get
    find_object = objects.get
    is_element = not rules.resource
    needed = tuple(names for _, names in rules.required)
    choices = {name: rule.choice for name, rule in rules.elements.items() if rule.choice}
    single = sum(not names & choices.keys() for names in needed) + rules.resource
    several = single + 2 if choices else sys.maxsize  # so many names, where two are alternatives of a choice
    holding: list[tuple[str, Holds]] = []
    asked: dict[str, list[Invariant]] = {}
    for needs, invariant in rules.invariants:
        if isinstance(invariant, Native) and invariant.holds is not None:
            holding.append((needs, invariant.holds))
        elif not invariant.silent:
            asked.setdefault(needs, []).append(invariant)

    def accept_elements(value: Any, scope: Scope, depth: int) -> bool:
        if type(value) is not dict or depth >= MAX_DEPTH:
            return False
        if is_element and len(value) < 2 and (not value or "id" in value):
            return False
        depth += 1
        for name, item in value.items():
            if (test := find_test(name)) is not None:
                if not test(item):
                    return False
            elif (inner := find_object(name)) is None or not inner(item, scope, depth):
                return False
        return True

    if not (needed or choices or holding or asked):
        return accept_elements

    def accept(value: Any, scope: Scope, depth: int) -> bool:
        if not accept_elements(value, scope, depth):
            return False
        for names in needed:
            if names.isdisjoint(value):
                return False
        if len(value) >= several and _is_chosen_twice(value, choices):
            return False
        for needs, holds in holding:
            if (needs in value or not needs) and not holds(value):
                return False
        for needs, invariants in asked.items():
            if needs in value or not needs:
                for invariant in invariants:
                    invariant.check(value, "", scope, True)
        return True

    return accept


def _is_chosen_twice(value: dict[str, Any], choices: Mapping[str, str]) -> bool:
    """Whether two alternatives of a choice may be there; those with a twin are looked at closely."""
    found = choices.keys() & value.keys()
    return len(found) > 1 and len({choices[name] for name in found}) < len(found)


def _of(rule: Rule, known: Mapping[str, Accept], accept_contained: Accept) -> Accept | None:
    """How an element is accepted; None: what has it is looked at closely."""
    if rule.test:
        return None  # it has been asked
    match rule:
        case ExtensionRule():
            return rule.accepting(known["Extension"])
        case ComplexRule():
            return _objects(known[rule.rules.name], rule.decisive, rule.many)
        case PrimitiveRule():
            return _values(rule.accepts) if rule.many else _value(rule.accepts)
        case TwinRule() if not rule.many:
            return known[rule.rules.name]
        case ResourceRule() if rule.name == "contained":
            return _each(accept_contained)
    return None


def _objects(accepts: Accept, extras: tuple[Extra, ...], many: bool) -> Accept:
    if not extras:
        return _each(accepts) if many else accepts

    def accept_one(item: Any, scope: Scope, depth: int) -> bool:
        if not accepts(item, scope, depth):
            return False
        for extra in extras:
            extra(item, "", scope)
        return True

    return _each(accept_one) if many else accept_one


def _each(accepts: Accept) -> Accept:
    def accept(item: Any, scope: Scope, depth: int) -> bool:
        if type(item) is not list or not item:
            return False
        for one in item:  # noqa: SIM110 (a generator costs as much as what it asks)
            if not accepts(one, scope, depth):
                return False
        return True

    return accept


def _value(test: Test) -> Accept:
    return lambda item, scope, depth: test(item)


def _values(test: Test) -> Accept:
    def accept(item: Any, scope: Scope, depth: int) -> bool:
        if type(item) is not list or not item:
            return False
        for one in item:  # noqa: SIM110 (a generator costs as much as what it asks)
            if not test(one):
                return False
        return True

    return accept
