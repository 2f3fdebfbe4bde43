"""The tables in docs/mappings are those of the code."""

import pytest

from tests.mapping_tables import PAGES, pages


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def test_each_page_is_there(made: dict[str, str]) -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == made.keys()


def test_the_pages_are_up_to_date(made: dict[str, str]) -> None:
    stale = [name for name, text in made.items() if (PAGES / f"{name}.md").read_text() != text]
    assert not stale, "python -m tests.mapping_tables"


def test_a_field_is_found_where_it_goes(made: dict[str, str]) -> None:
    assert "| OBX-8 | Interpretation codes | `Observation.interpretation` |" in made["results"]
    assert "| SCH-8 | Appointment type | `Appointment.appointmentType` |" in made["appointments"]
