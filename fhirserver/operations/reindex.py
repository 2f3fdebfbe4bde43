"""``$reindex``: compute the index of stored resources anew, as after a change of search parameters"""

from typing import TYPE_CHECKING

from fhirserver.operations import inputs
from fhirserver.operations.asynchronous import accepted
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server


async def reindex(request: Request, server: "Server") -> Result:
    """Begin a reindex of a type, or of those that the parameter ``type`` names (none: of all)."""
    given = inputs.read(request, server, () if request.type else ("type",))
    types = [request.type] if request.type else given.all("type")
    for type in types:
        server.check_type(type)
    asked: dict[str, object] = {
        "types": sorted(set(types) or server.types),
        "url": f"{request.base_url}/{request.path.strip('/')}",
    }
    return await accepted("reindex", asked, request, server)
