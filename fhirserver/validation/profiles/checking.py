"""Checks a resource or element against the tree of a profile."""

from collections.abc import Mapping
from typing import Any

from fhirserver.errors import Severity
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.validation import constraints
from fhirserver.validation.bindings import named
from fhirserver.validation.codes import allowed
from fhirserver.validation.fhirpath import FHIRPathError, compile_expression, holds
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.profiles import demands
from fhirserver.validation.profiles.elements import CANONICAL, MISSING, Constrained, Invariant, Kind
from fhirserver.validation.profiles.limits import is_beyond
from fhirserver.validation.profiles.placing import Item, agrees, items_of
from fhirserver.validation.profiles.slicing import Lookup, Slices, Undecided, codings_of
from fhirserver.validation.references import target_type
from fhirserver.validation.report import Node as Place
from fhirserver.validation.report import shown
from fhirserver.validation.rules import MAX_DEPTH, Scope, contained_types


class Checking:
    """Walks an instance along a profile. Content of a wrong shape, of which the base rules have told, is
    passed over."""

    def __init__(self, knowledge: Knowledge, profiles: Lookup) -> None:
        self._knowledge = knowledge
        self._definitions: Definitions = knowledge.definitions
        self._profiles = profiles
        self._slices = Slices(profiles)

    def element(self, profile: str, tree: Constrained, item: Item, scope: Scope) -> None:
        """Report what is wrong with one item and everything below it; ``profile`` names it in messages."""
        if scope.depth >= MAX_DEPTH:
            return
        scope.depth += 1
        self._value(profile, tree, item, scope)
        if tree.kinds:
            self._kinds(profile, tree.kinds, tree, item, scope)
        if tree.demands:
            demands.check(tree.demands, profile, item, scope)
        for invariant in tree.invariants.values():
            self._invariant(invariant, item, scope)
        if tree.children and tree.name in _INSIDE:
            scope = _inside(item, scope, contained=tree.name == "contained")
        for child in tree.children.values():
            found = items_of(item.node, item.place, child.name, self._definitions)
            self._children(profile, child, found, item.place, scope)
        scope.depth -= 1

    def _children(
        self, profile: str, child: Constrained, items: list[Item], parent: Place, scope: Scope
    ) -> None:
        self._count(profile, child, len(items), (parent, "." + child.name), scope)
        for item in items:
            self.element(profile, child, item, scope)
        if child.slices or (child.slicing and child.slicing.rules == "closed"):
            self._sliced(profile, child, items, parent, scope)

    def _sliced(
        self, profile: str, child: Constrained, items: list[Item], parent: Place, scope: Scope
    ) -> None:
        """Give every item to the slice it belongs to, then check each slice as an element of its own."""
        names = [name for name in child.slices if name != "@default"]
        members: dict[str, list[Item]] = {name: [] for name in child.slices}
        last, before = -1, ""
        for item in items:
            name = self._slice_of(profile, child, item, scope)
            if name is None:
                return
            if name == "":
                self._unsliced(profile, child, item, names, members, scope)
                continue
            members[name].append(item)
            at = names.index(name)
            if at < last and child.slicing and child.slicing.ordered:
                scope.report.add(
                    item.place, "structure", "slice-order", profile=profile, slice=name, before=before
                )
            last, before = max(at, last), name if at >= last else before
        for name, slice in child.slices.items():
            found = members[name]
            self._count(profile, slice, len(found), (parent, "." + child.name), scope)
            for item in found:
                self.element(profile, slice, item, scope)
            if slice.slices:
                self._sliced(profile, slice, found, parent, scope)

    def _unsliced(
        self,
        profile: str,
        child: Constrained,
        item: Item,
        names: list[str],
        members: dict[str, list[Item]],
        scope: Scope,
    ) -> None:
        if "@default" in members:
            members["@default"].append(item)
        elif child.slicing and child.slicing.rules == "closed":
            wanted = ", ".join(names)
            scope.report.add(item.place, "structure", "slice-closed", profile=profile, wanted=wanted)

    def _slice_of(self, profile: str, child: Constrained, item: Item, scope: Scope) -> str | None:
        """The name of the slice an item belongs to, "" for none; None where that cannot be said."""
        for name, slice in child.slices.items():
            if name == "@default":
                continue
            try:
                if self._slices.belongs(item.node, slice, child, scope):
                    return name
            except Undecided as undecided:
                values = {"profile": profile, "name": child.label, "why": str(undecided)}
                scope.report.note("warning", item.place, "incomplete", "slice-unchecked", **values)
                return None
        return ""

    def _count(self, profile: str, tree: Constrained, count: int, place: Place, scope: Scope) -> None:
        values: dict[str, Any] = {"profile": profile, "name": tree.label, "count": count}
        if count < tree.least:
            scope.report.add(place, "required", "profile-min", least=tree.least, **values)
        if tree.most is not None and count > tree.most:
            scope.report.add(place, "structure", "profile-max", most=tree.most, **values)

    def _value(self, profile: str, tree: Constrained, item: Item, scope: Scope) -> None:
        value, report = item.node.value, scope.report
        if value is None:
            return  # It has extensions in the place of its value.
        if tree.fixed is not MISSING and not agrees(value, tree.fixed, exact=True):
            report.add(
                item.place, "value", "profile-fixed",
                profile=profile, value=_brief(value), wanted=_brief(tree.fixed),
            )  # fmt: skip
        if tree.pattern is not MISSING and not agrees(value, tree.pattern, exact=False):
            report.add(
                item.place, "value", "profile-pattern",
                profile=profile, value=_brief(value), wanted=_brief(tree.pattern),
            )  # fmt: skip
        if tree.max_length is not None and type(value) is str and len(value) > tree.max_length:
            report.add(item.place, "too-long", "profile-length", profile=profile, most=tree.max_length)
        for limit, sign in ((tree.min_value, ">="), (tree.max_value, "<=")):
            if limit is not MISSING and is_beyond(value, limit, sign):
                wanted = f"{sign} {_brief(limit)}"
                values = {"profile": profile, "value": _brief(value), "wanted": wanted}
                report.add(item.place, "value", "profile-range", **values)
        for binding in (tree.binding, *tree.bindings):
            if binding is not None:
                self._binding(binding, item, scope)

    def _binding(self, binding: tuple[str, str], item: Item, scope: Scope) -> None:
        strength, value_set = binding
        required = strength == "required"
        if not required and (strength != "extensible" or not scope.report.advice):
            return
        codings = codings_of(item.node.value)
        answers = [self._knowledge.is_member(value_set, system, code) for system, code in codings]
        if True in answers:
            return
        expanded = self._knowledge.value_sets.get(value_set)
        codes = [code for listed in expanded.codes.values() for code in listed] if expanded else []
        wanted = allowed(codings[0][1] if codings else "", codes, value_set)
        value = ", ".join(named({"system": s, "code": c}) if s else repr(c) for s, c in codings[:3])
        if None in answers:
            values = {"value": value, "value_set": value_set}
            scope.report.note("warning", item.place, "incomplete", "value-set-unknown", **values)
        elif not required:
            if codings:
                scope.report.note(
                    "warning", item.place, "code-invalid", "extensible", value=value, wanted=wanted
                )
        elif codings:
            key = "code" if type(item.node.value) is str else "codings"
            scope.report.add(item.place, "code-invalid", key, value=value, wanted=wanted)
        else:
            scope.report.add(item.place, "code-invalid", "no-coding", wanted=wanted)

    def _kinds(
        self, profile: str, kinds: tuple[Kind, ...], tree: Constrained, item: Item, scope: Scope
    ) -> None:
        matching = [k for k in kinds if self._knowledge.model.is_type(item.node, k.code)]
        if not matching:
            wanted = ", ".join(dict.fromkeys(k.code for k in kinds))
            values = {"profile": profile, "name": tree.label, "type": item.node.type, "wanted": wanted}
            scope.report.add(item.place, "structure", "profile-choice", **values)
            return
        profiles = [url for k in matching for url in k.profiles]
        named = set(map(_short, profiles)) & self._definitions.resource_types
        if named and all(k.profiles for k in matching) and named == set(map(_short, profiles)):
            if item.node.type not in named and not named & {"Resource", "DomainResource"}:
                values = {"name": tree.label, "type": item.node.type, "wanted": ", ".join(sorted(named))}
                scope.report.add(item.place, "structure", "profile-choice", profile=profile, **values)
            return
        if profiles and all(k.profiles for k in matching):
            self._profiles.check_any(profiles, item, scope)
        modes = {mode for k in matching for mode in k.aggregation}
        if modes and type(item.node.value) is dict:
            self._aggregation(profile, modes, item, scope)
        targets = [url for k in matching for url in k.targets]
        if targets and item.node.type == "Reference" and type(item.node.value) is dict:
            self._target(profile, targets, item, scope)

    def _aggregation(self, profile: str, modes: set[str], item: Item, scope: Scope) -> None:
        """What a reference points to lies where the profile wants it; what is bundled is referenced, too."""
        literal = item.node.value.get("reference")
        if type(literal) is not str or not literal:
            return
        places = {"contained"} if literal.startswith("#") else {"referenced"}
        if "referenced" in places and constraints.found(literal, scope) is not None:
            places.add("bundled")
        if places.isdisjoint(modes):
            values = {"profile": profile, "value": shown(literal), "wanted": ", ".join(sorted(modes))}
            scope.report.add(item.place, "value", "profile-aggregation", **values)

    def _target(self, profile: str, targets: list[str], item: Item, scope: Scope) -> None:
        """The type a reference names is one of the targets'; what it points to inside conforms to one."""
        value = item.node.value
        literal = value.get("reference")
        found = None
        if type(literal) is str and literal:
            found = target_type(literal, scope, self._definitions.resource_types)
        found = found or value.get("type")
        types = {self._profiles.type_of(url) for url in targets}
        if found is None or types & {None, "Resource"}:
            return
        if found not in types:
            wanted = ", ".join(url.rpartition("/")[2] for url in targets)
            values = {"profile": profile, "found": shown(found), "wanted": wanted}
            scope.report.add(item.place, "value", "profile-target", **values)
        elif type(literal) is str:
            inside = constraints.found(literal, scope)
            if inside is not None and not self._fits(inside, targets, scope):
                wanted = ", ".join(url.rpartition("/")[2] for url in targets)
                values = {"profile": profile, "found": shown(literal), "wanted": wanted}
                scope.report.add(item.place, "value", "profile-target", **values)

    def _fits(self, resource: Mapping[str, Any], targets: list[str], scope: Scope) -> bool:
        node = self._knowledge.model.resource(resource)
        answers = [self._profiles.conforms(node, url, scope) for url in targets]
        return True in answers or None in answers

    def _invariant(self, invariant: Invariant, item: Item, scope: Scope) -> None:
        severity: Severity = "error" if invariant.severity == "error" else "warning"
        try:
            evaluate = compile_expression(invariant.expression)
            environment = constraints.environment(item.node, scope, self._knowledge)
            if holds(evaluate(environment, [item.node])):
                return
        except (FHIRPathError, ArithmeticError, RecursionError) as error:
            constraints.unchecked(invariant.key, error, item.place, scope.report)
            return
        text = constraints.said(invariant.key, invariant.human)
        scope.report.breach(item.place, invariant.key, text, severity=severity, url=invariant.source)


_INSIDE = ("contained", "resource")


def _inside(item: Item, scope: Scope, *, contained: bool) -> Scope:
    """The scope of what is below a resource inside another one; else the same."""
    value = item.node.value
    if type(value) is not dict or "resourceType" not in value or value is scope.resource:
        return scope
    inner = Scope(scope.report, value, item.place, scope.contained, scope.bundle, scope.depth)
    if contained:
        inner.root = scope.root
    else:
        inner.contained = contained_types(value)
    return inner


def _short(canonical: str) -> str:
    return canonical.removeprefix(CANONICAL)


def _brief(value: Any) -> str:
    text = json.format(value).decode() if isinstance(value, dict | list) else str(shown(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_SHOWN = 120
