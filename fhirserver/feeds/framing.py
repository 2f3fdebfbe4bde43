"""MLLP framing, as it is really written: <VT> message <FS> <CR>. HL7 v2.9 appendix C.4; MLLP release 2

An end of block counts only when CR, LF, VT, the end of the stream or a silence follows it: content may hold
the byte 0x1C itself.
"""

from dataclasses import dataclass, field

VT, FS, CR, LF = 0x0B, 0x1C, 0x0D, 0x0A
START, END = b"\x0b", b"\x1c\r"
BLANK = b"\x0b\x1c\r\n \t"
KEPT = 64 * 1024
"""So many bytes are kept of a frame that is too large."""


class Oversize(Exception):
    """A frame is larger than what is taken; ``start`` is how it begins, to answer and to keep it."""

    def __init__(self, start: bytes) -> None:
        super().__init__("The message is too large")
        self.start = start


def frame(message: bytes) -> bytes:
    return START + message + END


@dataclass(slots=True)
class Framer:
    """Cuts a stream of bytes into frames; empty frames (keep-alives) are swallowed.

    What stands between frames and is no message is kept and given with the next end of block, so that nothing
    that came in is lost.
    """

    limit: int
    _pending: bytearray = field(default_factory=bytearray)
    _looked_at: int = 0

    def feed(self, part: bytes) -> list[bytes]:
        """The frames that these bytes complete, without their block characters.

        Raises:
            Oversize: a frame grows beyond the limit; the stream cannot be read on.
        """
        self._pending += part
        frames = []
        while (end := self._find_end()) is not None:
            content = bytes(self._pending[:end]).strip(BLANK)
            del self._pending[: end + 1]
            self._looked_at = 0
            if len(content) > self.limit:
                raise Oversize(content[:KEPT])
            if content:
                frames.append(content)
        self._drop_blanks()
        if len(self._pending) > self.limit + len(END) + 1:
            raise Oversize(bytes(self._pending[:KEPT]).lstrip(BLANK))
        return frames

    def flush(self) -> list[bytes]:
        """What is there when the stream ends or falls silent: a frame whose last block character is FS."""
        if self._pending.rstrip(b"\r\n").endswith(b"\x1c"):
            return self.rest()
        return []

    def rest(self) -> list[bytes]:
        """What is there at the end of the stream, whole or not."""
        content = bytes(self._pending).strip(BLANK)
        self._pending.clear()
        self._looked_at = 0
        return [content] if content else []

    @property
    def open(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._pending.strip(BLANK))

    @property
    def ended(self) -> bool:
        """Whether what is there ends with an end of block: only a silence is needed to believe it."""
        return self.open and self._pending.endswith(b"\x1c")

    def _find_end(self) -> int | None:
        """The position of the next FS that ends a block."""
        position = self._looked_at
        while True:
            position = self._pending.find(FS, position)
            if position < 0:
                self._looked_at = len(self._pending)
                return None
            if position + 1 == len(self._pending):
                self._looked_at = position
                return None
            if self._pending[position + 1] in (CR, LF, VT):
                return position
            position += 1

    def _drop_blanks(self) -> None:
        if self._pending and not self._pending.strip(b"\r\n \t"):
            self._pending.clear()
            self._looked_at = 0
