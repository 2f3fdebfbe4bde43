import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation.evaluation import evaluator


def test_types_and_values_are_found(definitions: Definitions) -> None:
    resource = {"resourceType": "Patient", "gender": "male", "name": [{"given": ["Éva", None]}]}
    compile = evaluator(definitions)
    assert list(compile("gender | name.given")(resource)) == [("code", "male"), ("string", "Éva")]
    assert list(compile("name.count() = 1")(resource)) == [("boolean", True)]


def test_what_cannot_be_evaluated_finds_nothing(definitions: Definitions) -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "a"}, {"family": "b"}]}
    assert list(evaluator(definitions)("name.family + 1")(resource)) == []


def test_what_cannot_be_compiled_is_an_error(definitions: Definitions) -> None:
    with pytest.raises(ValueError, match="frob"):
        evaluator(definitions)("name.frob()")
