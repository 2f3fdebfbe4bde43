"""Which format an answer is made in. https://hl7.org/fhir/R4/http.html#mime-type and #version-parameter"""

from dataclasses import dataclass, field
from functools import lru_cache

from fhirserver.errors import NotAcceptable

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"
NDJSON = "application/fhir+ndjson"

FHIR_VERSIONS = ("4.0", "4.0.1")
"""The values of the parameter ``fhirVersion`` that name what is served here."""

NAMES = {
    "json": JSON,
    "application/json": JSON,
    "application/fhir+json": JSON,
    "text/json": JSON,
    "html": JSON,  # a browser is shown JSON
    "text/html": JSON,
    "xml": XML,
    "application/xml": XML,
    "application/fhir+xml": XML,
    "text/xml": XML,
    "ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/x-ndjson": NDJSON,
    "application/fhir+ndjson": NDJSON,
}
WILDCARDS = ("*/*", "application/*", "text/*")


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One alternative of an Accept header; names and the names of parameters are in lower case."""

    name: str
    quality: float = 1.0
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def served(self) -> bool:
        """Whether its parameters ask for what is made here: FHIR R4 in UTF-8."""
        version = self.parameters.get("fhirversion", FHIR_VERSIONS[0])
        return version in FHIR_VERSIONS and self.parameters.get("charset", "utf-8").lower() == "utf-8"


def parse(text: str) -> MediaRange:
    """A media type with its parameters: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1"""
    name, *rest = (part.strip() for part in text.split(";"))
    parameters = {}
    for part in rest:
        key, _, value = part.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    try:
        quality = float(parameters.pop("q", "1"))
    except ValueError:
        quality = 0.0
    return MediaRange(name.lower(), quality, parameters)


def ranges(accept: str) -> list[MediaRange]:
    """The alternatives of an Accept header, the most wanted first; of equals those that name a type first."""
    found = [parse(part) for part in accept.split(",") if part.strip()]
    return sorted(found, key=lambda r: (-r.quality, r.name in WILDCARDS))


@lru_cache(maxsize=1024)
def negotiate(asked: str, accept: str) -> str:
    """The media type to answer in: ``_format`` (``asked``) wins over Accept.

    Raises:
        NotAcceptable: none of what is asked for is made here.
    """
    if asked:
        # An unescaped + in a URL has been decoded to a space.
        name, _, parameters = asked.partition(";")
        wanted = parse(f"{name.strip().replace(' ', '+')};{parameters}")
        if wanted.name in NAMES and wanted.served:
            return NAMES[wanted.name]
        raise NotAcceptable(f"_format={asked[:80]} is not made here; json, xml and ndjson are (FHIR 4.0)")
    if not accept:
        return JSON
    alternatives = ranges(accept)
    refused = {NAMES[r.name] for r in alternatives if r.quality <= 0 and r.name in NAMES}
    for alternative in alternatives:
        if alternative.quality <= 0 or not alternative.served:
            continue
        if alternative.name in NAMES:
            return NAMES[alternative.name]
        if alternative.name in WILDCARDS:
            for made in (JSON, XML):
                if made not in refused:
                    return made
    raise NotAcceptable(
        f"Accept {accept[:200]} names nothing that is made here; application/fhir+json (fhirVersion=4.0, "
        "charset=utf-8), application/fhir+xml and, for searches, application/fhir+ndjson are"
    )
