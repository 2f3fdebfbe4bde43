"""Reads FHIRPath (https://hl7.org/fhirpath/N1/#grammar) into functions that evaluate it."""

import operator
import re
from decimal import Decimal
from typing import Any

from fhirserver.validation.fhirpath import values
from fhirserver.validation.fhirpath.functions import FUNCTIONS, TYPED, Env, Evaluate
from fhirserver.validation.fhirpath.nodes import (
    FALSE,
    NOTHING,
    TRUE,
    FHIRPathError,
    Node,
    Nodes,
    text,
    truth,
)

_TOKEN = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<temporal>@(?:T[0-9:.]+|[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?(?:T[0-9:.]*(?:Z|[+-][0-9:]+)?)?))
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    |(?P<variable>%(?:[A-Za-z_][A-Za-z0-9_\-]*|'[^']*'|`[^`]*`|"[^"]*"))
    |(?P<special>\$this|\$index|\$total)
    |(?P<symbol><=|>=|!=|!~|[-+*/|&=~<>.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}

_BINDING = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4,
    "=": 5, "~": 5, "!=": 5, "!~": 5, "<": 6, ">": 6, "<=": 6, ">=": 6,
    "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9, "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_UNARY = 11
_MOST = 200
"""Parentheses inside parentheses, and members of a path."""


def parse(expression: str) -> Evaluate:
    """Raises FHIRPathError where the expression is not understood."""
    parser = _Parser(expression)
    found = parser.expression(0)
    parser.end()
    return found


class _Parser:
    def __init__(self, expression: str) -> None:
        self._tokens = _tokens(expression)
        self._at = 0
        self._depth = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise FHIRPathError(f"{self._tokens[self._at][1]!r} is not expected")

    def expression(self, binding: int) -> Evaluate:
        self._depth += 1
        if self._depth > _MOST:
            raise FHIRPathError("it is nested too deeply")
        left = self._prefix()
        while True:
            kind, word = self._peek()
            strength = _BINDING.get(word, 0) if kind in ("symbol", "name") else 0
            if strength <= binding:
                self._depth -= 1
                return left
            self._at += 1
            if word in ("is", "as"):
                left = TYPED[word](left, self._type_name())
            else:
                left = _operation(word, left, self.expression(strength))

    def _prefix(self) -> Evaluate:
        if self._peek() == ("symbol", "-"):
            self._at += 1
            operand = self.expression(_UNARY)
            return lambda env, nodes: [Node(-values.number(n), n.type) for n in operand(env, nodes)]
        if self._peek() == ("symbol", "+"):
            self._at += 1
            return self.expression(_UNARY)
        found = self._term()
        while True:
            if self._accept("."):
                found = self._member(found)
            elif self._accept("["):
                found = _indexed(found, self.expression(0))
                self._expect("]")
            else:
                return found

    def _term(self) -> Evaluate:
        kind, word = self._next()
        match kind:
            case "string":
                return _constant(text(_unescaped(word)))
            case "number":
                return self._number(word)
            case "temporal":
                return _constant([_temporal(word)])
            case "variable":
                return _variable(word[1:].strip("'`\""))
            case "special":
                return _special(word)
            case "name" if word in ("true", "false"):
                return _constant(TRUE if word == "true" else FALSE)
            case "name":
                self._at -= 1
                return self._member(None)
        if word == "(":
            found = self.expression(0)
            self._expect(")")
            return found
        if word == "{":
            self._expect("}")
            return _constant(NOTHING)
        raise FHIRPathError(f"{word!r} is not expected")

    def _number(self, word: str) -> Evaluate:
        value = Decimal(word) if "." in word else int(word)
        kind, unit = self._peek()
        if kind == "string":
            self._at += 1
            return _constant([values.quantity(value, _unescaped(unit))])
        if kind == "name" and unit.rstrip("s") in (
            "year",
            "month",
            "week",
            "day",
            "hour",
            "minute",
            "second",
        ):
            self._at += 1
            return _constant([values.quantity(value, unit)])
        return _constant([Node(value, "decimal" if "." in word else "integer")])

    def _member(self, before: Evaluate | None) -> Evaluate:
        """A name after a dot, or (without ``before``) at the start of a path."""
        kind, name = self._next()
        if kind == "special":
            return _special(name)
        if kind != "name":
            raise FHIRPathError(f"a name is expected, not {name!r}")
        if self._accept("("):
            return self._function(before or _focus, name)
        name = name.strip('`"')
        if before is None:
            return _first(name)
        return _child(before, name)

    def _function(self, before: Evaluate, name: str) -> Evaluate:
        if name in TYPED:
            found = TYPED[name](before, self._type_name())
            self._expect(")")
            return found
        made = FUNCTIONS.get(name)
        if made is None:
            raise FHIRPathError(f"the function {name}() is not known")
        arguments = []
        if not self._accept(")"):
            arguments.append(self.expression(0))
            while self._accept(","):
                arguments.append(self.expression(0))
            self._expect(")")
        try:
            return made(before, *arguments)
        except TypeError:
            raise FHIRPathError(f"{name}() does not take {len(arguments)} arguments") from None

    def _type_name(self) -> str:
        kind, name = self._next()
        if kind == "symbol" and name == "(":
            found = self._type_name()
            self._expect(")")
            return found
        if kind != "name":
            raise FHIRPathError(f"a type is expected, not {name!r}")
        while self._accept("."):
            name = self._next()[1]
        return name.strip("`")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "the end")

    def _next(self) -> tuple[str, str]:
        found = self._peek()
        self._at += 1
        return found

    def _accept(self, symbol: str) -> bool:
        if self._peek() == ("symbol", symbol):
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._accept(symbol):
            raise FHIRPathError(f"{symbol!r} is missing before {self._peek()[1]!r}")


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise FHIRPathError(f"{expression[at]!r} is not understood")
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
        at = match.end()
    return found


def _unescaped(word: str) -> str:
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else _ESCAPED.get(m[2], m[2]), word[1:-1])


def _temporal(word: str) -> Node:
    value = word[1:]
    if value.startswith("T"):
        return Node(value[1:], "time")
    return Node(value.rstrip("T"), "dateTime" if "T" in value else "date")


def _focus(env: Env, nodes: Nodes) -> Nodes:
    return nodes


def _constant(nodes: Nodes) -> Evaluate:
    return lambda env, focus: nodes


def _special(word: str) -> Evaluate:
    if word == "$this":
        return lambda env, nodes: env.this
    if word == "$index":
        return lambda env, nodes: [Node(env.index, "integer")]
    return lambda env, nodes: env.total


_FIXED: dict[str, Nodes] = {
    "ucum": text("http://unitsofmeasure.org"),
    "sct": text("http://snomed.info/sct"),
    "loinc": text("http://loinc.org"),
}


def _variable(name: str) -> Evaluate:
    if name in _FIXED:
        return _constant(_FIXED[name])
    if name == "resource":
        return lambda env, nodes: [env.resource]
    if name == "rootResource":
        return lambda env, nodes: [env.root]
    if name == "context":
        return lambda env, nodes: [env.context]
    if name == "extension":
        return lambda env, nodes: [env.extension] if env.extension else NOTHING
    if name.startswith("vs-"):
        return _constant(text("http://hl7.org/fhir/ValueSet/" + name[3:]))
    if name.startswith("ext-"):
        return _constant(text("http://hl7.org/fhir/StructureDefinition/" + name[4:]))
    raise FHIRPathError(f"the variable %{name} is not known")


def _first(name: str) -> Evaluate:
    """A name at the start of a path may be the type of what it starts from."""
    if not name[0].isupper():
        return _child(_focus, name)

    def start(env: Env, nodes: Nodes) -> Nodes:
        return [n for n in nodes if env.model.is_type(n, name)]

    return start


def _child(before: Evaluate, name: str) -> Evaluate:
    def child(env: Env, nodes: Nodes) -> Nodes:
        children = env.model.children
        found = before(env, nodes)
        if len(found) == 1:
            return children(found[0], name)
        return [c for node in found for c in children(node, name)]

    return child


def _indexed(before: Evaluate, index: Evaluate) -> Evaluate:
    def item(env: Env, nodes: Nodes) -> Nodes:
        found, at = before(env, nodes), index(env, nodes)
        if not at:
            return NOTHING
        position = int(values.number(at[0]))
        return found[position : position + 1] if position >= 0 else NOTHING

    return item


def _operation(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    match symbol:
        case "and" | "or" | "xor" | "implies":
            return _logic(symbol, left, right)
        case "=" | "!=":
            return _equality(symbol == "=", left, right)
        case "~" | "!~":
            return _equivalence(symbol == "~", left, right)
        case "<" | ">" | "<=" | ">=":
            compare = values.ordered(_COMPARE[symbol])
            return lambda env, nodes: compare(left(env, nodes), right(env, nodes))
        case "|":
            return lambda env, nodes: values.distinct(left(env, nodes) + right(env, nodes))
        case "in":
            return _membership(left, right)
        case "contains":
            return _membership(right, left)
        case "&":
            return lambda env, nodes: text(
                "".join(values.string(n) for n in left(env, nodes))
                + "".join(values.string(n) for n in right(env, nodes))
            )
    return lambda env, nodes: values.calculated(symbol, left(env, nodes), right(env, nodes))


_COMPARE: dict[str, Any] = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}


def _logic(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    """Three-valued: unknown is the empty collection."""

    def connected(env: Env, nodes: Nodes) -> Nodes:
        one = values.boolean(left(env, nodes))
        if (symbol == "and" and one is False) or (symbol == "or" and one is True):
            return FALSE if symbol == "and" else TRUE
        if symbol == "implies" and one is False:
            return TRUE
        other = values.boolean(right(env, nodes))
        match symbol:
            case "and":
                known = False if other is False else None if one is None or other is None else True
            case "or":
                known = True if other is True else None if one is None or other is None else False
            case "xor":
                known = None if one is None or other is None else one != other
            case _:
                known = other if one is True else True if other is True else None
        return NOTHING if known is None else truth(known)

    return connected


def _equality(wanted: bool, left: Evaluate, right: Evaluate) -> Evaluate:
    def compared(env: Env, nodes: Nodes) -> Nodes:
        found = values.same(left(env, nodes), right(env, nodes))
        return NOTHING if found is None else truth(found is wanted)

    return compared


def _equivalence(wanted: bool, left: Evaluate, right: Evaluate) -> Evaluate:
    def compared(env: Env, nodes: Nodes) -> Nodes:
        one, other = left(env, nodes), right(env, nodes)
        alike = len(one) == len(other) and all(any(values.equivalent(a, b) for b in other) for a in one)
        return truth(alike is wanted)

    return compared


def _membership(item: Evaluate, collection: Evaluate) -> Evaluate:
    def contained(env: Env, nodes: Nodes) -> Nodes:
        wanted = item(env, nodes)
        if not wanted:
            return NOTHING
        if len(wanted) > 1:
            raise FHIRPathError("'in' takes a single value")
        return truth(values.has(collection(env, nodes), wanted[0]))

    return contained
