"""The FHIRPath of search parameters, compiled to walks over plain dicts.

What SearchParameter.expression uses is a small part of FHIRPath: paths, ``|``, ``as``, ``ofType``, ``where``
with a simple condition, ``extension``, ``exists`` and ``[0]``. Types are resolved while compiling, from the
definitions: ``Observation.value as Quantity`` becomes a walk to ``valueQuantity`` that is known to end at a
Quantity, so nothing has to be guessed while resources are indexed.

https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/fhirpath.html
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from fhirserver.model import reference
from fhirserver.model.definitions import Definitions, Element, Type

Nodes = list[Any]
Step = Callable[[Nodes], Nodes]


class NotCompilable(Exception):
    """The expression uses FHIRPath that search does not know, or an element that does not exist."""


class NotUnderstood(NotCompilable):
    """It is FHIRPath beyond what is compiled here, or none."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way from a resource (or an element) to values of one type.

    ``root`` is the JSON name it starts with; "" when it must be walked even if no element is there
    (``exists()``). ``steps`` are those after the root. ``type`` is the FHIR type of what is found;
    ``targets`` the types that a reference may point to; ``systems`` the code systems of the required binding.
    """

    root: str
    steps: tuple[Step, ...]
    type: str
    structure: str = ""
    targets: tuple[str, ...] = ()
    systems: frozenset[str] = frozenset()

    def values(self, node: dict[str, Any]) -> Nodes:
        """What it finds in a resource or element, without nulls."""
        if not self.root:
            return self.walk([node])
        value = node.get(self.root)
        if value is None:
            return []
        return self.walk(value if type(value) is list else [value])

    def walk(self, nodes: Nodes) -> Nodes:
        """What it finds below the nodes of its root."""
        for step in self.steps:
            nodes = step(nodes)
            if not nodes:
                return nodes
        return nodes if None not in nodes else [n for n in nodes if n is not None]


def compile_expression(expression: str, definitions: Definitions, type: str) -> tuple[Path, ...]:
    """The paths of an expression on ``type``, a resource type or the path of an element
    (``Observation.component``).

    Raises:
        NotCompilable: with the reason.
    """
    try:
        return tuple(_Compiler(expression, definitions, type).compile())
    except RecursionError:
        raise NotCompilable("The expression is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class _Walk:
    """A path while it is being built: its steps by name or function, and where it stands."""

    steps: tuple[str | Step, ...]
    type: Type
    element: Element | None = None

    def then(self, step: str | Step, type: Type | None = None, element: Element | None = None) -> "_Walk":
        return _Walk((*self.steps, step), type or self.type, element or self.element)


_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|(%?[A-Za-z_]\w*)|(\d+)|(!=|[().|\[\]=]))")


class _Compiler:
    def __init__(self, expression: str, definitions: Definitions, type: str) -> None:
        self._tokens = _tokens(expression)
        self._expression = expression
        self._definitions = definitions
        self._type = type

    def compile(self) -> Iterable[Path]:
        walks = self._union()
        if self._tokens:
            raise NotUnderstood(f"{self._tokens[0]!r} is not understood in {self._expression!r}")
        for walk in walks:
            yield self._path(walk)

    def _path(self, walk: _Walk) -> Path:
        first, *rest = walk.steps or (_itself,)
        systems: frozenset[str] = frozenset()
        if walk.element and walk.element.strength == "required":
            value_set = self._definitions.value_sets.get(walk.element.value_set)
            systems = frozenset((*value_set.codes, *value_set.open)) if value_set else systems
        steps = [
            _child(s) if isinstance(s, str) else s for s in (rest if isinstance(first, str) else walk.steps)
        ]
        root = first if isinstance(first, str) else ""
        return Path(root, tuple(steps), walk.type.code, walk.type.structure, walk.type.targets, systems)

    def _union(self) -> list[_Walk]:
        walks = self._term()
        while self._accept("|"):
            walks += self._term()
        return walks

    def _term(self) -> list[_Walk]:
        walks = self._steps(self._start())
        if self._accept("and"):
            return self._is_true_unless_false(walks)
        return self._as(walks) if self._accept("as") else walks

    def _start(self) -> list[_Walk]:
        if self._accept("("):
            walks = self._union()
            self._expect(")")
            return walks
        name = self._name()
        here = _Walk((), Type(self._type, self._type))
        if name == self._type or name in ("Resource", "DomainResource"):
            return [here]
        if name[0].isupper() or name[0] == "%":
            raise NotCompilable(f"{self._expression!r} is not about {self._type}")
        return self._function([here], name) if self._accept("(") else self._child([here], name)

    def _steps(self, walks: list[_Walk]) -> list[_Walk]:
        while self._tokens:
            if self._accept("["):
                position = int(self._tokens.pop(0))
                self._expect("]")
                walks = [w.then(_at(position)) for w in walks]
            elif self._accept("."):
                name = self._name()
                walks = self._function(walks, name) if self._accept("(") else self._child(walks, name)
            else:
                break
        return walks

    def _function(self, walks: list[_Walk], name: str) -> list[_Walk]:
        match name:
            case "as" | "ofType":
                walks = self._as(walks)
            case "where":
                walks = self._where(walks)
            case "extension":
                has_url = _where("url", self._text())
                walks = [w.then(has_url) for w in self._child(walks, "extension")]
            case "exists":
                walks = [_Walk((_any_of([self._path(w) for w in walks], but_false=False),), Type("boolean"))]
            case _:
                raise NotUnderstood(f"The function {name}() is not known in search parameters")
        self._expect(")")
        return walks

    def _where(self, walks: list[_Walk]) -> list[_Walk]:
        name = self._name()
        if self._accept("("):
            if name == "hasExtension":
                url = self._text()
                self._expect(")")
                return [w.then(_has_extension(url)) for w in walks]
            self._expect(")")
            self._expect("is")
            if name != "resolve":
                raise NotUnderstood(f"The function {name}() is not known in where()")
            target = self._name()
            return [
                w.then(_refers_to(target), Type(w.type.code, w.type.structure, (target,)), w.element)
                for w in walks
            ]
        self._expect("=")
        equal = _where(name, self._text())
        return [w.then(equal) for w in walks]

    def _is_true_unless_false(self, walks: list[_Walk]) -> list[_Walk]:
        """``x.exists() and x != false`` (Patient.deceased): a boolean that every resource has."""
        compared = self._steps(self._start())
        self._expect("!=")
        self._expect("false")
        if [w.steps and isinstance(w.steps[0], str) for w in walks] != [False]:
            raise NotUnderstood(f"'and' is known only after exists(), not in {self._expression!r}")
        return [_Walk((_any_of([self._path(w) for w in compared], but_false=True),), Type("boolean"))]

    def _child(self, walks: list[_Walk], name: str) -> list[_Walk]:
        found: list[_Walk] = []
        meant = ""
        for walk in walks:
            structure = self._definitions.structures.get(walk.type.structure)
            for element in structure.elements if structure else ():
                for json_name, type in element.json_names():
                    if element.name == name:
                        found.append(walk.then(json_name, type, element))
                    elif json_name == name:
                        meant = f"; FHIRPath writes {element.name}.ofType({type.code})"
        if not found:
            raise NotCompilable(
                f"There is no element {name!r} in {walks[0].type.structure or walks[0].type.code}{meant}"
            )
        return found

    def _as(self, walks: list[_Walk]) -> list[_Walk]:
        # A few expressions of the specification write DateTime for dateTime.
        wanted = self._name()
        kept = [w for w in walks if w.type.code.lower() == wanted.lower()]
        if not kept:
            raise NotCompilable(f"{self._expression!r} can never be a {wanted}")
        return kept

    def _accept(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise NotUnderstood(f"{token!r} is missing in {self._expression!r}")

    def _name(self) -> str:
        if not self._tokens or not (self._tokens[0][0].isalpha() or self._tokens[0][0] in "_%"):
            raise NotUnderstood(f"A name is missing in {self._expression!r}")
        return self._tokens.pop(0)

    def _text(self) -> str:
        if not self._tokens or self._tokens[0][0] != "'":
            raise NotUnderstood(f"A text in quotes is missing in {self._expression!r}")
        return self._tokens.pop(0)[1:-1]


def _tokens(expression: str) -> list[str]:
    tokens, position = [], 0
    text = expression.strip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise NotUnderstood(f"{text[position:].lstrip()[0]!r} is not understood in {expression!r}")
        tokens.append(found[0].strip())
        position = found.end()
    return tokens


def _itself(nodes: Nodes) -> Nodes:
    return nodes


# The steps are cached so that equal paths compare equal, which tells parameters that find the same.


@cache
def _child(name: str) -> Step:
    def child(nodes: Nodes) -> Nodes:
        found: Nodes = []
        for node in nodes:
            value = node.get(name) if node is not None else None
            if type(value) is list:
                found += value
            elif value is not None:
                found.append(value)
        return found

    return child


@cache
def _at(position: int) -> Step:
    return lambda nodes: nodes[position : position + 1]


@cache
def _where(name: str, value: str) -> Step:
    return lambda nodes: [n for n in nodes if n is not None and n.get(name) == value]


@cache
def _has_extension(url: str) -> Step:
    return lambda nodes: [n for n in nodes if any(e.get("url") == url for e in n.get("extension", ()))]


@cache
def _refers_to(target: str) -> Step:
    """``resolve() is Patient``, without resolving: by the type in the address, or else ``type``."""

    def refers(node: dict[str, Any]) -> bool:
        literal = node.get("reference")
        named = reference.parse(literal).type if literal else ""
        return (named or node.get("type")) == target

    return lambda nodes: [n for n in nodes if n is not None and refers(n)]


def _any_of(paths: list[Path], *, but_false: bool) -> Step:
    """True where one of the paths finds a value; with ``but_false``, a value that is not false."""

    def exists(nodes: Nodes) -> Nodes:
        found = [v for node in nodes for path in paths for v in path.values(node)]
        return [any(v is not False for v in found) if but_false else bool(found)]

    return exists
