"""Collects the issues of one validation."""

from fhirserver.errors import Issue, Severity

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


def shown(value: object) -> str:
    """A value in a message, cut to a readable length."""
    match value:
        case str():
            return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."
        case list():
            return "an array"
        case dict():
            return "an object"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case _:
            return str(value)[:60]


class Report:
    """The first LIMIT issues, and how many there were in all."""

    __slots__ = ("count", "issues")

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether another issue would only be counted: then its text need not be made."""
        return self.count >= LIMIT

    def add(self, node: Node, code: str, text: str, severity: Severity = "error") -> None:
        self.count += 1
        if self.count <= LIMIT:
            self.issues.append(Issue(severity, code, text, expression(node)))

    def result(self) -> list[Issue]:
        """The issues, with a last one that says how many were left out."""
        if self.count > LIMIT:
            rest = self.count - LIMIT
            text = f"{rest} more {'issue is' if rest == 1 else 'issues are'} not shown"
            return [*self.issues, Issue("error", "too-costly", text)]
        return self.issues
