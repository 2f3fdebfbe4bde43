"""``fhirserver inbox`` on a database that a server has filled."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from fhirserver.app import open_parts
from fhirserver.cli import app
from fhirserver.settings import Settings, to_environment
from fhirserver.storage.items import Item
from tests.feeds.messages import OID, adt, message

LOCAL = "urn:x-hl7v2:cs:LAB%2FHOSP:99LAB"
RESULT = (
    f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada\rOBR|1||R1^LAB|58410-2^H^LN|||20260301\r"
    "OBX|1|NM|NA^Sodium^99LAB||140|mmol/L|||||F"
)


@pytest.fixture(scope="module")
def filled(make_settings: Callable[..., Settings]) -> tuple[Settings, list[Item]]:
    """A database with a message processed, one held, one failed and one with a code nobody maps."""
    settings = make_settings()

    async def fill() -> list[Item]:
        async with open_parts(settings, listen=False) as parts:
            items = []
            raws = (adt("1"), message("2", "ZZZ^Z01"), adt("3", f11="X"), message("4", "ORU^R01", RESULT))
            for raw in raws:
                receipt = await parts.receiver.receive(raw, "hl7v2", "file")
                await receipt.outcome()
                items.append(receipt.item)
            return items

    return settings, asyncio.run(fill())


def run(settings: Settings, *arguments: str, code: int = 0) -> str:
    environment = {**to_environment(settings), "COLUMNS": "400"}
    result = CliRunner().invoke(app, ["inbox", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.output)


@pytest.mark.parametrize(
    ("arguments", "controls"),
    [
        ((), ["4", "3", "2", "1"]),
        (("--status", "held"), ["2"]),
        (("--patient", "P1"), ["4", "3", "1"]),
        (("--source", "LAB/HOSP", "--since", "2020-01-01", "--limit", "1"), ["4"]),
        (("--source", "X"), []),
        (("--since", "2999-01-01T00:00:00+00:00"), []),
    ],
)
def test_list(filled: tuple[Settings, list[Item]], arguments: tuple[str, ...], controls: list[str]) -> None:
    settings, items = filled
    shown = run(settings, "list", *arguments)
    found = [item.control_id for item in reversed(items) if item.id in shown]
    assert found == controls


def test_show(filled: tuple[Settings, list[Item]]) -> None:
    settings, items = filled
    shown = run(settings, "show", items[0].id)
    assert "PID-5        MARTIN^Ada^^^^^L" in shown
    assert re.search(r"became +http://\S+/fhir/Patient/", shown)
    assert "There is no mapping for ZZZ^Z01" in run(settings, "show", items[1].id)
    assert adt("1").decode() in run(settings, "show", items[0].id, "--raw")


def test_stats(filled: tuple[Settings, list[Item]]) -> None:
    assert re.search(r"LAB/HOSP +2 +", run(filled[0], "stats"))


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("show", "none"), 1, "There is no item none"),
        (("list", "--status", "lost"), 2, "none of received"),
        (("list", "--since", "x"), 2, "no time such as"),
        (("replay",), 2, "Say which"),
        (("cancel", "none"), 1, "There is no item none"),
    ],
)
def test_faults(
    filled: tuple[Settings, list[Item]], arguments: tuple[str, ...], code: int, text: str
) -> None:
    assert text in run(filled[0], *arguments, code=code)


def test_decisions(filled: tuple[Settings, list[Item]]) -> None:
    settings, items = filled
    assert "There is no mapping" in run(settings, "replay", items[1].id, code=1)
    assert "1 processed again" in run(settings, "replay", "--status", "held", code=1)
    assert "cancelled" in run(settings, "cancel", items[1].id)
    assert "only what is received, held, failed" in run(settings, "cancel", items[1].id, code=1)
    assert f"{items[2].id} held" in run(settings, "hold", items[2].id)


def test_codes(filled: tuple[Settings, list[Item]]) -> None:
    settings, items = filled
    listed: Any = re.search(r"1 +LAB/HOSP +(\S+) +NA +Sodium +(\S+)", run(settings, "unmapped"))
    assert (listed[1], listed[2]) == (LOCAL, items[3].id)
    done = run(settings, "map", "LAB/HOSP", LOCAL, "NA", "http://loinc.org", "2951-2", "--display", "Sodium")
    assert f"{items[3].id} processed" in done
    assert LOCAL not in run(settings, "unmapped")
