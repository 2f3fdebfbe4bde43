"""The input parameters of an operation: from the URL, or a Parameters resource, or a resource alone.

https://hl7.org/fhir/R4/operations.html#request
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.interactions import prepare
from fhirserver.model.json import Resource
from fhirserver.request import GENERAL, Request

if TYPE_CHECKING:
    from fhirserver.server import Server


@dataclass(frozen=True, slots=True)
class Inputs:
    """Names and values in order; a value is text, a resource, or an element such as a Meta; of a parameter
    of several parts it is ``{"part": [...]}``."""

    given: tuple[tuple[str, Any], ...]

    def all(self, name: str) -> list[Any]:
        return [value for key, value in self.given if key == name]

    def one(self, name: str) -> Any:
        """The value of a parameter that is there at most once, None when it is not. Raises BadRequest."""
        values = self.all(name)
        if len(values) > 1:
            raise BadRequest(f"The parameter {name} is given more than once", expression=name)
        return values[0] if values else None

    def text(self, name: str) -> str:
        """As ``one``, of a primitive; "" when it is not there."""
        value = self.one(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise BadRequest(f"The parameter {name} is not a primitive value", expression=name)
        return value

    def flag(self, name: str) -> bool:
        """As ``one``, of a boolean; False when it is not there."""
        text = self.text(name)
        if text not in ("", "true", "false"):
            raise BadRequest(f"{name}={text[:40]} is not true or false", expression=name)
        return text == "true"

    def number(self, name: str, default: int) -> int:
        """As ``one``, of a positive integer."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
            raise BadRequest(f"{name}={text[:40]} is not a positive integer", expression=name)
        return int(text)


def read(request: Request, server: "Server", known: Collection[str], resource_name: str = "") -> Inputs:
    """The inputs of a request.

    A body that is another resource than Parameters is the value of ``resource_name``, where there is one.

    Raises:
        UnknownParameter: a name that is not ``known``.
        BadRequest: a body that is not what the operation takes.
    """
    given: list[tuple[str, Any]] = [pair for pair in request.query if pair[0] not in GENERAL]
    if request.method == "POST" and (request.body or request.resource is not None):
        resource = prepare.read_body(request, server)
        if resource.get("resourceType") == "Parameters":
            given += _of_parameters(resource)
        elif resource_name:
            given.append((resource_name, resource))
        else:
            raise BadRequest(
                f"The operation takes Parameters, not a {resource.get('resourceType')}",
                expression="resourceType",
            )
    for name, _ in given:
        if name not in known:
            raise UnknownParameter(
                f"There is no parameter {name[:64]!r} here; known are {', '.join(sorted(known))}"
            )
    return Inputs(tuple(given))


def _of_parameters(resource: Resource) -> list[tuple[str, Any]]:
    listed = resource.get("parameter", [])
    if not isinstance(listed, list):
        raise BadRequest("Parameters.parameter is not an array", expression="Parameters.parameter")
    return [_value(position, parameter) for position, parameter in enumerate(listed)]


def _value(position: int, parameter: Any) -> tuple[str, Any]:
    """Checked no further than needed: the resource inside may be there to be validated."""
    place = f"Parameters.parameter[{position}]"
    if not isinstance(parameter, dict) or not isinstance(parameter.get("name"), str):
        raise BadRequest("A parameter has no name", expression=place)
    if isinstance(parameter.get("part"), list):
        return parameter["name"], {"part": parameter["part"]}
    content = [value for key, value in parameter.items() if key == "resource" or key.startswith("value")]
    if len(content) != 1:
        raise BadRequest(f"The parameter {parameter['name'][:64]} has not one value", expression=place)
    match content[0]:
        case bool():
            return parameter["name"], "true" if content[0] else "false"
        case str() | dict():
            return parameter["name"], content[0]
        case list() | None:
            raise BadRequest(f"The parameter {parameter['name'][:64]} has not one value", expression=place)
        case number:
            return parameter["name"], str(number)
