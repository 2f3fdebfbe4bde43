import io
import re

import pytest
from rich.console import Console

from fhirserver.demo import run
from tests.live import Live


def demonstrate(live: Live) -> tuple[bool, str]:
    output = io.StringIO()
    good = run(live.base_url, live.settings.mllp_port, Console(file=output, width=160))
    return good, output.getvalue()


@pytest.fixture(scope="module")
def runs(live: Live) -> list[tuple[bool, str]]:
    return [demonstrate(live), demonstrate(live)]


def test_every_sample_comes_to_what_it_is_meant_to_come_to(runs: list[tuple[bool, str]]) -> None:
    assert [good for good, _ in runs] == [True, True]


@pytest.mark.parametrize(
    "shown",
    [
        "284036938304291",
        "00347821",
        "DURAND-LEFÈVRE",
        "9.80 g/dL",
        "Amoxicilline",
        "Latex",
        "not-done (Patient decision)",
        "pensez à votre prise de sang",
        "There is no mapping for DFT^P03",
    ],
)
def test_the_record_is_shown(runs: list[tuple[bool, str]], shown: str) -> None:
    assert shown in runs[0][1]
    assert shown in runs[1][1]


def test_every_document_is_retrieved_as_its_metadata_promise(runs: list[tuple[bool, str]]) -> None:
    assert runs[0][1].count("as promised") >= 5
    assert "DIFFERS" not in runs[0][1]


def test_the_second_run_changes_nothing(runs: list[tuple[bool, str]]) -> None:
    assert re.search(r"Nothing changed: all \d\d resources are as they were\.", runs[1][1])


def test_no_server_is_said() -> None:
    output = io.StringIO()
    assert run("http://127.0.0.1:1/fhir", 1, Console(file=output, width=160)) is False
    assert "The demonstration stopped: GET /fhir/Patient: no answer" in output.getvalue()
