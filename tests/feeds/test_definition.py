"""What may be defined of a source, and what is said of what may not."""

from typing import Any

import pytest

from fhirserver.errors import BadRequest
from fhirserver.feeds.definition import SourceDefinition, dump, parse
from fhirserver.settings import load

FULL: dict[str, Any] = {
    "description": "Admissions",
    "match": {
        "application": "GAM",
        "facility": "CHU",
        "channel": "mllp",
        "ports": [2576],
        "networks": ["10.1.0.0/16", "::1"],
        "certificates": ["gam.example.org"],
    },
    "domain": "CHU",
    "identifier_system": "urn:oid:1.2.3",
    "authorities": {"CHU": "urn:oid:1.2.4"},
    "charset": "cp1252",
    "timezone": "Indian/Reunion",
    "xds_timezone": "Europe/Paris",
    "demographics": True,
    "snapshots": ["AL1", "PID-3"],
    "premappings": ["null-is-absent", "obx-11-final"],
    "code_maps": ["lab-loinc"],
    "unmapped": "hold",
    "structure": "warn",
    "intake": "hold",
    "test_messages": "refuse",
    "ack": "processed",
    "refusal": "AE",
    "acknowledge_to": "mllps://[::1]:2577",
}


@pytest.mark.parametrize("value", [{}, FULL, {"match": {"application": "GAM"}}])
def test_what_is_read_is_written_again(value: dict[str, Any]) -> None:
    assert dump(parse("gam", value)) == value


@pytest.mark.parametrize(
    ("value", "expression", "text"),
    [
        ({"colour": "red"}, "colour", "there are description"),
        ({"match": {"port": 1}}, "match.port", "there are application"),
        ({"match": {"networks": ["10.0.0.0/8", "10.x"]}}, "match.networks", "'10.x' is not an IP address"),
        ({"charset": "klingon"}, "charset", "is not a codec"),
        ({"timezone": "Paris"}, "timezone", "IANA"),
        ({"premappings": ["nothing"]}, "premappings", "there are"),
        ({"code_maps": ["a b"]}, "code_maps", "ConceptMap"),
        ({"acknowledge_to": "http://x"}, "acknowledge_to", "mllp://"),
        ({"authorities": {"A": "not a uri"}}, "", "URI"),
        ({"snapshots": ["OBX"]}, "snapshots[0]", "AL1"),
        ({"intake": "maybe"}, "intake", "process"),
        ({"demographics": "perhaps"}, "demographics", "bool"),
    ],
)
def test_faults_name_the_key(value: dict[str, Any], expression: str, text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse("gam", value)
    (issue,) = caught.value.issues
    assert issue.expression == expression
    assert text in issue.text
    assert issue.text.startswith("gam: ")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BadRequest) as caught:
        parse("gam", {"a": 1, "timezone": "x"})
    assert len(caught.value.issues) == 2


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "-a"])
def test_names(name: str) -> None:
    with pytest.raises(BadRequest, match="not a name"):
        parse(name, {})


@pytest.mark.parametrize("value", [[], "x", None])
def test_no_object(value: Any) -> None:
    with pytest.raises(BadRequest, match="object"):
        parse("gam", value)


@pytest.mark.parametrize(
    ("value", "ack", "timezone", "tests"),
    [
        ({}, "received", "Europe/Paris", "process"),
        ({"structure": "refuse"}, "processed", "Europe/Paris", "process"),
        ({"structure": "refuse", "ack": "received"}, "received", "Europe/Paris", "process"),
        ({"timezone": "Indian/Reunion", "test_messages": "hold"}, "received", "Indian/Reunion", "hold"),
    ],
)
def test_settings_fill_in(value: dict[str, Any], ack: str, timezone: str, tests: str) -> None:
    resolved = parse("gam", value).resolved(load({"authorities": {"A": "urn:a"}}, {}))
    assert (resolved.ack, resolved.timezone, resolved.test_messages) == (ack, timezone, tests)
    assert resolved.authorities == {"A": "urn:a"}


def test_what_the_mappings_get() -> None:
    definition = parse("gam", FULL).resolved(load({}, {}))
    source = definition.source("GAM/CHU", {})
    assert (source.name, source.charset, source.demographics) == ("CHU", "cp1252", True)
    assert source.authorities == {"CHU": "urn:oid:1.2.4", "": "urn:oid:1.2.3"}
    assert source.snapshots == {"AL1", "PID-3"}
    assert parse("gam", {}).resolved(load({}, {})).source("GAM/CHU", {}).name == "GAM/CHU"
    assert isinstance(definition, SourceDefinition)
