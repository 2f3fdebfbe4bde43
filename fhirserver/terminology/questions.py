"""What a pure evaluation must know and does not hold: it names the question and is run again with the answer.

So one evaluation serves the packages (in memory), the stored resources and the large systems (in the
database), and a caller who cannot wait learns that the answer is not at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.selections import Selection


@dataclass(frozen=True, slots=True)
class Body:
    """A version of a stored resource: the answer is its content, None once it is gone."""

    type: str
    id: str
    version: int


@dataclass(frozen=True, slots=True)
class Codes:
    """Concepts of a loaded system, by code. The answer is a dict of those that there are."""

    key: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A page of the concepts that a selection has in a loaded system, in the system's order.

    The answer is a ``Selected``. ``total`` says that their number is wanted as well.
    """

    key: str
    selection: Selection
    skip: int
    limit: int


@dataclass(frozen=True, slots=True)
class Selected:
    concepts: tuple[Concept, ...]
    total: int


Question = Body | Codes | Chosen


class Missing(Exception):
    """The answer to a question is not at hand."""

    def __init__(self, question: Question) -> None:
        super().__init__(f"{type(question).__name__} is not at hand")
        self.question = question


@dataclass(slots=True)
class Answers:
    """What is known so far in one evaluation. Its methods raise Missing."""

    _known: dict[Question, Any] = field(default_factory=dict)
    _concepts: dict[tuple[str, str], Concept | None] = field(default_factory=dict)

    def put(self, question: Question, answer: Any) -> None:
        """Note an answer; the concepts in it are known from now on one by one."""
        self._known[question] = answer
        match question:
            case Codes(key, codes):
                self._concepts |= {(key, code): answer.get(code) for code in codes}
            case Chosen(key):
                self._concepts |= {(key, concept.code): concept for concept in answer.concepts}

    def get(self, question: Question) -> Any:
        try:
            return self._known[question]
        except KeyError:
            raise Missing(question) from None

    def concepts(self, key: str, codes: Sequence[str]) -> dict[str, Concept]:
        """Those of the codes that a loaded system has."""
        unknown = tuple(code for code in codes if (key, code) not in self._concepts)
        if unknown:
            raise Missing(Codes(key, unknown))
        return {code: concept for code in codes if (concept := self._concepts[key, code])}
