"""An XDM submission that was unpacked comes in as one, whatever lies around it."""

import io
import zipfile
from pathlib import Path

import pytest

from fhirserver.feeds.files import Import
from fhirserver.feeds.folders import submissions
from tests.feeds.conftest import Feed
from tests.feeds.messages import cda, xdm

pytestmark = pytest.mark.anyio

SUBMISSION = xdm("1", ("1", cda("1")), ("2", cda("2")))


def unpack(raw: bytes, folder: Path, *, inside: str = "") -> None:
    """Unpack; ``inside`` takes only what is in a folder of the zip, without that folder."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for name in archive.namelist():
            if name.startswith(inside):
                path = folder / name.removeprefix(inside)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))


async def imported(feed: Feed, folder: Path) -> dict[str, str]:
    """What became of the files below a folder, by their paths from there."""
    summary = await Import(feed.receiver, lambda result: None).run([folder])
    return {Path(file.name).relative_to(folder).as_posix(): file.status for file in summary.files}


@pytest.mark.parametrize(
    ("where", "inside", "name"),
    [
        ("XDM", "", "XDM/IHE_XDM"),
        ("XDM/deep", "", "XDM/deep/IHE_XDM"),
        ("", "", "IHE_XDM"),
        ("SUBSET01", "IHE_XDM/SUBSET01/", "SUBSET01"),
    ],
)
async def test_an_unpacked_submission(feed: Feed, tmp_path: Path, where: str, inside: str, name: str) -> None:
    unpack(SUBMISSION, tmp_path / where, inside=inside)
    (tmp_path / where / "INDEX.HTM").write_text("<html/>")
    (tmp_path / "other.xml").write_bytes(cda("3"))
    statuses = await imported(feed, tmp_path)
    assert set(statuses) == {name, "other.xml"}
    assert set(statuses.values()) <= {"processed", "warnings"}
    assert len(await feed.search("DocumentReference")) == 3
    assert len(await feed.search("List")) == 1


async def test_taking_it_in_again_is_a_duplicate(feed: Feed, tmp_path: Path) -> None:
    for again in ("one", "two"):
        unpack(SUBMISSION, tmp_path / again)
    assert await imported(feed, tmp_path / "one") == {"IHE_XDM": "processed"}
    assert await imported(feed, tmp_path / "two") == {"IHE_XDM": "duplicate"}


async def test_two_submissions_are_two(feed: Feed, tmp_path: Path) -> None:
    unpack(SUBMISSION, tmp_path / "one")
    unpack(xdm("2", ("5", cda("5"))), tmp_path / "two")
    assert set(await imported(feed, tmp_path)) == {"one/IHE_XDM", "two/IHE_XDM"}
    assert len(await feed.search("List")) == 2


async def test_a_document_that_is_missing_fails_the_submission(feed: Feed, tmp_path: Path) -> None:
    unpack(SUBMISSION, tmp_path / "one")
    (tmp_path / "one/IHE_XDM/SUBSET01/D1.XML").unlink()
    assert await imported(feed, tmp_path) == {"one/IHE_XDM": "failed"}
    assert await feed.search("DocumentReference") == []


def test_metadata_that_lie_anywhere_take_nothing_along(tmp_path: Path) -> None:
    files = [tmp_path / "METADATA.XML", tmp_path / "a.hl7"]
    assert submissions(files) == {}
