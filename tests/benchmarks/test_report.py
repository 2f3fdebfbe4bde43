from io import StringIO

import pytest
from rich.console import Console

from benchmarks.report import Section

SECTION = Section("Reads", "About.", ("who", "per second"), [("a", "1"), ("b", "2")])
BROKEN = Section("Reads", "About.", ("who", "n"), [], ["ratio [1]"], ["2 x HTTP [503]"])


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (SECTION, "## Reads\n\nAbout.\n\n| who | per second |\n|---|---:|\n| a | 1 |\n| b | 2 |\n"),
        (
            BROKEN,
            "## Reads\n\nAbout.\n\n| who | n |\n|---|---:|\n\nratio [1]\n\nErrors:\n\n- 2 x HTTP [503]\n",
        ),
    ],
)
def test_markdown(section: Section, expected: str) -> None:
    assert section.markdown() == expected


def test_notes_and_errors_are_printed_as_they_are() -> None:
    output = StringIO()
    BROKEN.show(Console(file=output, width=80))
    assert output.getvalue().splitlines()[-2:] == ["ratio [1]", "2 x HTTP [503]"]
