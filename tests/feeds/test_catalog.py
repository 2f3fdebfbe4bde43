"""Whose an input is, by what is defined; and what becomes of it before it is mapped."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from fhirserver.errors import BadRequest, NotFound, Unavailable, VersionConflict
from fhirserver.feeds.catalog import Catalog, read_file
from fhirserver.feeds.origin import Origin
from fhirserver.storage.sources import SourceVersion, SourceVersions
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import adt, message

pytestmark = pytest.mark.anyio

SOURCES: dict[str, dict[str, Any]] = {
    "lab": {"match": {"application": "LAB"}},
    "lab-north": {"match": {"application": "LAB", "facility": "NORTH"}},
    "lab-port": {"match": {"application": "LAB", "facility": "NORTH", "ports": [2576]}},
    "net": {"match": {"networks": ["10.1.0.0/16"]}},
    "cert": {"match": {"certificates": ["his.example.org", "other"]}},
    "secure": {"match": {"application": "HIS", "networks": ["10.2.0.0/16"], "certificates": ["his"]}},
    "web": {"match": {"channel": "http"}},
}


SENDERS: tuple[tuple[str, str, Origin, str, bool, bool], ...] = (
    ("LAB", "SOUTH", Origin("mllp"), "lab", True, False),
    ("LAB^1.2.3^ISO", "SOUTH", Origin("mllp"), "lab", True, False),
    ("LAB", "NORTH^9.9^ISO", Origin("mllp"), "lab-north", True, False),
    ("LAB", "NORTH", Origin("mllp", 2576), "lab-port", True, False),
    ("LAB", "NORTH", Origin("mllp", 2575), "lab-north", True, False),
    ("LABO", "NORTH", Origin("mllp", 2575), "LABO/NORTH", False, False),
    ("X", "Y", Origin("mllp", address="10.1.2.3"), "net", True, False),
    ("X", "Y", Origin("mllp", address="::ffff:10.1.2.3"), "net", True, False),
    ("X", "Y", Origin("mllp", address="10.3.2.3"), "X/Y", False, False),
    ("X", "Y", Origin("mllp", certificates=frozenset({"other", "ab12"})), "cert", True, False),
    ("HIS", "Y", Origin("mllp", address="10.2.1.1", certificates=frozenset({"his"})), "secure", True, False),
    ("HIS", "Y", Origin("mllp", address="10.2.1.1"), "HIS/Y", False, True),
    ("HIS", "Y", Origin("mllp", address="10.9.1.1"), "HIS/Y", False, True),
    ("HIS", "Y", Origin("http", address="10.9.1.1"), "web", True, False),
    ("HIS", "Y", Origin("file"), "secure", True, False),
)
"""MSH-3, MSH-4 and origin; then the source's name, whether it is known, and known from elsewhere."""


async def test_the_source_of_a_message(feed: Feed) -> None:
    for source, definition in SOURCES.items():
        await feed.receiver.catalog.put(source, definition)
    for application, facility, origin, name, known, elsewhere in SENDERS:
        envelope = feed.receiver.open("hl7v2", adt("1", f3=application, f4=facility), origin)
        assert envelope.sender is not None
        found = (envelope.source, envelope.sender.known, envelope.sender.elsewhere)
        assert found == (name, known, elsewhere), (application, facility, origin)
        assert envelope.refusal == ("AR" if elsewhere else "")


@pytest.mark.parametrize(
    ("settings", "definition", "msh", "channel", "status", "code", "text"),
    [
        ({}, None, {}, "mllp", "processed", "AA", ""),
        ({"unknown_sources": "hold"}, None, {}, "mllp", "held", "AA", "not known"),
        ({"unknown_sources": "refuse"}, None, {}, "http", "failed", "AR", "not known"),
        ({"unknown_sources": "refuse"}, None, {}, "file", "processed", "AA", ""),
        ({"unknown_sources": "refuse"}, {}, {}, "mllp", "processed", "AA", ""),
        ({}, {"intake": "hold"}, {}, "mllp", "held", "AA", "a person decides"),
        ({}, {"intake": "refuse"}, {}, "mllp", "failed", "AR", "not known"),
        ({}, {"intake": "refuse", "refusal": "AE"}, {}, "mllp", "failed", "AE", "not known"),
        ({}, {}, {"f11": "T"}, "mllp", "processed", "AA", ""),
        ({"hl7v2_test_messages": "refuse"}, {}, {"f11": "T"}, "mllp", "failed", "AR", "test message"),
        ({"hl7v2_test_messages": "refuse"}, {}, {"f11": "D"}, "mllp", "failed", "AR", "test message"),
        (
            {"hl7v2_test_messages": "refuse"},
            {"test_messages": "hold"},
            {"f11": "T"},
            "mllp",
            "held",
            "AA",
            "test",
        ),
        ({"hl7v2_test_messages": "refuse"}, {}, {}, "mllp", "processed", "AA", ""),
        ({}, {"structure": "warn"}, {}, "mllp", "warnings", "AA", "There is no PV1"),
        ({}, {"structure": "refuse"}, {}, "mllp", "failed", "AE", "There is no PV1"),
        ({}, {"structure": "refuse", "refusal": "AR"}, {}, "mllp", "failed", "AR", "There is no PV1"),
    ],
)
async def test_what_a_source_is_allowed(
    open_feed: OpenFeed,
    settings: dict[str, Any],
    definition: dict[str, Any] | None,
    msh: dict[str, str],
    channel: str,
    status: str,
    code: str,
    text: str,
) -> None:
    async with open_feed(**settings) as feed:
        if definition is not None:
            await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, **definition})
        (answer,) = await feed.receiver.receive_hl7v2(adt("1", **msh), Origin(channel))
        assert answer.item is not None
        item = await feed.inbox.get(answer.item.id)
        assert (item.status, answer.code, item.outcome.acknowledgement) == (status, code, code)
        assert not text or any(text in issue["text"] for issue in item.outcome.issues)
        assert b"|202^" not in answer.acknowledgements[0] or "f11" in msh


async def test_held_by_its_source_is_processed_when_a_person_says_so(feed: Feed) -> None:
    await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, "intake": "hold"})
    item, outcome = await feed.take(adt("1"))
    assert (item.status, outcome.status) == ("held", "held")
    await feed.receiver.replay(item.id)
    assert (await feed.receiver.outcome(item)).status == "processed"
    await feed.only("Patient")


async def test_a_definition_is_in_effect_from_the_next_message_on(feed: Feed) -> None:
    await feed.take(message("1", "ADT^A08", "PID|||P1^^^HOSP||MARTIN^Ada"))
    assert (await feed.only("Patient"))["identifier"][0]["system"] == "urn:x-hl7v2:LAB%2FHOSP:HOSP"
    definition = {
        "match": {"application": "LAB"},
        "authorities": {"HOSP": "urn:oid:1.2.9"},
        "identifier_system": "urn:oid:1.2.10",
        "timezone": "Indian/Reunion",
        "premappings": ["null-is-absent"],
    }
    await feed.receiver.catalog.put("lab", definition)
    await feed.take(
        message("2", "ADT^A08", 'PID|||P2^^^HOSP||MARTIN^Ada||""|F' + "|" * 21 + "202601010800", f7="")
    )
    await feed.take(message("3", "ADT^A08", "PID|||P3||MARTIN^Ada"))
    found = await feed.only("Patient", identifier="urn:oid:1.2.9|P2")
    assert found["deceasedDateTime"] == "2026-01-01T08:00:00+04:00"
    await feed.only("Patient", identifier="urn:oid:1.2.10|P3")


async def test_charset_of_a_source(feed: Feed) -> None:
    await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, "charset": "cp850"})
    raw = adt("1", family="LEFÈVRE").decode().encode("cp850")
    (answer,) = await feed.receiver.receive_hl7v2(raw, Origin("mllp"))
    assert (await feed.only("Patient"))["name"][0]["family"] == "LEFÈVRE"
    assert answer.code == "AA"


async def test_other_processes_see_a_change(open_feed: OpenFeed) -> None:
    async with open_feed() as one, open_feed() as two:
        await one.receiver.catalog.put("lab", {"match": {"application": "LAB"}})
        for _ in range(60):
            await asyncio.sleep(0.05)
            if two.receiver.open("hl7v2", adt("1"), Origin("mllp")).source == "lab":
                break
        assert two.receiver.open("hl7v2", adt("1"), Origin("mllp")).source == "lab"
        await one.receiver.catalog.delete("lab")
        await two.receiver.catalog.refresh()
        assert two.receiver.open("hl7v2", adt("1"), Origin("mllp")).source == "LAB/HOSP"


async def test_versions(feed: Feed) -> None:
    catalog = feed.receiver.catalog
    first = await catalog.put("lab", {"description": "a"}, seen=0)
    assert (await catalog.put("lab", {"description": "a"})).version == first.version == 1
    assert (await catalog.put("lab", {"description": "b"}, seen=1)).version == 2
    for seen in (0, 1):
        with pytest.raises(VersionConflict):
            await catalog.put("lab", {"description": "c"}, seen=seen)
    await catalog.delete("lab")
    with pytest.raises(NotFound):
        await catalog.delete("lab")
    assert (await catalog.put("lab", {"description": "d"}, seen=0)).version == 4
    found = await catalog.versions.history("lab")
    assert [(one.version, one.deleted, one.definition) for one in found] == [
        (4, False, {"description": "d"}),
        (3, True, {}),
        (2, False, {"description": "b"}),
        (1, False, {"description": "a"}),
    ]


FILE = """
[sources.gam]
domain = "CHU"
[sources.gam.match]
application = "GAM"
[sources.lab]
match = { application = "LAB" }
"""


async def test_sources_file(open_feed: OpenFeed, tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(FILE)
    async with open_feed(sources_file=path) as feed:
        catalog = feed.receiver.catalog
        assert [(one.name, one.origin) for one in await catalog.versions.all()] == [
            ("gam", "file"),
            ("lab", "file"),
        ]
        with pytest.raises(VersionConflict, match="file"):
            await catalog.put("gam", {})
        with pytest.raises(VersionConflict, match="file"):
            await catalog.delete("gam")
        await catalog.put("api", {})
        assert feed.receiver.open("hl7v2", adt("1"), Origin("mllp")).source == "lab"
        path.write_text("[sources.gam]\n")
        os.utime(path, (1, 1))
        for _ in range(60):
            await asyncio.sleep(0.05)
            if len(await catalog.versions.all()) == 2:
                break
        assert [one.name for one in await catalog.versions.all()] == ["api", "gam"]
        path.write_text("[sources.gam\n")
        await asyncio.sleep(1.2)
        assert [one.name for one in await catalog.versions.all()] == ["api", "gam"], "a fault changes nothing"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[sources.gam", "no TOML"),
        ("[sources.gam]\ncolour = 1", "gam: colour"),
        ("[source.gam]", r"tables \[sources.NAME\]"),
        ("sources = 3", r"tables \[sources.NAME\]"),
        ("[sources.'a b']", "not a name"),
        (b"\xff\xfe", "no TOML"),
    ],
)
def test_faults_of_the_file(tmp_path: Path, content: str | bytes, text: str) -> None:
    path = tmp_path / "sources.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadRequest, match=text) as caught:
        read_file(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        read_file(tmp_path / "none.toml")


async def test_a_definition_that_is_not_usable_here_holds(feed: Feed) -> None:
    """Written by another process that has a pre-mapping which is not installed here."""
    versions = SourceVersions(feed.inbox.database)
    await versions.put("lab", {"match": {"application": "LAB"}, "premappings": ["theirs"]}, "api")
    catalog = Catalog(feed.server, versions, feed.settings)
    await catalog.refresh()
    sender = catalog.identify(feed.receiver.open("hl7v2", adt("1"), Origin("mllp")), Origin("mllp"))
    assert (sender.name, sender.definition.intake) == ("lab", "hold")


class Away(SourceVersions):
    """Definitions of a database that does not answer at first."""

    away = True

    async def put(self, *arguments: Any, **options: Any) -> SourceVersion:
        if self.away:
            raise Unavailable("not now")
        return await super().put(*arguments, **options)


async def test_file_is_taken_once_the_database_answers(feed: Feed, tmp_path: Path) -> None:
    path = tmp_path / "sources.toml"
    path.write_text(FILE)
    versions = Away(feed.inbox.database)
    settings = feed.settings.model_copy(update={"sources_file": path})
    catalog = Catalog(feed.server, versions, settings)
    with pytest.raises(Unavailable):
        await catalog.start()
    versions.away = False
    await catalog.start()
    await catalog.stop()
    assert [one.name for one in await versions.all()] == ["gam", "lab"]
