"""The functions of FHIRPath that are about collections, types and FHIR. https://hl7.org/fhirpath/N1/#functions"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fhirserver.validation.fhirpath import strings, values
from fhirserver.validation.fhirpath.nodes import (
    FALSE,
    NOTHING,
    TRUE,
    TYPE,
    FHIRPathError,
    Model,
    Node,
    Nodes,
    truth,
)
from fhirserver.validation.narrative import problem


def _unresolved(reference: str) -> None:
    return None


@dataclass(slots=True)
class Env:
    """What an expression is evaluated in.

    ``context`` is the element it is about, ``resource`` the resource this is in, ``root`` the one that
    contains that resource. ``resolve`` finds the resource a reference names (None: it cannot);
    ``is_member`` says whether a coding is in a value set, ``conforms`` whether a resource or element conforms
    to a profile (both None: that cannot be said). ``extension`` is the extension whose condition is asked.
    """

    model: Model
    resource: Node
    root: Node
    context: Node
    resolve: Callable[[str], Any] = _unresolved
    is_member: Callable[[str, str, str], bool | None] | None = None
    conforms: Callable[[Node, str], bool | None] | None = None
    extension: Node | None = None
    this: Nodes = field(default_factory=list)
    index: int = 0
    total: Nodes = field(default_factory=list)

    def on(self, node: Node, index: int) -> "Env":
        """The environment of a criterion that is asked of one item of a collection."""
        return replace(self, this=[node], index=index)


Evaluate = Callable[[Env, Nodes], Nodes]
Make = Callable[..., Evaluate]


def _simple(function: Callable[[Nodes], Nodes]) -> Make:
    """Without arguments: needs nothing but the collection."""

    def make(before: Evaluate) -> Evaluate:
        return lambda env, nodes: function(before(env, nodes))

    return make


def _set(function: Callable[[Nodes, Nodes], Nodes]) -> Make:
    """With another collection, which is evaluated where the expression stands."""

    def make(before: Evaluate, other: Evaluate) -> Evaluate:
        return lambda env, nodes: function(before(env, nodes), other(env, env.this or nodes))

    return make


def _asked(env: Env, criterion: Evaluate, node: Node, index: int) -> bool:
    return values.boolean(criterion(env.on(node, index), [node])) is True


def exists(before: Evaluate, criterion: Evaluate | None = None) -> Evaluate:
    if criterion is None:
        return lambda env, nodes: truth(bool(before(env, nodes)))
    return lambda env, nodes: truth(
        any(_asked(env, criterion, n, i) for i, n in enumerate(before(env, nodes)))
    )


def all_(before: Evaluate, criterion: Evaluate) -> Evaluate:
    return lambda env, nodes: truth(
        all(_asked(env, criterion, n, i) for i, n in enumerate(before(env, nodes)))
    )


def where(before: Evaluate, criterion: Evaluate) -> Evaluate:
    return lambda env, nodes: [n for i, n in enumerate(before(env, nodes)) if _asked(env, criterion, n, i)]


def select(before: Evaluate, projection: Evaluate) -> Evaluate:
    return lambda env, nodes: [
        found for i, n in enumerate(before(env, nodes)) for found in projection(env.on(n, i), [n])
    ]


def repeat(before: Evaluate, projection: Evaluate) -> Evaluate:
    def repeated(env: Env, nodes: Nodes) -> Nodes:
        found: Nodes = []
        todo = before(env, nodes)
        while todo:
            todo = [f for n in todo for f in projection(env.on(n, 0), [n]) if not any(f is o for o in found)]
            found += todo
            if len(found) > _MOST:
                raise FHIRPathError("repeat() finds too much")
        return values.distinct(found)

    return repeated


_MOST = 100_000


def iif(before: Evaluate, criterion: Evaluate, then: Evaluate, otherwise: Evaluate | None = None) -> Evaluate:
    def chosen(env: Env, nodes: Nodes) -> Nodes:
        focus = before(env, nodes)
        inner = replace(env, this=focus or env.this)
        if values.boolean(criterion(inner, focus)) is True:
            return then(inner, focus)
        return otherwise(inner, focus) if otherwise else NOTHING

    return chosen


def aggregate(before: Evaluate, step: Evaluate, start: Evaluate | None = None) -> Evaluate:
    def aggregated(env: Env, nodes: Nodes) -> Nodes:
        total = start(env, nodes) if start else NOTHING
        for index, node in enumerate(before(env, nodes)):
            total = step(replace(env.on(node, index), total=total), [node])
        return total

    return aggregated


def not_(nodes: Nodes) -> Nodes:
    known = values.boolean(nodes)
    return NOTHING if known is None else truth(not known)


def single(nodes: Nodes) -> Nodes:
    if len(nodes) > 1:
        raise FHIRPathError("single() of several")
    return nodes


def _window(cut: Callable[[Nodes, int], Nodes]) -> Make:
    def make(before: Evaluate, count: Evaluate) -> Evaluate:
        def windowed(env: Env, nodes: Nodes) -> Nodes:
            number = count(env, nodes)
            return cut(before(env, nodes), max(int(values.number(number[0])), 0)) if number else NOTHING

        return windowed

    return make


def _without(nodes: Nodes, other: Nodes) -> Nodes:
    return [n for n in nodes if not values.has(other, n)]


def _intersection(nodes: Nodes, other: Nodes) -> Nodes:
    return values.distinct([n for n in nodes if values.has(other, n)])


def children(before: Evaluate) -> Evaluate:
    return lambda env, nodes: [c for n in before(env, nodes) for c in env.model.all_children(n)]


def descendants(before: Evaluate) -> Evaluate:
    return lambda env, nodes: [d for n in before(env, nodes) for d in env.model.descendants(n)]


def extension(before: Evaluate, url: Evaluate) -> Evaluate:
    def extended(env: Env, nodes: Nodes) -> Nodes:
        wanted = [n.value for n in url(env, nodes)]
        return [
            e
            for n in before(env, nodes)
            for e in env.model.children(n, "extension")
            if type(e.value) is dict and e.value.get("url") in wanted
        ]

    return extended


def resolve(before: Evaluate) -> Evaluate:
    def resolved(env: Env, nodes: Nodes) -> Nodes:
        found = []
        for node in before(env, nodes):
            literal = node.value.get("reference") if type(node.value) is dict else node.value
            resource = env.resolve(literal) if type(literal) is str else None
            if resource is not None:
                found.append(env.model.resource(resource))
        return found

    return resolved


def member_of(before: Evaluate, value_set: Evaluate) -> Evaluate:
    def belongs(env: Env, nodes: Nodes) -> Nodes:
        focus, urls = before(env, nodes), value_set(env, nodes)
        if not focus or not urls:
            return NOTHING
        if env.is_member is None:
            raise FHIRPathError("memberOf() needs terminology")
        answers = [env.is_member(str(urls[0].value), *pair) for pair in _codings(focus[0])]
        if True in answers:
            return TRUE
        if None in answers:
            raise FHIRPathError(f"the value set {urls[0].value} is not known here")
        return truth(False)

    return belongs


def _codings(node: Node) -> list[tuple[str, str]]:
    value = node.value
    if type(value) is not dict:
        return [("", str(value))]
    listed = value.get("coding", [value] if "code" in value else [])
    return [(str(c.get("system", "")), str(c.get("code", ""))) for c in listed if type(c) is dict]


def conforms_to(before: Evaluate, profile: Evaluate) -> Evaluate:
    def conforms(env: Env, nodes: Nodes) -> Nodes:
        focus, urls = before(env, nodes), profile(env, nodes)
        if not focus or not urls:
            return NOTHING
        found = env.conforms(focus[0], str(urls[0].value)) if env.conforms else None
        if found is None:
            raise FHIRPathError(f"the profile {urls[0].value} is not known here")
        return truth(found)

    return conforms


def _has_value(nodes: Nodes) -> Nodes:
    return truth(len(nodes) == 1 and nodes[0].value is not None and type(nodes[0].value) is not dict)


def _html(nodes: Nodes) -> Nodes:
    return truth(all(type(n.value) is str and problem(n.value) is None for n in nodes))


def trace(before: Evaluate, name: Evaluate, projection: Evaluate | None = None) -> Evaluate:
    """Says nothing here: what resources contain is in no log."""
    return before


def of_type(before: Evaluate, name: str) -> Evaluate:
    return lambda env, nodes: [n for n in before(env, nodes) if env.model.is_type(n, name)]


def is_(before: Evaluate, name: str) -> Evaluate:
    def is_type(env: Env, nodes: Nodes) -> Nodes:
        found = before(env, nodes)
        if len(found) > 1:
            raise FHIRPathError("'is' takes a single value")
        return truth(env.model.is_type(found[0], name)) if found else FALSE  # as the official validator

    return is_type


def _type(before: Evaluate) -> Evaluate:
    return lambda env, nodes: [Node(n[0].type, TYPE)] if (n := before(env, nodes)) else NOTHING


TYPED: dict[str, Callable[[Evaluate, str], Evaluate]] = {"ofType": of_type, "as": of_type, "is": is_}
"""Those whose argument is the name of a type."""

FUNCTIONS: dict[str, Make] = {
    "aggregate": aggregate,
    "all": all_,
    "allFalse": _simple(lambda nodes: truth(all(n.value is False for n in nodes))),
    "allTrue": _simple(lambda nodes: truth(all(n.value is True for n in nodes))),
    "anyFalse": _simple(lambda nodes: truth(any(n.value is False for n in nodes))),
    "anyTrue": _simple(lambda nodes: truth(any(n.value is True for n in nodes))),
    "children": children,
    "combine": _set(lambda nodes, other: nodes + other),
    "conformsTo": conforms_to,
    "count": _simple(lambda nodes: [Node(len(nodes), "integer")]),
    "descendants": descendants,
    "distinct": _simple(values.distinct),
    "empty": _simple(lambda nodes: truth(not nodes)),
    "exclude": _set(_without),
    "exists": exists,
    "extension": extension,
    "first": _simple(lambda nodes: nodes[:1]),
    "getValue": _simple(lambda nodes: [n for n in nodes if n.value is not None]),
    "hasValue": _simple(_has_value),
    "htmlChecks": _simple(_html),
    "iif": iif,
    "intersect": _set(_intersection),
    "isDistinct": _simple(lambda nodes: truth(len(values.distinct(nodes)) == len(nodes))),
    "last": _simple(lambda nodes: nodes[-1:]),
    "memberOf": member_of,
    "not": _simple(not_),
    "repeat": repeat,
    "resolve": resolve,
    "select": select,
    "single": _simple(single),
    "skip": _window(lambda nodes, count: nodes[count:]),
    "subsetOf": _set(lambda nodes, other: truth(all(values.has(other, n) for n in nodes))),
    "supersetOf": _set(lambda nodes, other: truth(all(values.has(nodes, n) for n in other))),
    "tail": _simple(lambda nodes: nodes[1:]),
    "take": _window(lambda nodes, count: nodes[:count]),
    "trace": trace,
    "type": _type,
    "union": _set(lambda nodes, other: values.distinct(nodes + other)),
    "where": where,
    **strings.FUNCTIONS,
}
