"""Questions that are asked together are answered together: one round trip for all of them.

What is asked while a round is under way waits for the next one: the busier the server, the fewer round trips
each question takes, and what was asked at about the same time stays together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")

MOST = 500


class Gathering(Generic[Question, Answer]):
    """Collects what is asked until the event loop has run everything that is ready, then asks once, and again
    as long as more was asked meanwhile: a question is always answered by what is read after it was asked.

    ``answer`` is given at most ``MOST`` different questions and answers every one of them; it must not ask
    here itself.
    """

    def __init__(self, answer: Callable[[list[Question]], Awaitable[Mapping[Question, Answer]]]) -> None:
        self._answer = answer
        self._waiting: dict[Question, asyncio.Future[Answer]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """Raises what ``answer`` raises."""
        return await asyncio.shield(self._asked(question))

    async def ask_all(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """Raises what ``answer`` raises."""
        asked = {question: self._asked(question) for question in questions}
        if not asked:
            return {}
        answers = await asyncio.shield(asyncio.gather(*asked.values()))
        return dict(zip(asked, answers, strict=True))

    def _asked(self, question: Question) -> asyncio.Future[Answer]:
        future = self._waiting.get(question)
        if future is None:
            future = self._waiting[question] = asyncio.get_running_loop().create_future()
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
        return future

    async def _run(self) -> None:
        await asyncio.sleep(0)
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            questions = list(waiting)
            for start in range(0, len(questions), MOST):
                part = questions[start : start + MOST]
                try:
                    answers = await self._answer(part)
                except Exception as error:  # whoever asked is told
                    for question in part:
                        waiting[question].set_exception(error)
                else:
                    for question in part:
                        waiting[question].set_result(answers[question])
