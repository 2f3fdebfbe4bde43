"""What reading an element needs besides the element."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from mappings.cda.xml import Node, path, text_of
from mappings.core.bundle import full_url, mention
from mappings.core.result import Element, Issue
from mappings.core.source import Source


@dataclass(slots=True)
class Context:
    """The source's settings, the narrative texts by ID, and where remarks and mentioned resources go.

    ``read`` are the statements of the body that a mapping has looked at, whatever came of it.
    """

    source: Source
    narrative: Mapping[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)
    mentioned: list[Element] = field(default_factory=list)
    read: set[Node] = field(default_factory=set)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.source.timezone)

    def warn(self, node: Node, text: str, code: str = "value") -> None:
        self.warn_at(path(node), text, code)

    def warn_at(self, location: str, text: str, code: str = "value") -> None:
        self.issues.append(Issue("warning", code, text, location))

    def inform(self, node: Node, text: str, code: str = "informational") -> None:
        self.issues.append(Issue("information", code, text, path(node)))

    def mention(self, resource: Element, identifier: Element) -> str:
        """Add an entry for a resource that is only mentioned; the same identifier gives the same fullUrl."""
        url = full_url(resource["resourceType"], identifier.get("system", ""), identifier["value"])
        self.mentioned.append(mention(url, resource, identifier))
        return url

    def text(self, node: Node | None) -> str:
        """The text of an ED (``text``, ``originalText``): its own, or what its reference points to.

        References are written with and without ``#``; an empty or dangling one has no text.
        """
        if node is None:
            return ""
        reference = node.find("reference")
        if reference is not None:
            target = (reference.get("value") or "").strip().removeprefix("#")
            if target in self.narrative:
                return self.narrative[target]
        return text_of(node)


def narrative_texts(root: Node) -> dict[str, str]:
    """Every narrative element with an ID, by that ID; of several with the same ID the first."""
    texts: dict[str, str] = {}
    for section_text in root.iter("text"):
        for node in section_text.iter():
            if (name := node.get("ID")) is not None:
                texts.setdefault(name, text_of(node))
    return texts


def referenced(mentioned: list[Element], entries: list[Element]) -> list[Element]:
    """Of the mentioned resources those that the entries refer to, directly or through one another."""
    wanted = {url for entry in entries for url in _references(entry["resource"])}
    kept: list[Element] = []
    for entry in reversed(mentioned):  # a resource is mentioned after those it refers to
        if entry["fullUrl"] in wanted:
            kept.append(entry)
            wanted.update(_references(entry["resource"]))
    return kept[::-1]


def _references(element: Any) -> Iterator[str]:
    if isinstance(element, dict):
        if isinstance(url := element.get("reference"), str):
            yield url
        for value in element.values():
            yield from _references(value)
    elif isinstance(element, list):
        for value in element:
            yield from _references(value)
