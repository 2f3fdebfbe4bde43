import re
from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

URL = "http://acme.org/fhir/ValueSet/123"


@pytest.mark.parametrize(
    ("url", "asked", "found"),
    [
        (URL, f"url={URL}", True),
        (URL, "url=http://acme.org/fhir/ValueSet/12", False),
        (URL, "url=http://ACME.org/fhir/ValueSet/123", False),
        (URL, "url=http://x.org,http://acme.org/fhir/ValueSet/123", True),
        (URL, "url:below=http://acme.org/fhir/", True),
        (URL, f"url:below={URL}", True),
        (URL, "url:below=http://acme.org/other/", False),
        (URL, "url:above=http://acme.org/fhir/ValueSet/123/_history/5", True),
        (URL, f"url:above={URL}", True),
        (URL, "url:above=http://acme.org/fhir/ValueSet/1234", False),
        (URL, "url:above=http://acme.org/fhir", False),
        ("http://acme.org/", "url:above=http://acme.org/fhir", True),
        ("urn:oid:1.2.3.4.5", "url=urn:oid:1.2.3.4.5", True),
        ("urn:oid:1.2.3.4.5", "url=urn:oid:1.2.3.4", False),
        (URL, "url:missing=false", True),
    ],
)
def test_uri(finds: Finds, url: str, asked: str, found: bool) -> None:
    assert finds({"resourceType": "ValueSet", "url": url}, asked) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("_profile=http://hl7.fr/p", True),
        ("_profile=http://hl7.fr/p|1.0", True),
        ("_profile=http://hl7.fr/p|2.0", False),
        ("_profile:below=http://hl7.fr/p|1", True),
        ("_profile:below=http://hl7.fr/q|1", False),
        ("_profile:below=http://hl7.fr/", True),
        ("_profile=http://hl7.fr/q", True),
        ("_profile=http://hl7.fr/q|1.0", False),
        ("_source=urn:src", True),
        ("_source:missing=false", True),
    ],
)
def test_canonicals_and_the_parameters_of_meta(finds: Finds, asked: str, found: bool) -> None:
    meta = {"profile": ["http://hl7.fr/p|1.0", "http://hl7.fr/q|10"], "source": "urn:src"}
    assert finds({"resourceType": "Binary", "meta": meta}, asked) is found


@pytest.mark.parametrize(
    ("asked", "reason"),
    [("url:below=urn:oid:1.2", "not a URL"), ("url:above=x", "not a URL"), ("url=a|b|c", "more than one |")],
)
def test_refused(finds: Finds, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        finds({"resourceType": "ValueSet"}, asked)
