"""``_filter``: read an expression and compile it, ``given eq "Zoé" and (birthdate ge 1980 or not (gender eq
male))``.

``and`` and ``or`` are taken from left to right, neither binds closer. A path is a parameter or a chain, where
a step may be narrowed by a filter in brackets: ``subject[gender eq male].name co "x"``. Of pairs of values
the brackets choose which (``filter_pairs``). How values are compared is in ``filter_operators``.
https://hl7.org/fhir/R4/search_filter.html
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fhirserver.errors import BadRequest, TooCostly
from fhirserver.search.criteria import Criteria, Ignorable
from fhirserver.search.filter_operators import OPERATORS, negated
from fhirserver.search.filter_pairs import Pairs, find_pairs
from fhirserver.search.query import And, Condition, Everything, Not, Or
from fhirserver.search.values import shown

MOST = 100
"""So many comparisons are allowed, so deep may parentheses and brackets be."""

_token = re.compile(r'\s*(?:([()\[\]])|("(?:[^"\\]|\\.)*")|([^\s()\[\]"]+))')
_comparison = "a comparison is: path operator value"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text; ``position`` counts characters from 1, ``joined`` says that no space precedes."""

    text: str
    position: int
    joined: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path, with the filter in brackets after it."""

    name: str
    filter: "Filter | None" = None


@dataclass(frozen=True, slots=True)
class Comparison:
    path: tuple[Step, ...]
    operator: str
    value: str
    position: int


@dataclass(frozen=True, slots=True)
class Logical:
    """``operator`` is and, or, not (with one part)."""

    operator: str
    parts: tuple["Filter", ...]


Filter = Comparison | Logical


def compile_filter(type: str, text: str, criteria: Criteria) -> Condition:
    """The condition of an expression.

    Raises:
        BadRequest: it is malformed; the text says at which character.
        UnknownParameter: it compares in a way that is not supported; Ignorable: a parameter is not known.
        TooCostly: it is too long.
    """
    return _Compiler(criteria).condition(parse(text), type, 0)


def parse(text: str) -> Filter:
    """Raises BadRequest, TooCostly: see ``compile_filter``."""
    reader = _Reader(_tokens(text), len(text) + 1)
    found = reader.expression()
    if reader.tokens:
        extra = reader.tokens[0]
        raise _wrong(extra.position, f"the expression ends before {shown(extra.text)}")
    return found


def _at(position: int, text: str) -> str:
    return f"_filter, at character {position}: {text}"


def _wrong(position: int, text: str) -> BadRequest:
    return BadRequest(_at(position, text))


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    end, length = 0, len(text.rstrip())
    while end < length:
        found = _token.match(text, end)
        if found is None:
            start = end + len(text[end:]) - len(text[end:].lstrip())
            raise _wrong(start + 1, f'the " is not closed: {shown(text[start:])}')
        piece = found[0].lstrip()
        tokens.append(Token(piece, found.end() - len(piece) + 1, end > 0 and len(piece) == len(found[0])))
        end = found.end()
        if len(tokens) > 8 * MOST:
            raise TooCostly(f"_filter has more than {MOST} comparisons")
    return tokens


@dataclass(slots=True)
class _Reader:
    """Reads tokens from the front, by the grammar of the standard."""

    tokens: list[Token]
    end: int
    depth: int = 0

    def expression(self) -> Filter:
        found = self.part()
        while self.tokens and self.tokens[0].text in ("and", "or"):
            operator = self.take().text
            if isinstance(found, Logical) and found.operator == operator:
                found = Logical(operator, (*found.parts, self.part()))
            else:
                found = Logical(operator, (found, self.part()))
        return found

    def part(self) -> Filter:
        first = self.take()
        if first.text == "not" and self.tokens and self.tokens[0].text == "(":
            self.take()
            return Logical("not", (self.inside(first, ")"),))
        return self.inside(first, ")") if first.text == "(" else self.comparison(first)

    def inside(self, opening: Token, closing: str) -> Filter:
        self.depth += 1
        if self.depth > MOST:
            raise TooCostly(f"_filter has more than {MOST} parentheses in each other")
        found = self.expression()
        if not self.tokens or self.tokens[0].text != closing:
            place = self.tokens[0].position if self.tokens else self.end
            raise _wrong(place, f"a {closing} is missing, for what is open since {opening.position}")
        self.take()
        self.depth -= 1
        return found

    def comparison(self, first: Token) -> Filter:
        path = self.path(first)
        operator, value = self.take(), self.take()
        if operator.text not in OPERATORS:
            known = ", ".join(OPERATORS)
            raise _wrong(operator.position, f"{shown(operator.text)} is not one of {known}")
        if value.text in tuple("()[]"):
            raise _wrong(value.position, f"{shown(value.text)} is not a value; {_comparison}")
        return Comparison(path, operator.text, _value(value), first.position)

    def path(self, first: Token) -> tuple[Step, ...]:
        steps: list[Step] = []
        name = first
        while True:
            if name.text in tuple("()[]") or name.text.startswith('"'):
                raise _wrong(name.position, f"{shown(name.text)} is not a path; {_comparison}")
            *before, last = [name.text] if name.text.startswith("_has:") else name.text.split(".")
            if not all((*before, last)):
                raise _wrong(name.position, f"{shown(name.text)} is not a path: a name is missing")
            steps += [Step(step) for step in before]
            if not (self.tokens and self.tokens[0].text == "[" and self.tokens[0].joined):
                return (*steps, Step(last))
            steps.append(Step(last, self.inside(self.take(), "]")))
            name = self.take()
            if not (name.joined and name.text.startswith(".") and len(name.text) > 1):
                raise _wrong(name.position, f"after {last}[...] comes a . and a name")
            name = Token(name.text[1:], name.position + 1, True)

    def take(self) -> Token:
        if not self.tokens:
            raise _wrong(self.end, f"the expression is not complete; {_comparison}")
        return self.tokens.pop(0)


def _value(token: Token) -> str:
    """A value as search parameters write it; inside quotes nothing separates."""
    if not token.text.startswith('"'):
        return token.text
    try:
        text = str(json.loads(token.text))
    except ValueError:
        raise _wrong(token.position, f"{shown(token.text)} is not a JSON string") from None
    if not text:
        raise _wrong(token.position, '"" is nothing to compare with; for what is missing write pr false')
    if re.search(r"[\0\ud800-\udfff]", text):
        raise _wrong(token.position, "a value cannot contain NUL or half of a surrogate pair")
    return re.sub(r"[\\,$|]", r"\\\g<0>", text)


# --- compile


@dataclass(frozen=True, slots=True)
class _Compiler:
    criteria: Criteria

    def condition(self, filter: Filter, type: str, step: int) -> Condition:
        """What a filter is about resources of a type, ``step`` steps away from those that are searched."""
        match filter:
            case Logical("not", (inner,)):
                return Not(self.condition(inner, type, step))
            case Logical(operator, parts):
                conditions = tuple(self.condition(part, type, step) for part in parts)
                return And(conditions) if operator == "and" else Or(conditions)
            case Comparison(path, operator, value, position):
                opposite = negated(operator, value)
                if opposite:
                    filter = replace(filter, operator=opposite[0], value=opposite[1])
                try:
                    found = self.compared(filter, path, type, step)
                except (Ignorable, BadRequest, TooCostly) as error:
                    if str(error).startswith(_at(position, "")[:12]):
                        raise  # the inner filter knows better where
                    raise error.__class__(_at(position, str(error))) from None
                # What is not there is so for the whole path: no value at the end of any way.
                return Not(found) if opposite else found

    def compared(self, filter: Comparison, path: Sequence[Step], type: str, step: int) -> Condition:
        """The comparison at the end of a path that begins at a type."""
        first, *rest = path
        if all(s.filter is None for s in path):
            compare, value = OPERATORS[filter.operator], filter.value
            leaf = replace(self.criteria, compare=lambda p, criteria: compare(p, value, criteria))
            found = leaf.condition(type, ".".join(s.name for s in path), value, step)
            return Everything() if found is None else found
        inner = first.filter
        pairs = find_pairs(type, first.name, self.criteria) if inner else None
        if inner and pairs:
            return self.paired(pairs, inner, rest, filter)

        def follow(target: str) -> Condition:
            found = self.compared(filter, rest, target, step + 1)
            return And((self.condition(inner, target, step + 1), found)) if inner else found

        return self.criteria.follow(type, first.name, follow)

    def paired(self, pairs: Pairs, inner: Filter, rest: Sequence[Step], filter: Comparison) -> Condition:
        """Two values of one element, the first of them chosen in brackets."""
        match inner, rest:
            case Comparison((Step(first, None),), "eq", value), [Step(second, None)]:
                return pairs.condition((first, "eq", value), (second, filter.operator, filter.value))
            case _:
                raise BadRequest(f"{pairs.name} is written {pairs.name}[name eq value].name operator value")
