"""Which slice an item belongs to. https://hl7.org/fhir/R4/profiling.html#discriminator"""

import re
from collections.abc import Mapping
from typing import Any, Protocol

from fhirserver.model.definitions import Definitions
from fhirserver.validation.fhirpath import Model, Node
from fhirserver.validation.profiles.elements import CANONICAL, MISSING, Constrained
from fhirserver.validation.profiles.placing import Item, agrees, parts
from fhirserver.validation.rules import Scope

_STEP = re.compile(r"\$this|resolve\(\)|ofType\((\w+)\)|extension\(['\"]([^'\"]+)['\"]\)|(\w+)(?:\[x\])?")


class Undecided(Exception):
    """A discriminator says nothing about a slice, or is not understood; the text says why."""


class Lookup(Protocol):
    """What checking asks about profiles, value sets and references."""

    definitions: Definitions
    model: Model

    def tree(self, url: str) -> Constrained | None: ...
    def is_member(self, value_set: str, system: str, code: str) -> bool | None: ...
    def resolved(self, literal: str, scope: Scope) -> Mapping[str, Any] | None: ...
    def conforms(self, node: Node, url: str, scope: Scope) -> bool | None: ...
    def check_any(self, urls: list[str], item: Item, scope: Scope) -> None: ...
    def type_of(self, canonical: str) -> str | None: ...


def steps_of(path: str) -> list[str]:
    """The steps of a discriminator's path. Raises Undecided where it is not understood."""
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise Undecided(f"the discriminator {path!r} is not understood")
        if found[0] != "$this":
            steps.append(found[0].removesuffix("[x]"))
        at = found.end()
        if at < len(path) and path[at] == ".":
            at += 1
        elif at < len(path):
            raise Undecided(f"the discriminator {path!r} is not understood")
    return steps


class Slices:
    """Tells slices apart by their discriminators."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def belongs(self, node: Node, slice: Constrained, sliced: Constrained, scope: Scope) -> bool:
        """Whether all discriminators say so that say something about the slice.

        Raises:
            Undecided: none of them does, or one is not understood.
        """
        slicing = sliced.slicing
        if slicing is None or not slicing.discriminators:
            raise Undecided("there is no discriminator")
        answers = [
            self._exists(steps_of(path), node, slice, scope)
            if kind == "exists"
            else self._walk(steps_of(path), [node], [slice], kind, scope)
            for kind, path in slicing.discriminators
        ]
        known = [answer for answer in answers if answer is not None]
        if not known:
            paths = ", ".join(path for _, path in slicing.discriminators)
            raise Undecided(f"{slice.label} says nothing about {paths}")
        return all(known)

    def _walk(
        self, steps: list[str], nodes: list[Node], trees: list[Constrained], kind: str, scope: Scope
    ) -> bool | None:
        """Go down the discriminator's path in the instance and in what the slice says, until that says
        something; None where it does not."""
        answers = [self._values(steps, nodes, tree) for tree in trees]
        if not steps:
            answers += [self._here(nodes, tree, kind, scope) for tree in trees]
        known = [answer for answer in answers if answer is not None]
        if known or not steps:
            return all(known) if known else None
        if steps[0] == "url" and len(steps) == 1:
            url = next((p for t in trees for k in t.kinds for p in k.profiles), None)
            if url is not None:
                return any(type(n.value) is dict and n.value.get("url") == url for n in nodes)
        below_nodes = [below for node in nodes for below in self._nodes(steps[0], node, scope)]
        below_trees = [below for tree in trees for below in self._trees(steps[0], tree)]
        return self._walk(steps[1:], below_nodes, below_trees, kind, scope) if below_trees else None

    def _values(self, steps: list[str], nodes: list[Node], tree: Constrained) -> bool | None:
        """What a fixed value or pattern at this place says about the rest of the path."""
        for expected, exact in ((tree.fixed, True), (tree.pattern, False)):
            wanted = [] if expected is MISSING else parts(expected, steps)
            if wanted:
                found = [part for node in nodes for part in parts(node.value, steps)]
                return all(any(agrees(f, w, exact=exact) for f in found) for w in wanted)
        return None

    def _here(self, nodes: list[Node], tree: Constrained, kind: str, scope: Scope) -> bool | None:
        """What the slice says about the place the path ends at, but for fixed values and patterns."""
        if kind == "type":
            codes = {k.code for k in tree.kinds} or ({tree.name} if tree.name[:1].isupper() else set())
            model = self._lookup.model
            return any(model.is_type(n, code) for n in nodes for code in codes) if codes else None
        if kind == "profile":
            urls = [url for k in tree.kinds for url in k.profiles]
            if not urls and tree.name[:1].isupper():
                return None
            answers = [self._lookup.conforms(n, url, scope) for n in nodes for url in urls]
            if answers and None in answers and True not in answers:
                raise Undecided("a profile is not known here")
            return any(answers) if urls else None
        if tree.binding is not None and tree.binding[0] == "required":
            return self._bound(nodes, tree.binding[1])
        answers = [
            self._walk([], [c for n in nodes for c in self._nodes(name, n, scope)], [child], kind, scope)
            for name, child in tree.children.items()
        ]
        known = [answer for answer in answers if answer is not None]
        return all(known) if known else None

    def _bound(self, nodes: list[Node], value_set: str) -> bool:
        answers = [
            self._lookup.is_member(value_set, system, code)
            for node in nodes
            for system, code in codings_of(node.value)
        ]
        if None in answers and True not in answers:
            raise Undecided(f"the value set {value_set} is not known here")
        return any(answers)

    def _exists(self, steps: list[str], node: Node, slice: Constrained, scope: Scope) -> bool:
        nodes, trees = [node], [slice]
        for step in steps:
            nodes = [below for one in nodes for below in self._nodes(step, one, scope)]
            trees = [below for tree in trees for below in self._trees(step, tree)]
        for tree in trees:
            if tree.most == 0:
                return not nodes
            if tree.least:
                return bool(nodes)
        raise Undecided(f"{slice.label} does not say whether {'.'.join(steps)} exists")

    def _nodes(self, step: str, node: Node, scope: Scope) -> list[Node]:
        """One step down in the instance."""
        children = self._lookup.model.children
        match _parsed(step):
            case "resolve", _:
                literal = node.value.get("reference") if type(node.value) is dict else node.value
                target = self._lookup.resolved(literal, scope) if type(literal) is str else None
                return [self._lookup.model.resource(target)] if target is not None else []
            case "ofType", name:
                return [node] if self._lookup.model.is_type(node, name) else []
            case "extension", url:
                found = children(node, "extension")
                return [e for e in found if type(e.value) is dict and e.value.get("url") == url]
        return children(node, step)

    def _trees(self, step: str, tree: Constrained) -> list[Constrained]:
        """One step down in what the profile says, through the profiles of its types."""
        match _parsed(step):
            case "resolve", _:
                targets = [url for kind in tree.kinds for url in kind.targets]
                return [self._target(url) for url in targets]
            case "ofType", name:
                typed = [s for s in tree.slices.values() if any(k.code == name for k in s.kinds)]
                return typed or [tree]
            case "extension", url:
                slices = tree.children["extension"].slices.values() if "extension" in tree.children else ()
                return [
                    more
                    for s in slices
                    if any(url in k.profiles for k in s.kinds)
                    for more in (s, *filter(None, [self._lookup.tree(url)]))
                ]
        found = [tree.children[step]] if step in tree.children else []
        for child in found[:]:  # what has to be among its items
            found += [s for s in child.slices.values() if s.least or len(child.slices) == 1]
        for kind in tree.kinds:
            for url in kind.profiles:
                other = self._lookup.tree(url)
                if other is not None and step in other.children:
                    found.append(other.children[step])
        return found

    def _target(self, url: str) -> Constrained:
        name = url.removeprefix(CANONICAL)
        found = self._lookup.tree(url)
        return found if found is not None else Constrained(name, name, name)


def codings_of(value: Any) -> list[tuple[str, str]]:
    """System and code of a code (without a system), Coding, Quantity or CodeableConcept."""
    if type(value) is str:
        return [("", value)]
    if type(value) is not dict:
        return []
    listed = value.get("coding", [value])
    return [
        (str(c.get("system", "")), str(c["code"]))
        for c in (listed if type(listed) is list else ())
        if type(c) is dict and "code" in c
    ]


def _parsed(step: str) -> tuple[str, str]:
    name, bracket, argument = step.partition("(")
    return (name, argument.rstrip(")").strip("'\"")) if bracket else ("", step)
