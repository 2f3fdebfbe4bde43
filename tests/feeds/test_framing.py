"""MLLP streams as they are really written."""

import pytest

from fhirserver.feeds.framing import Framer, Oversize, frame

M = b"MSH|^~\\&|A\rPID|1"
N = b"MSH|^~\\&|B\rPID|2"
VT, FS, CR = b"\x0b", b"\x1c", b"\r"


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (VT + M + CR + FS + CR, [M]),
        (VT + M + FS + CR, [M]),
        (VT + M + CR + FS + b"\n", [M]),
        (VT + M + CR + FS + b"\r\n", [M]),
        (M + CR + FS + CR, [M]),
        (b"\r\n\r\n" + VT + M + FS + CR, [M]),
        (VT + FS + CR, []),
        (VT + FS + CR + VT + M + FS + CR, [M]),
        (VT + M + FS + CR + VT + N + FS + CR, [M, N]),
        (VT + M + FS + VT + N + FS + CR, [M, N]),
        (VT + VT + M + FS + CR + FS + CR, [M]),
        (VT + VT + M + FS + FS + CR, [M]),
        (VT + M + b"\x1cX" + FS + CR, [M + b"\x1cX"]),
        (VT + M + CR + N + FS + CR, [M + CR + N]),
        (VT + b"hello" + FS + CR, [b"hello"]),
        (b"noise" + VT + M + FS + CR, [b"noise" + VT + M]),
        (VT + M, []),
        (VT + M + FS, []),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_frames(stream: bytes, frames: list[bytes], size: int) -> None:
    framer = Framer(1000)
    found = [f for i in range(0, len(stream), size) for f in framer.feed(stream[i : i + size])]
    assert found == frames


@pytest.mark.parametrize(
    ("stream", "ended", "flushed"),
    [
        (VT + M + FS, True, [M]),
        (VT + M, False, []),
        (VT + M + b"\x1cX", False, []),
        (b"", False, []),
    ],
)
def test_silence_ends_only_what_has_an_end_of_block(stream: bytes, ended: bool, flushed: list[bytes]) -> None:
    framer = Framer(1000)
    framer.feed(stream)
    assert framer.ended is ended
    assert framer.flush() == flushed


def test_rest_is_what_was_cut_off() -> None:
    framer = Framer(1000)
    framer.feed(VT + M)
    assert framer.open
    assert framer.rest() == [M]
    assert not framer.open


@pytest.mark.parametrize("stream", [VT + b"MSH|" + b"x" * 101, VT + b"MSH|" + b"x" * 101 + FS + CR])
def test_oversize_shows_its_beginning(stream: bytes) -> None:
    with pytest.raises(Oversize) as caught:
        Framer(100).feed(stream)
    assert caught.value.start.startswith(b"MSH|")


def test_frame_is_read_back() -> None:
    assert Framer(100).feed(frame(M)) == [M]
