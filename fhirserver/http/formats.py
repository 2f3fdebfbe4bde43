"""The bytes of bodies: which format is asked for, and making it. https://hl7.org/fhir/R4/http.html#mime-type"""

from collections.abc import Mapping

from fhirserver.errors import NotAcceptable
from fhirserver.model import json, xml
from fhirserver.model.definitions import Definitions
from fhirserver.request import Result

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"
MEDIA_TYPES = {
    "json": JSON,
    "application/json": JSON,
    "application/fhir+json": JSON,
    "text/json": JSON,
    "application/*": JSON,
    "*/*": JSON,
    "xml": XML,
    "application/xml": XML,
    "application/fhir+xml": XML,
    "text/xml": XML,
    "text/*": JSON,
    "text/html": JSON,  # a browser is shown JSON
}


def negotiate(query: Mapping[str, str], accept: str) -> str:
    """The media type to answer in; ``_format`` wins over Accept.

    Raises:
        NotAcceptable: none of what is asked for is made here.
    """
    if asked := query.get("_format"):
        # An unescaped + in a URL has been decoded to a space.
        name = asked.partition(";")[0].strip().replace(" ", "+").lower()
        if name in MEDIA_TYPES:
            return MEDIA_TYPES[name]
        raise NotAcceptable(f"_format={asked[:80]} is not made here; json and xml are")
    if not accept:
        return JSON
    ranges = sorted(map(_range, accept.split(",")), key=lambda r: -r[1])
    for name, quality in ranges:
        if quality > 0 and name in MEDIA_TYPES:
            return MEDIA_TYPES[name]
    raise NotAcceptable(f"Accept {accept[:200]} names nothing that is made here; application/fhir+json is")


def write(result: Result, media_type: str, pretty: bool, definitions: Definitions) -> None:
    """Turn a result's JSON into what was negotiated; content that is no resource stays as it is."""
    if not result.body or not result.content_type.startswith("application/fhir+json"):
        return
    if media_type == XML:
        result.body = xml.format(json.stored(result.body), definitions, pretty=pretty)
        result.content_type = XML
    elif pretty:
        result.body = json.pretty(result.body)


def _range(text: str) -> tuple[str, float]:
    """A media range and its quality: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1"""
    name, *parameters = (part.strip() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return name.lower(), quality
