"""The rules of an element, and how they are checked.

``compilation`` makes one ``Rules`` for each structure; its ``check`` walks an object once. What is right
costs as little as possible; a text and a FHIRPath are only made for what is wrong.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from fhirserver.validation.codes import allowed
from fhirserver.validation.messages import Said
from fhirserver.validation.narrative import is_narrative, problem
from fhirserver.validation.primitives import Test
from fhirserver.validation.report import Node, Report, shown

MAX_DEPTH = 100
"""Objects inside objects; more is refused before Python's own limit is met."""

_LONGEST_NAME = 64


class Scope:
    """What is the same for all elements of one resource: where issues go, and what a reference may name.

    ``resource`` is the resource, at ``node``, ``root`` the one that contains it (else itself), ``contained``
    the contained resources' types by id, ``bundle`` the resources of the Bundle around it by fullUrl.
    """

    __slots__ = ("bundle", "contained", "depth", "node", "report", "resource", "root")

    def __init__(
        self,
        report: Report,
        resource: dict[str, Any],
        node: Node,
        contained: Mapping[str, str],
        bundle: Mapping[str, Any],
        depth: int,
    ) -> None:
        self.report = report
        self.resource = self.root = resource
        self.node = node
        self.contained = contained
        self.bundle = bundle
        self.depth = depth

    @property
    def inside(self) -> bool:
        """Whether this is within a contained resource."""
        return self.resource is not self.root


def contained_types(resource: dict[str, Any]) -> dict[str, str]:
    """The types of the contained resources by id, as far as these are well-formed."""
    found = {}
    listed = resource.get("contained")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            found[one["id"]] = str(one.get("resourceType"))
    return found


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
            scope.report.add((node, self.step), "structure", "ele-1", what=_EMPTY_ARRAY)
        else:
            scope.report.add((node, self.step), "structure", "array", name=self.name)
        return False

    def _single(self, item: Any, node: Node, scope: Scope) -> bool:
        """Whether the item is not an array, as elements that do not repeat are."""
        if type(item) is list:
            scope.report.add((node, self.step), "structure", "no-array", name=self.name)
            return False
        return True


class PrimitiveRule(Rule):
    """A primitive element; ``wanted`` says what the test accepts, ``code`` is the issue's when it fails."""

    __slots__ = ("_code", "_wanted", "accepts", "many")

    def __init__(
        self, name: str, step: str, choice: str | None, many: bool, test: Test, wanted: Said, code: str
    ) -> None:
        super().__init__(name, step, choice, None if many else test)
        self.many = many
        self.accepts = test
        self._wanted = wanted
        self._code = code

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        if not self.many:
            if self._single(item, node, scope):
                self._one(item, (node, self.step), scope)
        elif self._array(item, node, scope):
            for index, value in enumerate(item):
                if value is None:
                    twin = parent.get("_" + self.name)
                    if not (type(twin) is list and index < len(twin) and twin[index] is not None):
                        here = ((node, self.step), index)
                        scope.report.add(here, "structure", "ele-1", what=_null(self.name))
                elif not self.accepts(value):
                    self._one(value, ((node, self.step), index), scope)

    def _one(self, value: Any, node: Node, scope: Scope) -> None:
        if self.accepts(value):
            return
        if value is None or value == "":
            scope.report.add(node, "structure", "ele-1", what=_EMPTY_VALUE)
        elif type(value) is dict or type(value) is list:
            scope.report.add(node, "structure", "type", value=shown(value), wanted=self._wanted)
        elif self.accepts is is_narrative and type(value) is str:
            scope.report.add(node, self._code, "narrative", why=problem(value) or "")
        else:
            self._refuse(value, node, scope.report)

    def _refuse(self, value: Any, node: Node, report: Report) -> None:
        report.add(node, self._code, "type", value=shown(value), wanted=self._wanted)


class CodeRule(PrimitiveRule):
    """A code of a required binding; ``codes`` are those of its value set, which a message names."""

    __slots__ = ("_codes", "_set")

    def __init__(
        self,
        name: str,
        step: str,
        choice: str | None,
        many: bool,
        test: Test,
        codes: Sequence[str],
        value_set: str,
    ) -> None:
        super().__init__(name, step, choice, many, test, "", "code-invalid")
        self._codes = codes
        self._set = value_set

    def _refuse(self, value: Any, node: Node, report: Report) -> None:
        wanted = allowed(str(value), self._codes, self._set)
        report.add(node, self._code, "code", value=shown(value), wanted=wanted)


class TwinRule(Rule):
    """``_birthDate``: the id and the extensions of a primitive element; ``bound``: it has to be a code of a
    value set."""

    __slots__ = ("_bound", "_value", "many", "rules")

    def __init__(
        self, name: str, step: str, choice: str | None, many: bool, rules: "Rules", bound: bool
    ) -> None:
        super().__init__("_" + name, step, choice)
        self._bound = bound
        self._value = name
        self.many = many
        self.rules = rules

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        here = (node, self.step)
        if not self.many:
            if self._single(item, node, scope):
                self._one(item, self._value in parent, here, scope)
        elif self._array(item, node, scope):
            values = parent.get(self._value)
            if type(values) is not list:
                values = [None] * len(item)
            elif len(values) != len(item):
                sizes = {"values": len(values), "twins": len(item)}
                scope.report.add(here, "structure", "array-length", name=self._value, twin=self.name, **sizes)
                return
            for index, (one, value) in enumerate(zip(item, values, strict=True)):
                if one is not None:
                    self._one(one, value is not None, (here, index), scope)
                elif value is None:
                    what = _nothing(self.name, self._value)
                    scope.report.add((here, index), "structure", "ele-1", what=what)

    def _one(self, item: Any, has_value: bool, node: Node, scope: Scope) -> None:
        self.rules.check(item, node, scope, alone=not has_value)
        if self._bound and not has_value and not _is_of_another_version(item):
            scope.report.strict(node, "code-invalid", "code-missing")


def _is_of_another_version(twin: Any) -> bool:
    """Whether the value is a code that only another version of FHIR has, told by an extension."""
    listed = twin.get("extension") if type(twin) is dict else None
    urls = [e.get("url") for e in listed if type(e) is dict] if type(listed) is list else []
    return any(type(url) is str and _VERSIONED(url) for url in urls)


_VERSIONED = re.compile(r"http://hl7\.org/fhir/\d\.\d/StructureDefinition/extension-").match


class Invariant(Protocol):
    """A constraint of the specification; ``well_formed`` says whether the object's shape is right.

    A ``silent`` one says nothing where neither advice nor best practices are wanted.
    """

    @property
    def silent(self) -> bool: ...

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None: ...


class ComplexRule(Rule):
    """An element with elements of its own; of its extras, only the ``decisive`` speak without advice."""

    __slots__ = ("_extras", "decisive", "many", "rules")

    def __init__(
        self,
        name: str,
        step: str,
        choice: str | None,
        many: bool,
        rules: "Rules",
        extras: tuple[Extra, ...],
        decisive: tuple[Extra, ...],
    ) -> None:
        super().__init__(name, step, choice)
        self.many = many
        self.rules = rules
        self._extras = extras
        self.decisive = decisive

    def check(self, item: Any, parent: dict[str, Any], node: Node, scope: Scope) -> None:
        rules, extras = self.rules, self._extras
        here = (node, self.step)
        if self.many:
            if self._array(item, node, scope):
                for index, one in enumerate(item):
                    place = (here, index)
                    if rules.check(one, place, scope):
                        for extra in extras:
                            extra(one, place, scope)
        elif self._single(item, node, scope) and rules.check(item, here, scope):
            for extra in extras:
                extra(item, here, scope)


class ResourceRule(Rule):
    """An element that holds any resource: contained, Bundle.entry.resource, Parameters.parameter.resource."""

    __slots__ = ("_many", "_validate")

    def __init__(
        self, name: str, step: str, many: bool, validate: Callable[[Any, Node, Scope, bool], object]
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

    ``required`` has, for each element that has to be there, its name and the JSON names that satisfy it;
    ``invariants`` each with the JSON name without which it holds ("": it is always asked).
    """

    __slots__ = ("elements", "invariants", "name", "required", "resource")

    def __init__(self, name: str, resource: bool) -> None:
        self.name = name
        self.resource = resource
        self.elements: dict[str, Rule] = {}
        self.required: tuple[tuple[str, frozenset[str]], ...] = ()
        self.invariants: tuple[tuple[str, Invariant], ...] = ()

    def check(self, value: Any, node: Node, scope: Scope, alone: bool = True) -> bool:
        """Report what is wrong with the object; say whether nothing is.

        ``alone`` is false where the object only adds to a value that is there (``_birthDate``).
        """
        report = scope.report
        before = report.errors
        if type(value) is not dict:
            report.add(node, "structure", "object", name=self.name, value=shown(value))
            return False
        if not value or (len(value) == 1 and alone and "id" in value and not self.resource):
            report.add(node, "structure", "ele-1", what=_EMPTY_OBJECT)
            return False
        if scope.depth >= MAX_DEPTH:
            report.add(node, "too-long", "depth", most=MAX_DEPTH)
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
                    pair = {"one": other, "other": name.lstrip("_")}
                    report.add((node, "." + rule.choice), "structure", "choice", name=rule.choice, **pair)
            test = rule.test
            if test is None or not test(item):
                rule.check(item, value, node, scope)
        for element, names in self.required:
            if names.isdisjoint(value):
                report.add((node, "." + element), "required", "required", name=self.name, element=element)
        scope.depth -= 1
        well_formed = report.errors == before
        for needs, invariant in self.invariants:
            if needs in value or not needs:
                invariant.check(value, node, scope, well_formed)
        return report.errors == before

    def _unknown(self, name: str, node: Node, report: Report) -> None:
        if report.full or len(name) > _LONGEST_NAME:
            report.add(node, "structure", "unknown-element", name=shown(name), parent=self.name, advice="")
            return
        alternatives = [n for n, rule in self.elements.items() if rule.choice == name and n[0] != "_"]
        close = get_close_matches(name, self.elements, 1)
        advice: Said = ""
        if alternatives:
            listed = ", ".join(alternatives)
            advice = (
                f"; its type belongs into the name: {listed}",
                f" ; son type fait partie du nom : {listed}",
            )
            if len(alternatives) > _MANY:
                first = alternatives[0]
                advice = (
                    f"; its type belongs into the name, such as {first}",
                    f" ; son type fait partie du nom, par exemple {first}",
                )
        elif close:
            advice = f"; did you mean {close[0]!r}?", f" ; vouliez-vous dire {close[0]!r} ?"
        where = (node, "." + name)
        report.add(where, "structure", "unknown-element", name=repr(name), parent=self.name, advice=advice)


_MANY = 5
_EMPTY_ARRAY = "an array cannot be empty", "un tableau ne peut pas être vide"
_EMPTY_VALUE = "a value cannot be null or empty", "une valeur ne peut être null ni vide"
_EMPTY_OBJECT = (
    "an object cannot be empty or have nothing but an id",
    "un objet ne peut pas être vide ni n'avoir qu'un id",
)


def _null(name: str) -> Said:
    return (
        f"null needs an object in _{name} at the same place",
        f"null demande un objet au même rang de _{name}",
    )


def _nothing(twin: str, name: str) -> Said:
    return f"null in {twin} without a value in {name}", f"null dans {twin} sans valeur dans {name}"
