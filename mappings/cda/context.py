"""What reading an element needs besides the element."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from mappings.cda.xml import Node, path, text_of
from mappings.core.result import Issue
from mappings.core.source import Source


@dataclass(slots=True)
class Context:
    """The source's settings, the narrative texts by ID, and where remarks go."""

    source: Source
    narrative: Mapping[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.source.timezone)

    def warn(self, node: Node, text: str, code: str = "value") -> None:
        self.issues.append(Issue("warning", code, text, path(node)))

    def inform(self, node: Node, text: str, code: str = "informational") -> None:
        self.issues.append(Issue("information", code, text, path(node)))

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
