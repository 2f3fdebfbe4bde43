import json
from itertools import islice

import pytest

from benchmarks.operations import transactions
from benchmarks.people import patients


@pytest.mark.parametrize("entries", [50, 100, 1000])
def test_every_transaction_has_so_many_entries_and_whole_people(entries: int) -> None:
    for call in islice(transactions(patients(1), 0, entries), 3):
        entry = json.loads(call.body)["entry"]
        urls = {item["request"]["url"] for item in entry}
        assert len(urls) == len(entry) == entries
        subjects = {
            item["resource"]["subject"]["reference"] for item in entry if "subject" in item["resource"]
        }
        assert subjects <= urls


def test_a_population_that_ends_is_in_them_to_the_last() -> None:
    people = list(islice(patients(1), 30))
    bodies = [json.loads(call.body) for call in transactions(people, 0, 100)]
    urls = [item["request"]["url"] for body in bodies for item in body["entry"]]
    assert {f"Patient/{someone.id}" for someone in people} == {u for u in urls if u.startswith("Patient/")}
