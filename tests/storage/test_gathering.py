"""Questions asked together share a round trip."""

import asyncio

import pytest

from fhirserver.storage.gathering import MOST, Gathering

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Database:
    """Answers with the length of what is asked, each round when it is told to; notes the rounds."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.free = asyncio.Event()

    async def answer(self, questions: list[str]) -> dict[str, int]:
        self.rounds.append(questions)
        await self.free.wait()
        if "refused" in questions:
            raise ValueError(questions[0])
        return {question: len(question) for question in questions}


async def test_what_is_asked_meanwhile_shares_the_next_round() -> None:
    database = Database()
    gathering = Gathering(database.answer)
    first = asyncio.gather(gathering.ask("a"), gathering.ask("bb"), gathering.ask("a"))
    await asyncio.sleep(0.01)
    # Asked again after the first round has begun: what that round reads may be older than the question.
    later = asyncio.gather(gathering.ask("a"), gathering.ask("ccc"))
    await asyncio.sleep(0.01)
    assert database.rounds == [["a", "bb"]]
    database.free.set()
    assert list(await first) == [1, 2, 1]
    assert list(await later) == [1, 3]
    assert database.rounds == [["a", "bb"], ["a", "ccc"]]


async def test_a_round_that_fails_is_told_and_the_next_one_runs() -> None:
    database = Database()
    gathering = Gathering(database.answer)
    database.free.set()
    failed = await asyncio.gather(*map(gathering.ask, ("refused", "other")), return_exceptions=True)
    assert [type(error) for error in failed] == [ValueError, ValueError]
    assert await gathering.ask("fine") == 4


async def test_who_gives_up_takes_nothing_from_others() -> None:
    database = Database()
    gathering = Gathering(database.answer)
    impatient, patient = (asyncio.create_task(gathering.ask("a")) for _ in range(2))
    await asyncio.sleep(0.01)
    impatient.cancel()
    database.free.set()
    assert await patient == 1


async def test_rounds_have_a_limit() -> None:
    database = Database()
    database.free.set()
    gathering = Gathering(database.answer)
    questions = [str(number) for number in range(MOST + 1)]
    assert await asyncio.gather(*map(gathering.ask, questions)) == [len(q) for q in questions]
    assert [len(asked) for asked in database.rounds] == [MOST, 1]
