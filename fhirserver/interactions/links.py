"""The links inside a resource of a transaction, rewritten to what their targets are stored as.

https://hl7.org/fhir/R4/http.html#trules: references, elements of type uri, and links in the narrative.
"""

import re
from collections.abc import Mapping
from typing import Any

from fhirserver.model.json import Resource

CONDITIONAL = re.compile(r"^[A-Z][A-Za-z]+\?.")
NARRATIVE_LINK = re.compile(r"""((?:href|src)\s*=\s*["'])([^"'#]+)""")
NOT_LINKS = frozenset(("value", "id", "text", "display", "data", "system"))
"""Elements that may hold the same characters as a link without being one (Identifier.value is a string)."""


def conditional(resource: Resource) -> dict[str, str]:
    """The conditional references (``Patient?identifier=...``) and where each stands, as FHIRPath."""
    found: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            literal = value.get("reference")
            if isinstance(literal, str) and CONDITIONAL.match(literal):
                found.setdefault(literal, f"{path}.reference")
            for name, part in value.items():
                walk(part, f"{path}.{name}")
        elif isinstance(value, list):
            for i, part in enumerate(value):
                walk(part, f"{path}[{i}]")

    walk(resource, resource.get("resourceType", ""))
    return found


def rewrite(resource: Resource, targets: Mapping[str, str]) -> Resource:
    """A copy in which every link to a target is the target's reference; fragments are kept."""
    if not targets:
        return resource

    def link(text: str) -> str:
        url, mark, fragment = text.partition("#")
        found = targets.get(url)
        return found + mark + fragment if found else text

    def walk(value: Any, name: str) -> Any:
        if isinstance(value, str):
            if name == "div":
                return NARRATIVE_LINK.sub(lambda m: m[1] + link(m[2]), value)
            return value if name in NOT_LINKS else link(value)
        if isinstance(value, dict):
            return {key: walk(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [walk(part, name) for part in value]
        return value

    rewritten: Resource = walk(resource, "")
    return rewritten
