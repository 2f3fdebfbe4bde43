"""``DocumentReference/$generate-metadata``: a structured document in, its DocumentReference out.

https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata (IHE MHD 4.2, ITI-106)
"""

from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, NotSupported
from fhirserver.interactions import prepare
from fhirserver.operations import inputs
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

KINDS = ("Binary", "Bundle")


async def generate_metadata(request: Request, server: "Server") -> Result:
    """Store the document, a submission set and the metadata that the document says of itself.

    ``document`` is a Binary with a CDA document or a FHIR document, or a Bundle of type document.

    Raises:
        BadRequest: no document, or one that is neither.
        Invalid: it is no valid resource.
        Unprocessable: nothing can be read from it, or it is refused.
    """
    given = inputs.read(request, server, ("document",), "document")
    document = given.one("document")
    if not isinstance(document, dict) or document.get("resourceType") not in KINDS:
        raise BadRequest("The parameter document is a Binary or a Bundle", expression="document")
    issues = [i for i in server.validator.validate(document) if i.severity in ("error", "fatal")]
    if issues:
        raise prepare.Invalid("The document is not valid", issues=issues)
    if server.publishing is None:
        raise NotSupported("Nothing is published here")
    return await server.publishing.describe(document, request)
