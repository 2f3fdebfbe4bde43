"""What an input says, joined with what is stored."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.feeds.merge import absent, equal, merge, point


def pressure(code: str, value: int = 0) -> Any:
    said = {"valueInteger": value} if value else {"dataAbsentReason": {"text": "unknown"}}
    return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **said}


@pytest.mark.parametrize(
    ("stored", "sent", "cleared", "merged"),
    [
        ({"gender": "male"}, {"gender": "female"}, (), {"gender": "female"}),
        ({"gender": "male"}, {}, (), {"gender": "male"}),
        ({"gender": "male"}, {}, ("gender",), {}),
        ({"gender": "male"}, {"gender": "female"}, ("gender",), {"gender": "female"}),
        (
            {"name": [{"family": "A"}, {"family": "B"}]},
            {"name": [{"family": "C"}]},
            (),
            {"name": [{"family": "C"}]},
        ),
        ({"id": "1"}, {"id": "2"}, (), {"id": "1"}),
        (
            {"identifier": [{"system": "a", "value": "1"}, {"system": "b", "value": "1"}]},
            {"identifier": [{"system": "c", "value": "1"}, {"system": "a", "value": "1", "use": "old"}]},
            (),
            {
                "identifier": [
                    {"system": "a", "value": "1", "use": "old"},
                    {"system": "b", "value": "1"},
                    {"system": "c", "value": "1"},
                ]
            },
        ),
        (
            {"extension": [{"url": "a", "valueCode": "1"}, {"url": "b"}]},
            {"extension": [{"url": "a", "valueCode": "2"}, {"url": "a", "valueCode": "3"}]},
            (),
            {"extension": [{"url": "a", "valueCode": "2"}, {"url": "a", "valueCode": "3"}, {"url": "b"}]},
        ),
        (
            {
                "telecom": [
                    {"system": "phone", "use": "home", "value": "1"},
                    {"system": "email", "value": "ins@patient.mssante.example"},
                    {"system": "phone", "use": "home", "value": "2"},
                    {"system": "phone", "use": "work", "value": "3"},
                ],
                "address": [{"use": "home", "city": "A"}, {"use": "temp", "city": "B"}],
                "name": [{"use": "official", "family": "A"}, {"use": "usual", "family": "B"}],
            },
            {
                "resourceType": "Patient",
                "telecom": [
                    {"system": "phone", "use": "mobile", "value": "4"},
                    {"system": "phone", "use": "home", "value": "5"},
                    {"system": "phone", "use": "home", "value": "6"},
                ],
                "address": [{"use": "home", "city": "C"}],
                "name": [{"use": "usual", "family": "C"}, {"use": "usual", "family": "D"}],
            },
            (),
            {
                "telecom": [
                    {"system": "phone", "use": "home", "value": "5"},
                    {"system": "phone", "use": "home", "value": "6"},
                    {"system": "email", "value": "ins@patient.mssante.example"},
                    {"system": "phone", "use": "work", "value": "3"},
                    {"system": "phone", "use": "mobile", "value": "4"},
                ],
                "address": [{"use": "home", "city": "C"}, {"use": "temp", "city": "B"}],
                "name": [
                    {"use": "official", "family": "A"},
                    {"use": "usual", "family": "C"},
                    {"use": "usual", "family": "D"},
                ],
            },
        ),
        (
            {"telecom": [{"system": "phone", "value": "1"}], "name": [{"family": "A"}]},
            {"resourceType": "Patient", "name": [{"family": "B"}]},
            ("telecom", "name"),
            {"name": [{"family": "B"}]},
        ),
        (
            {"meta": {"versionId": "3", "profile": ["p"]}},
            {"meta": {"profile": ["q"], "tag": [{"code": "t"}]}},
            (),
            {"meta": {"versionId": "3", "profile": ["p"], "tag": [{"code": "t"}]}},
        ),
        # Of a blood pressure only one number is corrected; the other one is not sent.
        (
            {"component": [pressure("8480-6", 120), pressure("8462-4", 80)]},
            {"component": [pressure("8480-6", 130), pressure("8462-4")]},
            ("valueQuantity",),
            {"component": [pressure("8480-6", 130), pressure("8462-4", 80)]},
        ),
        # A Composition has one identifier, not a list of them.
        ({"identifier": {"value": "1"}}, {"identifier": {"value": "2"}}, (), {"identifier": {"value": "2"}}),
    ],
)
def test_merge(stored: Any, sent: Any, cleared: tuple[str, ...], merged: Any) -> None:
    assert merge(stored, sent, cleared) == merged
    assert equal(merge(merged, sent, cleared), merged), "to say it again changes nothing"


def test_equal_looks_at_digits_not_at_order() -> None:
    assert equal({"a": 1, "b": [2]}, {"b": [2], "a": 1})
    assert not equal({"a": Decimal("1.0")}, {"a": Decimal("1.00")})


def test_point() -> None:
    resource = {
        "subject": {"reference": "urn:uuid:a"},
        "content": [{"attachment": {"url": "urn:uuid:b", "title": "urn:uuid:a"}}],
        "identifier": [{"value": "urn:uuid:a"}],
        "author": [{"reference": "urn:uuid:c"}],
    }
    pointed = point(resource, {"urn:uuid:a": "Patient/1", "urn:uuid:b": "Binary/2"})
    assert pointed == {
        "subject": {"reference": "Patient/1"},
        "content": [{"attachment": {"url": "Binary/2", "title": "urn:uuid:a"}}],
        "identifier": [{"value": "urn:uuid:a"}],
        "author": [{"reference": "urn:uuid:c"}],
    }
    assert resource["subject"] == {"reference": "urn:uuid:a"}


def test_absent_gives_no_second_answer() -> None:
    stored, sent = {"onsetString": "childhood"}, {"onsetDateTime": "2015", "recordedDate": "2016"}
    assert absent(stored, sent) == {"recordedDate": "2016"}
