"""A store of terminology that is a list in memory: what evaluations are tried with."""

from collections.abc import Sequence
from typing import Any

from fhirserver.model.json import Resource
from fhirserver.terminology import Packages, Terminology
from fhirserver.terminology.questions import Body, Question
from fhirserver.terminology.terminology import Change, LoadedSystem


class Memory:
    """Holds resources; what is put is a change at the next call."""

    def __init__(self, *resources: Resource) -> None:
        self.versions: dict[tuple[str, str], int] = {}
        self.resources: dict[tuple[str, str], Resource] = {}
        self.pending: list[Change] = []
        self.asked: list[Question] = []
        for resource in resources:
            self.put(resource)

    def put(self, resource: Resource) -> None:
        key = (resource["resourceType"], resource["id"])
        self.versions[key] = self.versions.get(key, 0) + 1
        self.resources[key] = resource
        self.pending.append(Change(*key, self.versions[key], resource))

    def delete(self, type: str, id: str) -> None:
        self.versions[type, id] += 1
        del self.resources[type, id]
        self.pending.append(Change(type, id, self.versions[type, id], None))

    async def changes(self) -> Sequence[Change]:
        found, self.pending = self.pending, []
        return found

    async def loaded(self) -> Sequence[LoadedSystem]:
        return []

    async def answer(self, question: Question) -> Any:
        self.asked.append(question)
        assert isinstance(question, Body)
        return self.resources.get((question.type, question.id))


NO_PACKAGES = Packages()


def terminology(*resources: Resource) -> Terminology:
    """Of these resources alone."""
    return Terminology(NO_PACKAGES, Memory(*resources))
