import re

from benchmarks import pdf


def test_the_cross_references_point_at_the_objects() -> None:
    content = pdf.page(["Élève (à jeun)", "a\\b"])
    assert content.startswith(b"%PDF-1.4\n")
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n$", content)[0])
    assert content[start:].startswith(b"xref\n0 6\n")
    offsets = [int(line) for line in re.findall(rb"^(\d{10}) 00000 n", content[start:], re.M)]
    assert [content[o : o + 7] for o in offsets] == [b"%d 0 obj" % n for n in range(1, 6)]


def test_text_is_escaped_and_its_length_is_right() -> None:
    content = pdf.page(["Élève (à jeun)", "a\\b"])
    assert "(Élève \\(à jeun\\)) Tj".encode("cp1252") in content
    assert rb"(a\\b) Tj" in content
    length = int(re.findall(rb"/Length (\d+)", content)[0])
    assert len(content.partition(b"stream\n")[2].partition(b"endstream")[0]) == length
