"""FHIRPath over plain JSON, compiled to functions: what invariants and discriminators are written in.

    holds = compile_expression("start.empty() or end.empty() or start <= end")
    holds(env, [model.element({"start": "2024", "end": "2023"}, "Period")])

Not there: ``subsumes`` and ``elementDefinition``;
an expression that uses what is not there cannot be compiled, and the validator says so instead of guessing.

https://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html
"""

from functools import lru_cache

from fhirserver.validation.fhirpath.functions import Env, Evaluate
from fhirserver.validation.fhirpath.nodes import FHIRPathError, Model, Node, Nodes
from fhirserver.validation.fhirpath.syntax import parse

__all__ = ["Env", "Evaluate", "FHIRPathError", "Model", "Node", "Nodes", "compile_expression", "holds"]


@lru_cache(maxsize=4096)
def compile_expression(expression: str) -> Evaluate:
    """Raises FHIRPathError where it uses what is not known here."""
    return parse(expression)


def holds(found: Nodes) -> bool:
    """What an invariant's result says, as the official validator takes it: nothing is false, several true."""
    return bool(found) and (len(found) > 1 or found[0].value is not False)
