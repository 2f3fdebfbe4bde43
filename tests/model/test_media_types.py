"""What is answered to an Accept header or ``_format``."""

import pytest

from fhirserver.errors import NotAcceptable
from fhirserver.model.media_types import JSON, NDJSON, XML, negotiate


@pytest.mark.parametrize(
    ("asked", "accept", "expected"),
    [
        ("", "", JSON),
        ("", "*/*", JSON),
        ("", "application/json", JSON),
        ("", "text/json", JSON),
        ("", "application/fhir+xml", XML),
        ("", "application/xml", XML),
        ("", "text/xml", XML),
        ("", "application/fhir+ndjson", NDJSON),
        ("", "application/fhir+json;q=0.5, application/fhir+xml", XML),
        ("", "application/fhir+xml; q=0.5, application/fhir+json; q=0.9", JSON),
        ("", "*/*, application/fhir+xml", XML),
        ("", "image/png, */*;q=0.1", JSON),
        ("", "application/fhir+json;q=0, */*", XML),
        ("", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JSON),
        ("", "APPLICATION/FHIR+XML", XML),
        ("", "application/fhir+xml; fhirVersion=4.0", XML),
        ("", 'application/fhir+json; fhirVersion="4.0.1"; charset=UTF-8', JSON),
        ("", "application/fhir+json; fhirVersion=3.0, application/fhir+xml", XML),
        ("xml", "application/fhir+json", XML),
        ("json", "application/fhir+xml", JSON),
        ("application/fhir+xml", "", XML),
        ("application/fhir xml", "", XML),
        ("application/fhir json; fhirVersion=4.0", "", JSON),
        ("text/xml", "", XML),
        ("ndjson", "", NDJSON),
        ("html", "", JSON),
    ],
)
def test_negotiate(asked: str, accept: str, expected: str) -> None:
    assert negotiate(asked, accept) == expected


@pytest.mark.parametrize(
    ("asked", "accept"),
    [
        ("", "image/png"),
        ("", "application/fhir+json;q=0"),
        ("", "application/fhir+json;q=0, application/fhir+xml;q=0, */*"),
        ("", "application/fhir+json; fhirVersion=3.0"),
        ("", "application/fhir+json; charset=iso-8859-1"),
        ("", "text/turtle"),
        ("ttl", "application/fhir+json"),
        ("application/fhir+json; fhirVersion=5.0", ""),
    ],
)
def test_what_is_not_made_is_refused(asked: str, accept: str) -> None:
    with pytest.raises(NotAcceptable, match="json"):
        negotiate(asked, accept)
