"""The bytes of an answer in the format that was negotiated. https://hl7.org/fhir/R4/http.html#mime-type"""

from fhirserver.model import json, xml
from fhirserver.model.definitions import Definitions
from fhirserver.model.media_types import XML
from fhirserver.request import Result


def write(result: Result, media_type: str, pretty: bool, definitions: Definitions) -> None:
    """Turn a result's JSON into what was negotiated; content that is no resource stays as it is.

    Raises:
        Unprocessable: the resource has no XML form.
    """
    if not result.body or not result.content_type.startswith("application/fhir+json"):
        return
    if media_type == XML:
        result.body = xml.format(json.stored(result.body), definitions, pretty=pretty)
        result.content_type = XML
    elif pretty:
        result.body = json.pretty(result.body)
