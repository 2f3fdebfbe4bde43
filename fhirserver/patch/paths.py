"""FHIRPath that says where something is, not only what: the paths of FHIRPath Patch.

A path selects *places* (the object that holds a value, the element's name, the index), so that the value can
be replaced there. Known are names, ``[n]``, ``where()``, ``first()``, ``last()``, ``single()``, ``ofType()``,
``as``, ``extension('url')``; in ``where()`` comparisons, ``and``, ``or``, ``exists()``, ``empty()``,
``not()``, ``startsWith()``, ``endsWith()``, ``contains()``.

https://hl7.org/fhir/R4/fhirpath.html
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhirserver.model.definitions import Definitions, Element, Type
from fhirserver.model.json import Resource

MAX_LENGTH = 2000
MAX_DEPTH = 20


class NotUnderstood(Exception):
    """The path is not FHIRPath, or not the part of it that patches use."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element is: ``owner[name]``, or ``owner[name][index]`` where it repeats.

    A primitive's id and extensions are in the twin ``owner["_" + name]``. The resource itself has no owner.
    """

    owner: dict[str, Any]
    name: str
    index: int | None
    type: Type
    element: Element | None

    @property
    def is_root(self) -> bool:
        return self.element is None

    @property
    def value(self) -> Any:
        """None for a primitive that has only extensions."""
        return self.owner if self.is_root else self._part(self.name)

    @property
    def twin(self) -> Any:
        """The id and extensions of a primitive; None when it has none."""
        return None if self.is_root else self._part(f"_{self.name}")

    def _part(self, name: str) -> Any:
        held = self.owner.get(name)
        if self.index is None or held is None:
            return held
        return held[self.index] if self.index < len(held) else None

    @property
    def structure(self) -> str:
        """The key of its elements in the definitions, "" for a primitive."""
        if self.type.code == "Resource":
            type = self.value.get("resourceType", "") if isinstance(self.value, dict) else ""
            return str(type)
        return self.type.structure


def root(resource: Resource) -> Place:
    type = resource["resourceType"]
    return Place(resource, "", None, Type(type, type), None)


def children(place: Place, name: str, definitions: Definitions) -> list[Place]:
    """The places of a child element: ``value`` finds ``valueQuantity``.

    Raises:
        NotUnderstood: the type has no such element.
    """
    found = []
    for json_name, element, type in names(place, name, definitions):
        # A primitive's own children (id, extension) are in its twin.
        owner = place.value if isinstance(place.value, dict) else place.twin
        if not isinstance(owner, dict):
            continue
        held, twin = owner.get(json_name), owner.get(f"_{json_name}")
        if element.max is None:
            count = max(len(held or ()), len(twin or ()))
            found += [Place(owner, json_name, index, type, element) for index in range(count)]
        elif held is not None or twin is not None:
            found.append(Place(owner, json_name, None, type, element))
    return found


def names(place: Place, name: str, definitions: Definitions) -> list[tuple[str, Element, Type]]:
    """The JSON names an element of this name has, one for each type of a choice.

    Raises:
        NotUnderstood: the type has no such element.
    """
    structure = definitions.structures.get(place.structure or "Element")
    for element in structure.elements if structure else ():
        if element.name == name:
            return [(json_name, element, type) for json_name, type in element.json_names()]
    raise NotUnderstood(f"{place.structure or place.type.code} has no element {name[:40]!r}")


def select(resource: Resource, path: str, definitions: Definitions) -> list[Place]:
    """The places that a path selects in a resource; [] when there is nothing.

    Raises:
        NotUnderstood: with the reason.
    """
    if len(path) > MAX_LENGTH:
        raise NotUnderstood(f"the path is longer than {MAX_LENGTH} characters")
    return _Evaluation(path, definitions).run(root(resource))


# --- the grammar: https://hl7.org/fhirpath/N1/#grammar

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<time>@[0-9T:.+\-Z]+)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<name>\$this|[A-Za-z_]\w*|`[^`]+`)|(?P<sign>!=|<=|>=|!~|[().\[\]=<>~]))"
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

Places = list[Place]
Criterion = Callable[[Place], bool]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(path: str) -> Iterator[_Token]:
    position, end = 0, len(path.rstrip())
    while position < end:
        found = _TOKEN.match(path, position)
        if found is None or found.lastgroup is None:
            raise NotUnderstood(f"{path[position:].lstrip()[:20]!r} is not understood")
        yield _Token(found.lastgroup, found[found.lastgroup])
        position = found.end()


class _Evaluation:
    """One path, read and followed at once."""

    def __init__(self, path: str, definitions: Definitions) -> None:
        self._tokens = list(_tokens(path))
        self._position = 0
        self._depth = 0
        self._definitions = definitions

    def run(self, start: Place) -> Places:
        type = start.type.code
        if self._next_is("name", type, "Resource", "DomainResource"):
            self._position += 1
            places = self._steps([start])
        else:
            places = self._steps(self._step([start]))
        if self._position < len(self._tokens):
            raise NotUnderstood(f"{self._tokens[self._position].text[:20]!r} is not understood here")
        return places

    # --- places

    def _steps(self, places: Places) -> Places:
        while self._position < len(self._tokens):
            if self._accept("["):
                index = int(self._take("number").text)
                self._expect("]")
                places = places[index : index + 1]
            elif self._accept("."):
                places = self._step(places)
            elif self._next_is("name", "as"):
                self._position += 1
                places = self._of_type(places, self._take("name").text)
            else:
                break
        return places

    def _step(self, places: Places) -> Places:
        name = self._take("name").text.strip("`")
        if not self._accept("("):
            if not places:
                return []
            return [found for place in places for found in children(place, name, self._definitions)]
        match name:
            case "where":
                start, kept = self._position, []
                for place in places:
                    self._position = start
                    if self._or(place):
                        kept.append(place)
                if not places:
                    self._skip()
                places = kept
            case "first":
                places = places[:1]
            case "last":
                places = places[-1:]
            case "single":
                if len(places) > 1:
                    raise NotUnderstood(f"single() finds {len(places)} elements")
            case "ofType" | "as":
                places = self._of_type(places, self._take("name").text)
            case "extension":
                url = self._literal(self._take("text"))
                found = [e for place in places for e in children(place, "extension", self._definitions)]
                places = [place for place in found if place.value.get("url") == url]
            case _:
                raise NotUnderstood(f"the function {name[:40]}() is not known in the paths of patches")
        self._expect(")")
        return places

    def _of_type(self, places: Places, type: str) -> Places:
        return [p for p in places if type in (p.type.code, p.structure)]

    def _skip(self) -> None:
        """Pass over criteria that nothing is left to be held to."""
        depth = 0
        while self._position < len(self._tokens):
            text = self._tokens[self._position].text
            if text == ")" and depth == 0:
                return
            depth += (text == "(") - (text == ")")
            self._position += 1

    # --- criteria

    def _or(self, place: Place) -> bool:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise NotUnderstood("the path is nested too deeply")
        holds = self._and(place)
        while self._next_is("name", "or"):
            self._position += 1
            holds = self._and(place) or holds
        self._depth -= 1
        return holds

    def _and(self, place: Place) -> bool:
        holds = self._comparison(place)
        while self._next_is("name", "and"):
            self._position += 1
            holds = self._comparison(place) and holds
        return holds

    def _comparison(self, place: Place) -> bool:
        left = self._operand(place)
        sign = self._tokens[self._position].text if self._position < len(self._tokens) else ""
        if sign not in _COMPARISONS:
            # A collection alone is a criterion when it is one boolean.
            return left == [True]
        self._position += 1
        right = self._operand(place)
        if not left or not right:
            return False
        return _COMPARISONS[sign](left, right)

    def _operand(self, place: Place) -> list[Any]:
        """The values of a literal, a path from the element, or a criterion in parentheses."""
        if self._accept("("):
            holds = self._or(place)
            self._expect(")")
            return self._functions([holds])
        token = self._take("text", "time", "number", "name")
        if token.kind != "name":
            return [self._literal(token)]
        if token.text in ("true", "false"):
            return [token.text == "true"]
        if token.text == "$this":
            places = [place]
        else:
            self._position -= 1
            places = self._step([place])
        while self._position < len(self._tokens):
            if self._accept("["):
                index = int(self._take("number").text)
                self._expect("]")
                places = places[index : index + 1]
            elif self._next_is("sign", ".") and not self._function_follows():
                self._position += 1
                places = self._step(places)
            else:
                break
        return self._functions([_comparable(p) for p in places])

    def _function_follows(self) -> bool:
        at = self._position + 1
        return (
            at + 1 < len(self._tokens)
            and self._tokens[at].text in _FUNCTIONS
            and self._tokens[at + 1].text == "("
        )

    def _functions(self, values: list[Any]) -> list[Any]:
        """``.exists()``, ``.not()``, ``.startsWith('x')`` after a path."""
        while self._next_is("sign", ".") and self._function_follows():
            self._position += 1
            name = self._take("name").text
            self._expect("(")
            argument = ""
            if name in _WITH_TEXT:
                argument = str(self._literal(self._take("text")))
            self._expect(")")
            values = _FUNCTIONS[name](values, argument)
        return values

    def _literal(self, token: _Token) -> Any:
        match token.kind:
            case "text":
                return _ESCAPE.sub(_unescaped, token.text[1:-1])
            case "number":
                return Decimal(token.text)
            case _:
                return token.text[1:]

    # --- tokens

    def _next_is(self, kind: str, *texts: str) -> bool:
        if self._position >= len(self._tokens):
            return False
        token = self._tokens[self._position]
        return token.kind == kind and token.text in texts

    def _accept(self, sign: str) -> bool:
        if self._next_is("sign", sign):
            self._position += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise NotUnderstood(f"{sign!r} is missing")

    def _take(self, *kinds: str) -> _Token:
        if self._position >= len(self._tokens) or self._tokens[self._position].kind not in kinds:
            raise NotUnderstood(f"a {' or '.join(kinds)} is missing")
        self._position += 1
        return self._tokens[self._position - 1]


def _unescaped(found: re.Match[str]) -> str:
    text = found[1]
    if len(text) > 1:
        return chr(int(text[1:], 16))
    return _ESCAPED.get(text, text)


def _comparable(place: Place) -> Any:
    value = place.value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[list[Any], list[Any]], bool]:
    def compared(left: list[Any], right: list[Any]) -> bool:
        if len(left) != 1 or len(right) != 1 or type(left[0]) is not type(right[0]):
            raise NotUnderstood("only two single values of one type can be put in order")
        return compare(left[0], right[0])

    return compared


def _equivalent(left: list[Any], right: list[Any]) -> bool:
    def folded(values: list[Any]) -> list[str]:
        return sorted(" ".join(v.lower().split()) if isinstance(v, str) else repr(v) for v in values)

    return folded(left) == folded(right)


_COMPARISONS: dict[str, Callable[[list[Any], list[Any]], bool]] = {
    "=": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "~": _equivalent,
    "!~": lambda left, right: not _equivalent(left, right),
    "<": _ordered(lambda a, b: bool(a < b)),
    ">": _ordered(lambda a, b: bool(a > b)),
    "<=": _ordered(lambda a, b: bool(a <= b)),
    ">=": _ordered(lambda a, b: bool(a >= b)),
}

_WITH_TEXT = ("startsWith", "endsWith", "contains")
_FUNCTIONS: dict[str, Callable[[list[Any], str], list[Any]]] = {
    "exists": lambda values, _: [bool(values)],
    "empty": lambda values, _: [not values],
    "not": lambda values, _: [values != [True]] if values else [],
    "startsWith": lambda values, text: [len(values) == 1 and str(values[0]).startswith(text)],
    "endsWith": lambda values, text: [len(values) == 1 and str(values[0]).endswith(text)],
    "contains": lambda values, text: [len(values) == 1 and text in str(values[0])],
}
