"""One criterion, ``name=value``, as a Condition on a resource type; chains and ``_has`` on others.

``patient.general-practitioner.name`` is a chain, ``_has:Observation:patient:code`` its reverse; both nest.
https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fhirserver.errors import BadRequest, TooCostly, UnknownParameter
from fhirserver.model.reference import is_id
from fhirserver.search import fulltext
from fhirserver.search.indexer import STORED, Indexer
from fhirserver.search.parameters import Parameter
from fhirserver.search.query import Condition, Ids, Keys, Not, Nothing, Or, Referred, Refers
from fhirserver.search.types import composite, reference, stored, token
from fhirserver.search.types.registry import COMPARISONS
from fhirserver.search.values import shown, split, unescape

MAX_VALUES = 10_000
ROLE = "PractitionerRole"
AUTHORS = {("DocumentReference", "author"), ("List", "source")}
NAMES = ("given", "family")
"""``author.given`` and the like are the name of who has a role, too: IHE MHD, ITI-66 and ITI-67."""
MAX_STEPS = 8
MAX_TYPES = 8
"""Chains of more steps, and a step to more types without saying which, are refused."""

_NOT_YET = {
    "_type": "searching several types",
    "_score": "ranking",
}


class Ignorable(Exception):
    """A parameter that is unknown or not supported: left out where handling is lenient."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """Compiles criteria on any type that is served.

    ``controls`` are the names of the other parameters that a search has, for the list of what is known.
    ``compare`` takes the place of what modifiers and values mean at the end of a path, for ``_filter``.
    """

    indexer: Indexer
    controls: tuple[str, ...] = ()
    compare: "Callable[[Parameter, Criteria], Condition] | None" = None

    def condition(self, type: str, name: str, value: str, step: int = 0) -> Condition | None:
        """The condition that one parameter is; None when its value is empty: search.html#errors ignores it.

        Raises:
            Ignorable: the parameter is unknown or not supported.
            UnknownParameter: its modifier is.
            BadRequest: the value is malformed.
            TooCostly: it has too many values or steps.
        """
        if step > MAX_STEPS:
            raise TooCostly(f"A chain has more than {MAX_STEPS} steps")
        if name.startswith("_has:"):
            return self._has(type, name, value, step)
        if name in (fulltext.NARRATIVE, fulltext.CONTENT):
            return self._words(name, value) if value else None
        if name == "_list":
            return self._list(type, value) if value else None
        head, dot, rest = name.partition(".")
        if dot:
            return self._chain(type, head, rest, value, step)
        parameter, modifier = self._parameter(type, name)
        if self.compare:
            return self._compared(parameter, modifier)
        return self._criterion(parameter, modifier, name, value) if value else None

    def reference(self, type: str, code: str) -> Parameter:
        """A reference parameter.

        Raises:
            Ignorable: there is none of this name, or it finds canonicals, which have no logical id.
        """
        known = self.indexer.compiled(type).compiled
        parameter = known.get(code)
        if parameter is None or parameter.type != "reference":
            self.indexer.compiled(type).check_ready(code)
            references = sorted(p.code for p in known.values() if p.type == "reference")
            raise Ignorable(f"{type} has no reference parameter {shown(code)}.{near(code, references)}")
        if not parameter.found & {"Reference"}:
            raise Ignorable(f"{type}:{code} finds canonicals: following these is not supported")
        return parameter

    def type(self, name: str) -> str:
        """Raises Ignorable: there is no such type, or it is off."""
        if name not in self.indexer.types:
            raise Ignorable(
                f"{shown(name)} is not a resource type here.{near(name, sorted(self.indexer.types))}"
            )
        return name

    # --- other resources

    def _chain(self, type: str, head: str, rest: str, value: str, step: int) -> Condition | None:
        def inner(target: str) -> Condition | None:
            path = rest
            if target == ROLE and (type, head) in AUTHORS and rest.partition(":")[0] in NAMES:
                path = f"practitioner.{rest}"
            return self.condition(target, path, value, step + 1)

        found = self.follow(type, head, inner, rest)
        return found if value else None

    def follow(
        self, type: str, head: str, inner: Callable[[str], Condition | None], rest: str = "the rest"
    ) -> Condition:
        """One step of a chain: what refers, by ``code`` or ``code:Type``, to what meets the inner condition.

        ``inner`` is asked for each type that may be referred to; of those that refuse it as unknown none is
        meant. ``rest`` is how it is written.

        Raises:
            Ignorable, UnknownParameter: see ``condition``; BadRequest: too many types may be meant.
        """
        code, colon, wanted = head.partition(":")
        if code not in self.indexer.compiled(type).compiled:
            self._parameter(type, code)
        parameter = self.reference(type, code)
        targets = [t for t in parameter.targets if t in self.indexer.types]
        if colon:
            if self.type(wanted) not in parameter.targets:
                known = ", ".join(targets)
                raise BadRequest(f"{type}:{code} cannot refer to {wanted}; it can to {known}")
            targets = [wanted]
        found: list[tuple[str, Condition | None]] = []
        refusal = Ignorable(f"{type}:{code} refers to no type that is served")
        for target in targets:
            try:
                found.append((target, inner(target)))
            except Ignorable as reason:
                refusal = reason
        if not found:
            raise refusal
        if len(found) > MAX_TYPES:
            raise BadRequest(
                f"{len(found)} of the types that {code} may refer to have {shown(rest)}; name one, as in "
                f"{code}:{found[0][0]}.{rest[:60]}"
            )
        return any_of(
            [
                Refers(p.code, target, condition)
                for p in parameter.sources or (parameter,)
                for target, condition in found
                if condition is not None
            ]
        )

    def _has(self, type: str, name: str, value: str, step: int) -> Condition | None:
        parts = name.split(":", 3)
        if len(parts) != 4 or not all(parts):
            raise Ignorable(f"{shown(name)} is not _has:[type]:[reference parameter]:[parameter]")
        _, source, code, rest = parts
        parameter = self.reference(self.type(source), code)
        if type not in parameter.targets:
            known = ", ".join(parameter.targets)
            raise BadRequest(f"{source}:{code} cannot refer to {type}; it can to {known}")
        inner = self.condition(source, rest, value, step + 1)
        if inner is None:
            return None
        return any_of([Referred(type, source, p.code, inner) for p in parameter.sources or (parameter,)])

    def _list(self, type: str, value: str) -> Condition:
        ids = []
        for id in split(value, ","):
            if id.startswith("$"):
                raise UnknownParameter(
                    f"_list={shown(id)}: lists by their function are not supported; name its id"
                )
            if not is_id(unescape(id)):
                raise BadRequest(f"_list={shown(id)} is not the id of a List")
            ids.append(id)
        return Referred(type, self.type("List"), "item", Ids(tuple(ids)))

    # --- the resource itself

    def _words(self, name: str, value: str) -> Condition:
        if self.indexer.words == "off" or (name == fulltext.CONTENT and self.indexer.words == "narrative"):
            raise UnknownParameter(f"{name} is off here: see the setting text_search")
        values = [v for v in split(value, ",") if v]
        if len(values) > fulltext.MOST:
            raise TooCostly(f"{name} has {len(values)} values; {fulltext.MOST} are the most")
        return any_of([fulltext.condition(name, v) for v in values])

    def _parameter(self, type: str, name: str) -> tuple[Parameter, str]:
        code, _, modifier = name.partition(":")
        types = self.indexer.compiled(type)
        parameter = types.compiled.get(code)
        if parameter is not None:
            return parameter, modifier
        if code == "_query":
            raise UnknownParameter("A named query (_query) has no modifier and is no part of a chain")
        if code in _NOT_YET:
            raise Ignorable(f"{code} is not supported yet: {_NOT_YET[code]}")
        types.check_ready(code)
        if code in types.refused:
            raise Ignorable(f"{code} cannot be searched on {type}: {types.refused[code]}")
        known = sorted((*types.compiled, "_content", "_has", "_list", "_text", *self.controls))
        raise Ignorable(f"{type} has no search parameter {shown(code)}.{near(code, known)}")

    def _compared(self, parameter: Parameter, modifier: str) -> Condition:
        """By ``compare``, each of the parameters that this one is made of."""
        if modifier or not self.compare:
            raise UnknownParameter(f"_filter has no modifiers, such as {parameter.code}:{modifier}")
        return any_of([self.compare(p, self) for p in parameter.sources or (parameter,)])

    def match(self, parameter: Parameter, modifier: str, name: str) -> Callable[[str], Condition]:
        """What one value means with a modifier ("" for none); ``name`` is what a refusal calls it.

        Raises:
            UnknownParameter: the parameter has no such modifier.
        """
        return self._match(parameter, modifier, name)

    def _criterion(self, parameter: Parameter, modifier: str, name: str, value: str) -> Condition:
        match = self._match(parameter, modifier, name)
        values = [v for v in split(value, ",") if v]
        if not values:
            raise BadRequest(f"{name} has no value")
        if len(values) >= MAX_VALUES:
            raise TooCostly(f"{name} has {len(values)} values; fewer than {MAX_VALUES} are allowed")
        try:
            found = any_of([match(v) for v in values])
        except BadRequest as error:
            raise type(error)(f"{name}: {error}") from None
        return Not(found) if modifier in ("not", "not-in") else found

    def _match(self, parameter: Parameter, modifier: str, name: str) -> Callable[[str], Condition]:
        if parameter.sources:
            matches = [self._match(source, modifier, name) for source in parameter.sources]
            if modifier == "missing":
                return lambda value: _missing(any_of([match("false") for match in matches]), value)
            return lambda value: any_of([match(value) for match in matches])
        site = self.indexer.site
        if parameter.code in STORED:
            modifiers = stored.MODIFIERS[parameter.code]
        elif parameter.type == "composite":
            modifiers = composite.MODIFIERS
        else:
            present = COMPARISONS[parameter.type].present
            modifiers = COMPARISONS[parameter.type].MODIFIERS
            if modifier == "missing":
                return lambda value: _missing(present(parameter), value)
            if parameter.type == "token" and modifier in ("in", "not-in"):
                return lambda value: self._in(parameter, value)
            if parameter.type == "reference" and modifier in self.indexer.definitions.resource_types:
                return lambda value: reference.of_type(parameter, modifier, value, site)
        chosen = modifiers.get(modifier)
        if chosen is None or (modifier == "" and ":" in name):
            known = [f":{m}" for m in modifiers if m]
            known += [":in", ":not-in"] if parameter.type == "token" and parameter.code not in STORED else []
            known += [":missing"] if parameter.code not in STORED and parameter.type != "composite" else []
            known += [":[type]"] if parameter.type == "reference" else []
            allowed = f"known are {', '.join(known)}" if known else "it has none"
            code = name.partition(":")[0]
            raise UnknownParameter(
                f"{code} ({parameter.type}) has no modifier {shown(':' + modifier)}; {allowed}"
            )
        return lambda value: chosen(parameter, value, site)

    def _in(self, parameter: Parameter, value: str) -> Condition:
        """One of the codes of a value set: at once where the definitions list them."""
        url = unescape(value)
        value_set = self.indexer.definitions.value_sets.get(url.partition("|")[0])
        if value_set is None or value_set.open:
            return token.in_value_set(parameter, url, self.indexer.site)
        return any_of(
            [
                token.with_system(parameter, system, code)
                for system, codes in value_set.codes.items()
                for code in codes
            ]
        )


def any_of(conditions: Sequence[Condition]) -> Condition:
    """Or, with all that is found by equality in one set of keys."""
    conditions = [part for c in conditions for part in (c.any if isinstance(c, Or) else (c,))]
    keys = [key for c in conditions if isinstance(c, Keys) for key in c.keys]
    others: list[Condition] = [c for c in conditions if not isinstance(c, Keys | Nothing)]
    if keys:
        others.insert(0, Keys(tuple(dict.fromkeys(keys))))
    if not others:
        return Nothing()
    return others[0] if len(others) == 1 else Or(tuple(others))


def near(name: str, known: Iterable[str]) -> str:
    """What is known, the nearest spelling first: the end of a refusal."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=1)
    return f"{f' Did you mean {found[0]}?' if found else ''} Known are {', '.join(known)}"


def _missing(present: Condition, value: str) -> Condition:
    match value:
        case "true":
            return Not(present)
        case "false":
            return present
        case _:
            raise BadRequest(f"{shown(value)} is not true or false")
