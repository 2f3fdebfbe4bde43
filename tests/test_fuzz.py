"""A few mutants of a fixed seed; ``make fuzz`` tries 100,000."""

import pytest

from tests.fuzz import mutant, run, samples


def test_mutants_are_mapped_or_refused_with_a_reason() -> None:
    findings = run(range(600), seed=20240318)
    assert [(number, text) for number, _, text in findings.defects] == []
    assert findings.outcomes["mapped"] > 200
    assert findings.outcomes["Held"] > 20


def test_a_mutant_can_be_made_again() -> None:
    sources = samples()
    assert mutant(7, 1, sources) == mutant(7, 1, sources) != mutant(8, 1, sources)


@pytest.mark.parametrize("number", [25759, 26591, 82530])
def test_mutants_that_were_defects(number: int) -> None:
    assert run(range(number, number + 1), seed=1).defects == []
