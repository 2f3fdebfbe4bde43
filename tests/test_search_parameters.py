"""When a SearchParameter may be searched: two processes of one database, each with an indexer of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import Unprocessable
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.search_parameters import SearchParameters
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.repository import Repository, now

pytestmark = pytest.mark.anyio
SOON = 5
"""Seconds in which a process must have noticed."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Process:
    indexer: search.Indexer
    repository: Repository
    parameters: SearchParameters

    async def put(self, resource: dict[str, Any], version: int = 1) -> None:
        previous = await self.repository.find(resource["resourceType"], resource["id"])
        body = json.format(resource)
        stored = Stored(resource["resourceType"], resource["id"], version, now(), "PUT", body)
        await self.repository.write([(stored, previous)])

    async def delete(self, type: str, id: str, version: int) -> None:
        previous = await self.repository.find(type, id)
        await self.repository.write([(Stored(type, id, version, now(), "DELETE", b""), previous)])

    def knows(self, code: str) -> str:
        types = self.indexer.compiled("Patient")
        return "active" if code in types.compiled else "pending" if code in types.pending else ""


def parameter(code: str, **more: Any) -> dict[str, Any]:
    url = f"https://fhir.example.org/{code}"
    elements = {"status": "active", "code": code, "base": ["Patient"], "type": "token", "url": url}
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "expression": "Patient.language",
        **elements,
        **more,
    }


@pytest.fixture
async def database(engine: EmbeddedEngine, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database = Database(engine.uri, f"parameters{abs(hash(request.node.name))}"[:30], embedded=True)
    await database.prepare(["Patient", "SearchParameter"])
    yield database
    await database.close()


async def started(database: Database, definitions: Definitions) -> Process:
    indexer = search.Indexer(definitions, types=["Patient", "SearchParameter"])
    repository = Repository(database, lambda type, body: indexer.index(json.stored(body)))
    await repository.start()
    process = Process(indexer, repository, SearchParameters(repository, indexer))
    await process.parameters.start()
    return process


@pytest.fixture
async def processes(database: Database, definitions: Definitions) -> AsyncIterator[tuple[Process, Process]]:
    both = (await started(database, definitions), await started(database, definitions))
    yield both
    for process in both:
        await process.parameters.stop()
        await process.repository.stop()


async def test_it_is_ready_in_every_process_when_the_reindex_ends(processes: tuple[Process, Process]) -> None:
    one, other = processes
    await one.put(parameter("spoken"))
    assert one.knows("spoken") == "pending"
    awaited = await one.parameters.awaited("Patient")
    assert awaited == ["spoken/1"]
    assert other.knows("spoken") == "pending", "a reindex begins when everybody indexes by it"
    await one.parameters.make_ready("Patient", awaited)
    assert [process.knows("spoken") for process in processes] == ["active", "active"]


async def test_what_is_stored_after_the_reindex_began_waits_for_the_next(
    processes: tuple[Process, Process],
) -> None:
    one, other = processes
    await one.put(parameter("spoken"))
    awaited = await one.parameters.awaited("Patient")
    await other.put(parameter("written"))
    await one.put(parameter("spoken", description="other words"), 2)
    await one.parameters.make_ready("Patient", awaited)
    await other.parameters.refresh()
    assert [other.knows(code) for code in ("spoken", "written")] == ["pending", "pending"]


async def test_one_that_is_deleted_and_stored_again_is_pending(processes: tuple[Process, Process]) -> None:
    one, other = processes
    await one.put(parameter("spoken"))
    await one.parameters.make_ready("Patient", await one.parameters.awaited("Patient"))
    await one.delete("SearchParameter", "spoken", 2)
    assert one.knows("spoken") == ""
    await one.put(parameter("spoken"), 3)
    await other.parameters.refresh()
    assert [process.knows("spoken") for process in processes] == ["pending", "pending"]


async def test_a_process_that_knows_less_is_waited_for_while_it_lives(
    processes: tuple[Process, Process], database: Database
) -> None:
    one, _ = processes
    late = {"_id": "late", "seen": [], "until": datetime.now(UTC) + timedelta(seconds=60)}
    await database.collection("indexers").insert_one(late)
    await one.put(parameter("spoken"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one.parameters.awaited("Patient"), 2)
    gone = {"until": datetime.now(UTC) - timedelta(seconds=1)}
    await database.collection("indexers").update_one({"_id": "late"}, {"$set": gone})
    assert await asyncio.wait_for(one.parameters.awaited("Patient"), SOON) == ["spoken/1"]


async def test_settled_waits_for_the_writes_that_have_begun(processes: tuple[Process, Process]) -> None:
    _, other = processes
    patients = [Stored("Patient", f"p{n}", 1, now(), "PUT", b'{"resourceType":"Patient"}') for n in range(5)]
    writing = [asyncio.create_task(other.repository.write([(patient, None)])) for patient in patients]
    await asyncio.sleep(0)  # they have begun
    assert not any(task.done() for task in writing)
    await other.repository.settled()
    found = await other.repository.find_many((patient.type, patient.id) for patient in patients)
    assert all(found)
    await asyncio.gather(*writing)


async def test_of_two_with_one_name_all_processes_take_the_same(processes: tuple[Process, Process]) -> None:
    one, other = processes
    await asyncio.gather(
        one.put({**parameter("spoken"), "id": "b"}),
        other.put({**parameter("spoken", type="string"), "id": "a"}),
    )
    for process in processes:
        await process.parameters.refresh()
        assert process.indexer.compiled("Patient").pending["spoken"].type == "string"


async def test_only_what_can_be_searched_is_accepted(processes: tuple[Process, Process]) -> None:
    one, _ = processes
    await one.parameters.accept(parameter("spoken"))
    await one.parameters.accept(parameter("spoken", expression="Patient.foo", status="draft"))
    with pytest.raises(Unprocessable, match="foo"):
        await one.parameters.accept(parameter("spoken", expression="Patient.foo"))
    await one.put(parameter("spoken"))
    await one.parameters.accept(parameter("spoken"))  # itself, again
    with pytest.raises(Unprocessable, match="SearchParameter/spoken"):
        await one.parameters.accept({**parameter("spoken"), "id": "another"})
