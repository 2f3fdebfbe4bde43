"""FHIRPath for those who only want what an expression finds in a resource: types and values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fhirserver.model import reference
from fhirserver.model.definitions import Definitions
from fhirserver.validation.fhirpath import Env, FHIRPathError, Model, compile_expression

Values = Callable[[dict[str, Any]], Sequence[tuple[str, Any]]]


def evaluator(definitions: Definitions) -> Callable[[str], Values]:
    """Compiles expressions on resources; one that cannot be compiled is a ValueError with the reason.

    Where a resource has content that an expression cannot be evaluated on, it finds nothing in it.
    """
    model = Model(definitions)

    def compile(expression: str) -> Values:
        try:
            evaluate = compile_expression(expression)
        except FHIRPathError as error:
            raise ValueError(str(error)) from None

        def values(resource: dict[str, Any]) -> Sequence[tuple[str, Any]]:
            node = model.resource(resource)
            env = Env(model, node, node, node, resolve=_named, this=[node])
            try:
                found = evaluate(env, [node])
            except (FHIRPathError, ArithmeticError, RecursionError):
                return ()
            return [(one.type, one.value) for one in found if one.value is not None]

        return values

    return compile


def _named(literal: str) -> Mapping[str, Any] | None:
    """Nothing is read: of what a reference points to only the type is known."""
    type = reference.parse(literal).type
    return {"resourceType": type} if type else None
