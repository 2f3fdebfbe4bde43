"""``/schemas``: the JSON Schema of every resource type that is on, and of the operator's profiles."""

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.errors import NotFound
from fhirserver.model import json
from fhirserver.model.media_types import JSON
from fhirserver.server import refusal
from fhirserver.validation import UnusableProfile
from fhirserver.validation.schemas import profile_schema, schema_of

if TYPE_CHECKING:
    from fhirserver.server import Server

PATH = "/schemas"
SCHEMA = "application/schema+json"
AGE = "max-age=3600"


def schema_routes(server: "Server") -> list[Route]:
    schemas = _Schemas(server)
    return [Route(PATH, schemas.index), Route(PATH + "/{name}", schemas.one)]


class _Schemas:
    def __init__(self, server: "Server") -> None:
        self._server = server
        self._base = server.base_url.rpartition("/")[0] + PATH

    async def index(self, request: Request) -> Response:
        """The schemas by name, each with its address and what it is about."""
        listed = [
            {"name": type, "url": f"{self._base}/{type}", "type": type} for type in sorted(self._server.types)
        ]
        for name, url in sorted(self._profiles().items()):
            type = self._server.validator.profiles.type_of(url)
            listed.append({"name": name, "url": f"{self._base}/{name}", "type": str(type), "profile": url})
        return Response(json.format({"schemas": listed}), media_type="application/json")

    async def one(self, request: Request) -> Response:
        name = request.path_params["name"]
        schema = self._schema(name, f"{self._base}/{name}")
        if schema is None:
            result = refusal(NotFound(f"There is no schema {name[:64]!r}; {PATH} lists them"))
            return Response(result.body, result.status, media_type=JSON)
        return Response(json.format(schema), media_type=SCHEMA, headers={"Cache-Control": AGE})

    def _schema(self, name: str, url: str) -> Any:
        if name in self._server.types:
            return schema_of(name, self._server.definitions, url)
        canonical = self._profiles().get(name)
        if canonical is None:
            return None
        try:
            profile = self._server.validator.profiles.find(canonical)
        except UnusableProfile:
            return None
        if profile is None:
            return None
        return profile_schema(profile.tree, self._server.definitions, url, canonical)

    def _profiles(self) -> dict[str, str]:
        """The profiles of resource types beyond the specification's, by the last part of their url."""
        return {
            url.rpartition("/")[2]: url for url in self._server.validator.profiles.added(self._server.types)
        }
