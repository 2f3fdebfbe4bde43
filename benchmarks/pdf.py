"""A one-page PDF 1.4 made by hand: real enough to open, small enough to read."""

from collections.abc import Iterable

_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R"
    b" /Resources << /Font << /F1 4 0 R >> >> >>",
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
)


def page(lines: Iterable[str]) -> bytes:
    """An A4 page with one line of 11 point text per item; what cp1252 cannot write becomes ``?``."""
    shown = b"".join(b"(%s) Tj T*\n" % _literal(line) for line in lines)
    text = b"BT\n/F1 11 Tf\n16 TL\n56 780 Td\n" + shown + b"ET\n"
    objects = (*_OBJECTS, b"<< /Length %d >>\nstream\n%sendstream" % (len(text), text))
    body = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    body += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    body += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(body)


def _literal(line: str) -> bytes:
    text = line.encode("cp1252", "replace")
    return text.replace(b"\\", rb"\\").replace(b"(", rb"\(").replace(b")", rb"\)")
