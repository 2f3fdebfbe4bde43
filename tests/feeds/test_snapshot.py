"""What a source lists as a whole: what it does not list any more is over, for this source."""

from typing import Any

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio

VALI = "|" * 27 + "VALI"
INS = "279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"


def listing(
    control: str,
    *allergies: str,
    day: int = 1,
    patient: str = "A",
    pid: str = "",
    segments: str = "",
    **msh: str,
) -> bytes:
    lines = [f"AL1|{n}|DA|{code}" if code != "null" else 'AL1|""' for n, code in enumerate(allergies, 1)]
    cx = patient if "^" in patient else f"{patient}^^^&{OID}&ISO^PI"
    head = f"EVN||202603{day:02}080000\rPID|||{cx}||MARTIN^Ada^^^^^L{pid}"
    return message(control, "ADT^A08^ADT_A01", "\r".join(filter(None, [head, segments, *lines])), **msh)


async def statuses(feed: Feed) -> dict[str, str]:
    def status(allergy: dict[str, Any]) -> str:
        concept = allergy.get("clinicalStatus") or allergy["verificationStatus"]
        return str(concept["coding"][0]["code"])

    return {a["code"]["text"]: status(a) for a in await feed.search("AllergyIntolerance")}


async def take(feed: Feed, *inputs: bytes) -> list[str]:
    texts: list[str] = []
    for raw in inputs:
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues
        texts = [issue["text"] for issue in outcome.issues]
    return texts


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([("^Nuts",), ("^Nuts",)], {"Nuts": "active"}),
        ([("^Nuts", "^Cats"), ("^Nuts",)], {"Nuts": "active", "Cats": "inactive"}),
        ([("^Nuts", "^Cats"), ()], {"Nuts": "active", "Cats": "active"}),
        ([("^Nuts", "^Cats"), ("null",)], {"Nuts": "inactive", "Cats": "inactive"}),
        ([("^Nuts",), ("^Cats",), ("^Nuts",)], {"Nuts": "active", "Cats": "inactive"}),
        ([("^Nuts", "^Cats"), ("^Nuts", "")], {"Nuts": "active", "Cats": "active"}),
    ],
)
async def test_list_of_allergies(feed: Feed, inputs: list[tuple[str, ...]], expected: dict[str, str]) -> None:
    await take(feed, *(listing(str(n), *codes, day=n) for n, codes in enumerate(inputs, 1)))
    assert await statuses(feed) == expected


async def test_of_other_sources_nothing_ends(feed: Feed) -> None:
    await take(feed, listing("1", "^Nuts"), listing("2", "^Cats", f4="CLINIC"))
    assert await statuses(feed) == {"Nuts": "active", "Cats": "active"}


async def test_the_end_is_told_by_the_message(feed: Feed) -> None:
    await take(feed, listing("1", "^Nuts", "^Cats"), listing("2", "^Nuts", day=2))
    (ended,) = [a for a in await feed.search("AllergyIntolerance") if "inactive" in str(a)]
    told = await feed.search("Provenance", target=f"AllergyIntolerance/{ended['id']}")
    assert len(told) == 2


async def test_late_list_ends_nothing_and_begins_nothing(feed: Feed) -> None:
    texts = await take(feed, listing("1", "^Nuts", day=5), listing("2", "^Cats", day=4))
    assert await statuses(feed) == {"Nuts": "active", "Cats": "inactive"}
    assert any("later list" in text for text in texts)


async def test_late_list_is_the_first(feed: Feed) -> None:
    await take(feed, listing("1", day=5), listing("2", "^Cats", day=4))
    assert await statuses(feed) == {"Cats": "active"}


async def test_same_allergy_under_another_number_is_the_same(feed: Feed) -> None:
    local = f"A^^^&{OID}&ISO^PI"
    await take(
        feed,
        listing("1", "^Nuts", patient=local),
        listing("2", "^Nuts", patient=f"{local}~{INS}", pid=VALI, day=2),
        listing("3", "^Nuts", patient=local, day=3),
    )
    assert await statuses(feed) == {"Nuts": "active"}
    await feed.only("AllergyIntolerance")


async def test_action_codes_are_no_list(feed: Feed) -> None:
    def act(control: str, action: str, code: str, day: int) -> bytes:
        return listing(control, segments=f"IAM|1|DA|{code}|SV||{action}^^HL70323|{code[1:]}^H", day=day)

    await take(feed, act("1", "A", "^Nuts", 1), act("2", "A", "^Cats", 2), act("3", "X", "^Dogs", 3))
    assert await statuses(feed) == {"Nuts": "active", "Cats": "active"}
    await take(feed, act("4", "D", "^Nuts", 4))
    assert await statuses(feed) == {"Nuts": "entered-in-error", "Cats": "active"}
