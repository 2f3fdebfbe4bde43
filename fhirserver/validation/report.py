"""Collects the issues of one validation."""

from decimal import Decimal
from typing import Any

from fhirserver.errors import Issue, Severity
from fhirserver.validation.messages import MESSAGES, SPECIFICATION, Language, Said

LIMIT = 100

Node = str | tuple["Node", str | int]
"""A place in a resource, as cheap to make as possible: its parent and the step from there, ``.name`` or an
index. It becomes FHIRPath only where there is something to say about it."""


def expression(node: Node) -> str:
    """The FHIRPath of a node: ``Patient.name[0].given[1]``."""
    steps = []
    while isinstance(node, tuple):
        node, step = node
        steps.append(f"[{step}]" if isinstance(step, int) else step)
    steps.append(node)
    return "".join(reversed(steps))


def shown(value: object) -> Said:
    """A value in a message, cut to a readable length; in both languages where these differ."""
    match value:
        case str():
            return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."
        case list():
            return ("an array", "un tableau")
        case dict():
            return ("an object", "un objet")
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case Decimal() | int():
            return f"{value}"[:60]
        case _:
            return type(value).__name__


class Report:
    """The first LIMIT issues, how many there were in all, and how many of these were errors."""

    __slots__ = ("advice", "count", "errors", "issues", "language", "practices")

    def __init__(self, language: Language = "en", advice: bool = False, practices: bool = False) -> None:
        self.issues: list[Issue] = []
        self.count = 0
        self.errors = 0
        self.language: Language = language
        self.advice = advice
        self.practices = practices

    @property
    def full(self) -> bool:
        """Whether another issue would only be counted: then its text need not be made."""
        return self.count >= LIMIT

    def add(self, node: Node, code: str, key: str, /, **values: Any) -> None:
        """Say the message ``key`` with its values, as an error; ``code`` is from the IssueType value set."""
        self.note("error", node, code, key, **values)

    def note(self, severity: Severity, node: Node, code: str, key: str, /, **values: Any) -> None:
        """Say the message ``key`` about a node; its values are ``Said`` or what can be formatted."""
        self.count += 1
        self.errors += severity == "error"
        if self.count <= LIMIT:
            message = MESSAGES[key]
            text = message.said(self.language, values)
            url = SPECIFICATION + message.page
            self.issues.append(Issue(severity, code, text, expression(node), rule=key, url=url))

    def strict(self, node: Node, code: str, key: str, /, **values: Any) -> None:
        """Say what the specification forbids and real senders do: an error where advice is wanted, else
        nothing, for nobody is better off when a record is refused for it."""
        if self.advice:
            self.note("error", node, code, key, **values)

    def breach(
        self, node: Node, rule: str, text: Said, *, severity: Severity = "error", url: str = ""
    ) -> None:
        """Say that an invariant does not hold; ``url`` is the canonical url of the definition it is from."""
        self.count += 1
        self.errors += severity == "error"
        if self.count <= LIMIT:
            said = text if isinstance(text, str) else text[self.language == "fr"]
            self.issues.append(
                Issue(severity, "invariant", f"{rule}: {said}", expression(node), rule=rule, url=url)
            )

    def take(self, other: "Report") -> None:
        """Add what another report has found."""
        room = max(LIMIT - self.count, 0)
        self.count += other.count
        self.errors += other.errors
        self.issues += other.issues[:room]

    def result(self) -> list[Issue]:
        """The issues, with a last one that says how many were left out."""
        if self.count > LIMIT:
            rest = self.count - LIMIT
            text = MESSAGES["more" if rest > 1 else "one-more"].said(self.language, {"rest": rest})
            # Where only warnings are left out, nothing is refused for them.
            hidden = self.errors > sum(issue.severity == "error" for issue in self.issues)
            return [*self.issues, Issue("error" if hidden else "warning", "too-costly", text)]
        return self.issues
