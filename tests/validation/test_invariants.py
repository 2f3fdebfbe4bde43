"""The invariants of the specification, one by one."""

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.served_types import SERVED_TYPES
from fhirserver.validation import Validator
from fhirserver.validation.compilation import STRUCTURAL
from fhirserver.validation.fhirpath import compile_expression
from fhirserver.validation.invariants import native
from tests.validation.invariant_cases import CASES, Element, observation


@pytest.mark.parametrize(("key", "expression", "wrong", "right"), CASES)
def test_invariant(validator: Validator, key: str, expression: str, wrong: Element, right: Element) -> None:
    issues = [issue for issue in validator.validate(wrong) if issue.text.startswith(f"{key}: ")]
    assert [(i.code, i.severity, i.expression) for i in issues] == [("invariant", "error", expression)]
    assert validator.validate(right) == []


WITHOUT_CASE = {
    # The definition compares with the system 'something': they always hold.
    "ppc-2", "ppc-3", "ppc-4", "ppc-5",
}  # fmt: skip


def test_every_error_of_a_served_type_has_a_case(definitions: Definitions) -> None:
    roots = {*SERVED_TYPES, *(p for p, s in definitions.structures.items() if s.kind == "complex-type")}
    wanted = {
        c.key
        for s in definitions.structures.values()
        for c in s.constraints
        if s.path.partition(".")[0] in roots - {"ElementDefinition"} and c.severity == "error"
    }
    assert wanted - STRUCTURAL - WITHOUT_CASE <= {key for key, *_ in CASES}


def test_every_invariant_in_python_has_a_case(definitions: Definitions) -> None:
    written = {c.key for s in definitions.structures.values() for c in s.constraints if native(s.path, c, "")}
    assert written <= {key for key, *_ in CASES}


def test_every_invariant_is_checked(definitions: Definitions) -> None:
    """Those of all types: in Python, by the rules themselves, or as FHIRPath that compiles."""
    for structure in definitions.structures.values():
        for constraint in structure.constraints:
            if constraint.key in STRUCTURAL or native(structure.path, constraint, ""):
                continue
            assert constraint.expression
            compile_expression(constraint.expression)  # raises FHIRPathError


def test_an_invariant_is_not_asked_of_content_of_a_wrong_shape(validator: Validator) -> None:
    wrong = observation(valueString="a", component=["x"], code={"coding": "x"})
    assert {issue.code for issue in validator.validate(wrong)} == {"structure"}
