"""Languages: FHIR wants a tag (BCP 47), senders write names, tables and three letters."""

import pytest

from mappings.core.source import Source
from mappings.hl7v2 import read
from mappings.hl7v2.context import context_of
from mappings.hl7v2.languages import cwe_to_language

V2 = "urn:x-hl7v2:cs:a:HL70296"


@pytest.mark.parametrize(
    ("sent", "tag", "others"),
    [
        ("fr^Français", "fr", [V2]),
        ("FRA^French^ISO639-2", "fr", ["urn:x-hl7v2:cs:a:ISO639-2"]),
        ("ENG^English^HL70296", "en", [V2]),
        ("en-us", "en-US", [V2]),
        ("GSW^alsacien^ISO639-2", "gsw", ["urn:x-hl7v2:cs:a:ISO639-2"]),
        ("E", "en", [V2]),
        ("^occitan", "und", []),
    ],
)
def test_a_language_has_a_tag_first(sent: str, tag: str, others: list[str]) -> None:
    message = read(f"MSH|^~\\&|A|B|C|D|20240318||ADT^A08|1|P|2.5\rPID|{sent}".encode(), Source("a"))
    concept = cwe_to_language(message.segments[1][1], context_of(message, Source("a")))
    assert concept is not None
    first, *rest = concept["coding"]
    assert (first["system"], first["code"]) == ("urn:ietf:bcp:47", tag)
    assert [coding["system"] for coding in rest] == others
