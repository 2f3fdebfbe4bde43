"""The server under test as one case of a check sees it."""

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from conformance import expect
from conformance.client import Answer, Client, Query, Resource, Unreachable, absolute
from conformance.samples import sample
from conformance.statement import Statement

LIMIT = 60.0
"""Seconds that a case may take."""


class Target:
    """Requests, and a memory of what was created so that it can be deleted.

    ``type`` and ``item`` are those of the case; ``mark`` is a text that nothing else on the server has:
    what a case creates carries it as a tag.
    """

    def __init__(self, client: Client, statement: Statement, type: str = "", item: str = "") -> None:
        self.client = client
        self.statement = statement
        self.type = type
        self.item = item
        self.mark = f"conformance-{uuid.uuid4().hex}"
        self._created: dict[str, None] = {}
        self._deadline = time.monotonic() + LIMIT

    # --- requests

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Resource | bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Raises Unreachable: no usable answer, or the time of the case is over."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise Unreachable(f"the check took longer than {LIMIT:.0f} seconds")
        return self.client.request(method, path, query=query, body=body, headers=headers, timeout=remaining)

    def get(
        self, path: str, query: Query = (), headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Answer:
        return self.request(method, path, query=query, headers=headers)

    def send(
        self,
        method: str,
        path: str,
        body: Resource | bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query = (),
    ) -> Answer:
        """A write; what it creates is deleted when the case is over."""
        answer = self.request(method, path, query=query, body=body, headers=headers)
        if answer.status == 201:
            self.remember(answer.headers.get("location", ""))
        return answer

    def search(self, type: str, *query: tuple[str, str]) -> Resource:
        """A searchset."""
        return expect.bundle(self.get(type, query), "searchset")

    def remember(self, location: str) -> None:
        """Note what stands at a Location for deletion."""
        if location:
            path = location.partition("/_history/")[0]
            self._created["/".join(path.rstrip("/").rsplit("/", 2)[-2:])] = None

    # --- resources

    @property
    def tag(self) -> str:
        """The mark as the value of a token parameter such as ``_tag``."""
        return f"urn:conformance|{self.mark}"

    def sample(self, type: str = "", **elements: Any) -> Resource:
        """A valid resource with the mark; of the case's type where none is given."""
        return sample(type or self.type, self.mark, **elements)

    def create(self, type: str = "", **elements: Any) -> Resource:
        """A new resource on the server, as the server keeps it (its id and versionId at least)."""
        made = self.sample(type, **elements)
        answer = self.send("POST", made["resourceType"], made)
        expect.status(answer, 201)
        id, version = self.location(answer)
        return {**made, "id": id, "meta": {**made["meta"], "versionId": version}}

    def location(self, answer: Answer) -> tuple[str, str]:
        """The id and version of a Location header; the version is "" where there is none."""
        text = absolute(self.client.base_url, expect.header(answer, "Location"))
        path, _, version = text.partition("/_history/")
        return path.rstrip("/").rpartition("/")[2], version

    def update(self, resource: Resource, headers: Mapping[str, str] | None = None) -> Answer:
        return self.send("PUT", f"{resource['resourceType']}/{resource['id']}", resource, headers)

    def delete(self, resource: Resource) -> Answer:
        return self.send("DELETE", f"{resource['resourceType']}/{resource['id']}")

    def clean(self) -> None:
        """Delete what was created, newest first; a server that keeps it anyway has failed no check."""
        for reference in reversed(self._created):
            if self.statement.has(f"{reference.partition('/')[0]}/delete"):
                with suppress(Unreachable):
                    self.client.request("DELETE", reference)
