"""Patient/$merge: one record replaces the other with all that refers to it, at once or not at all."""

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
Made = dict[str, str]


def create(client: httpx2.Client, type: str, /, **elements: Any) -> str:
    answer = client.post(f"/{type}", json={"resourceType": type, **elements}, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return f"{type}/{answer.json()['id']}"


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def observation(client: httpx2.Client, subject: str, **more: Any) -> str:
    return create(client, "Observation", status="final", code={"text": "x"}, subject=to(subject), **more)


def identifier(value: str, **more: str) -> dict[str, str]:
    return {"system": "urn:merge", "value": value, **more}


def link(other: str, type: str) -> dict[str, Any]:
    return {"other": to(other), "type": type}


def read(client: httpx2.Client, reference: str) -> Any:
    answer = client.get(f"/{reference}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(client: httpx2.Client, *parameters: dict[str, Any]) -> httpx2.Response:
    body = {"resourceType": "Parameters", "parameter": list(parameters)}
    return client.post("/Patient/$merge", json=body, headers=FHIR)


def pair(source: str, target: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return (
        {"name": "source-patient", "valueReference": to(source)},
        {"name": "target-patient", "valueReference": to(target)},
    )


def merge(client: httpx2.Client, source: str, target: str, *more: dict[str, Any]) -> httpx2.Response:
    return ask(client, *pair(source, target), *more)


def parts(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["resource"] for each in answer.json()["parameter"]}


def said(answer: httpx2.Response) -> list[str]:
    return [issue["diagnostics"] for issue in parts(answer)["outcome"]["issue"]]


def provenances(client: httpx2.Client, target: str) -> list[Any]:
    found = client.get("/Provenance", params={"target": target}).json()
    return [entry["resource"] for entry in found.get("entry", ())]


def versions(client: httpx2.Client, *references: str) -> list[str]:
    return [read(client, reference)["meta"]["versionId"] for reference in references]


@pytest.fixture
def two(client: httpx2.Client) -> tuple[str, str, str]:
    """A source and a target, each with an identifier of its own and both with one in common; its value."""
    key = uuid4().hex
    source = create(client, "Patient", identifier=[identifier(f"s{key}"), identifier(f"both{key}")])
    target = create(
        client,
        "Patient",
        active=True,
        identifier=[identifier(f"t{key}", use="usual"), identifier(f"both{key}")],
    )
    return source, target, key


def test_the_target_replaces_the_source(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, key = two
    own = observation(client, source)
    other = observation(client, target, performer=[to(source)])
    related = create(client, "RelatedPerson", patient=to(source))
    pinned = observation(client, f"{source}/_history/1")
    mixed = observation(client, source, focus=[to(f"{source}/_history/1")])
    third = create(client, "Patient", link=[link(source, "seealso"), link(target, "seealso")])
    signed = create(
        client,
        "Provenance",
        target=[to(source)],
        recorded="2026-01-01T00:00:00Z",
        agent=[{"who": to(source)}],
    )
    answer = merge(client, source, target)
    assert said(answer) == [
        f"{source} is replaced by {target}",
        f"Observation: 3 moved to {target}",
        f"Patient: 1 moved to {target}",
        f"RelatedPerson: 1 moved to {target}",
        said(answer)[-1],
    ]
    replaced, survivor = read(client, source), read(client, target)
    assert parts(answer)["result"] == survivor
    assert parts(answer)["input"]["parameter"] == list(pair(source, target))
    assert (replaced["active"], replaced["link"]) == (False, [link(target, "replaced-by")])
    assert {each["use"] for each in replaced["identifier"]} == {"old"}
    assert (survivor["active"], survivor["link"]) == (True, [link(source, "replaces")])
    assert survivor["identifier"] == [
        identifier(f"t{key}", use="usual"),
        identifier(f"both{key}"),
        identifier(f"s{key}", use="old"),
    ]
    assert read(client, own)["subject"] == to(target)
    assert read(client, other)["performer"] == [to(target)]
    assert read(client, related)["patient"] == to(target)
    assert read(client, mixed)["subject"] == to(target)
    assert read(client, mixed)["focus"] == [to(f"{source}/_history/1")], "what was known then"
    assert read(client, pinned)["subject"] == to(f"{source}/_history/1")
    assert read(client, third)["link"] == [link(target, "seealso")], "one link is enough"
    assert read(client, signed)["agent"] == [{"who": to(source)}], "a record of its time"
    assert versions(client, pinned, signed) == ["1", "1"]
    found = client.get("/Observation", params={"subject": target}).json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == {
        reference.partition("/")[2] for reference in (own, other, mixed)
    }
    (record,) = provenances(client, target)
    assert said(answer)[-1] == f"Recorded as Provenance/{record['id']}"
    written = [each["reference"] for each in record["target"]]
    assert sorted(written) == sorted(
        f"{each}/_history/2" for each in (source, target, own, other, related, mixed, third)
    )
    checked = client.post("/Provenance/$validate", json=record, headers=FHIR).json()
    assert "error" not in {issue["severity"] for issue in checked["issue"]}
    before = [each["what"]["reference"] for each in record["entity"]]
    assert before == [f"{source}/_history/1", f"{target}/_history/1"]


def test_asked_again_it_changes_nothing(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, _ = two
    own = observation(client, source)
    parts(merge(client, source, target))
    again = merge(client, source, target)
    assert said(again) == [f"{source} was replaced before by {target}; there was nothing to change"]
    assert versions(client, source, target, own) == ["2", "2", "2"]
    assert len(provenances(client, target)) == 1
    # A result that is asked for again would undo what was changed since.
    wanted = {"resourceType": "Patient", "id": target.partition("/")[2], "gender": "female"}
    parts(merge(client, source, target, {"name": "result-patient", "resource": wanted}))
    assert versions(client, target) == ["2"]


def test_asked_again_it_moves_what_came_since(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, _ = two
    parts(merge(client, source, target))
    late = observation(client, source)
    assert said(merge(client, source, target))[:2] == [
        f"{source} was replaced before by {target}",
        f"Observation: 1 moved to {target}",
    ]
    assert read(client, late)["subject"] == to(target)
    assert versions(client, source, target) == ["2", "2"]


def test_a_preview_changes_nothing(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, key = two
    own = [observation(client, source) for _ in range(2)]
    answer = merge(client, source, target, {"name": "preview", "valueBoolean": True})
    assert said(answer) == [
        f"Preview, nothing is changed: {source} is replaced by {target}",
        f"Observation: 2 moved to {target}",
    ]
    result = parts(answer)["result"]
    assert result["link"] == [link(source, "replaces")]
    assert identifier(f"s{key}", use="old") in result["identifier"]
    assert versions(client, source, target, *own) == ["1", "1", "1", "1"]
    assert provenances(client, target) == []


def test_patients_are_found_by_identifiers(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, key = two
    asked = (
        {"name": "source-patient-identifier", "valueIdentifier": identifier(f"s{key}")},
        {"name": "source-patient-identifier", "valueIdentifier": identifier(f"both{key}")},
        {"name": "target-patient-identifier", "valueIdentifier": identifier(f"t{key}")},
    )
    assert said(ask(client, *asked))[0] == f"{source} is replaced by {target}"
    # Now the target has all of these identifiers, too.
    assert (
        said(ask(client, *asked))[0]
        == f"{source} was replaced before by {target}; there was nothing to change"
    )


def test_the_result_is_what_the_client_wants(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, key = two
    earlier = create(client, "Patient")
    parts(merge(client, earlier, target))
    wanted = {"resourceType": "Patient", "id": target.partition("/")[2], "gender": "female"}
    parts(merge(client, source, target, {"name": "result-patient", "resource": wanted}))
    survivor = read(client, target)
    assert survivor["gender"] == "female"
    assert survivor["link"] == [link(earlier, "replaces"), link(source, "replaces")]
    assert survivor["identifier"] == [identifier(f"{name}{key}", use="old") for name in ("s", "both")]


def test_links_between_the_two_become_those_of_the_merge(client: httpx2.Client) -> None:
    source = create(client, "Patient")
    target = create(client, "Patient", link=[link(source, "seealso")])
    body = read(client, source) | {"link": [link(target, "seealso")]}
    client.put(f"/{source}", json=body, headers=FHIR)
    parts(merge(client, source, target))
    assert read(client, source)["link"] == [link(target, "replaced-by")]
    assert read(client, target)["link"] == [link(source, "replaces")]


def test_a_chain_keeps_its_links(client: httpx2.Client) -> None:
    first, second, third = (create(client, "Patient") for _ in range(3))
    own = observation(client, first)
    parts(merge(client, first, second))
    parts(merge(client, second, third))
    assert read(client, own)["subject"] == to(third)
    assert read(client, first)["link"] == [link(second, "replaced-by")]
    assert read(client, second)["link"] == [link(first, "replaces"), link(third, "replaced-by")]


@pytest.fixture
def some(client: httpx2.Client) -> Made:
    """Patients by what is the matter with them."""
    names = ("one", "two", "merged", "survivor", "deleted")
    made = {name: create(client, "Patient") for name in names}
    parts(merge(client, made["merged"], made["survivor"]))
    client.delete(f"/{made['deleted']}")
    made["inverse"] = create(client, "Patient", link=[link(made["one"], "replaces")])
    return made | {"unknown": f"Patient/{uuid4()}", "observation": observation(client, made["one"])}


@pytest.mark.parametrize(
    ("source", "target", "status", "text"),
    [
        ("one", "one", 422, "are the same"),
        ("unknown", "one", 404, "There is no {unknown}"),
        ("one", "unknown", 404, "There is no {unknown}"),
        ("deleted", "one", 410, "was deleted"),
        ("merged", "one", 422, "{merged} was merged into {survivor} already"),
        ("one", "merged", 422, "{merged} was merged into {survivor}"),
        ("survivor", "merged", 422, "circular"),
        ("inverse", "one", 422, "circular"),
        ("observation", "one", 400, "source-patient is not a reference such as Patient/1"),
    ],
)
def test_what_cannot_be_merged(
    client: httpx2.Client, some: Made, source: str, target: str, status: int, text: str
) -> None:
    answer = merge(client, some[source], some[target])
    assert answer.status_code == status
    assert text.format(**some) in answer.json()["issue"][0]["diagnostics"]
    assert versions(client, some["one"]) == ["1"]


WANTED: dict[str, Any] = {"resourceType": "Patient"}


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        (lambda s, t: [s], 400, "target-patient is missing"),
        (lambda s, t: [s, s, t], 400, "more than once"),
        (lambda s, t: [s, t, {"name": "levitate", "valueBoolean": True}], 400, "levitate"),
        (lambda s, t: [s, t, {"name": "preview", "valueString": "maybe"}], 400, "not true or false"),
        (lambda s, t: [s, t, {"name": "result-patient", "resource": WANTED | {"id": "x"}}], 422, "id"),
        (lambda s, t: [s, t, {"name": "result-patient", "resource": WANTED | {"x": 1}}], 400, "x"),
        (
            lambda s, t: [
                s,
                t,
                {"name": "result-patient", "resource": WANTED | {"link": [link("Patient/x", "replaced-by")]}},
            ],
            422,
            "cannot be replaced itself",
        ),
        (
            lambda s, t: [s, {"name": "target-patient-identifier", "valueIdentifier": {"system": "urn:x"}}],
            400,
            "not an Identifier with a value",
        ),
        (
            lambda s, t: [
                s,
                {"name": "target-patient-identifier", "valueIdentifier": identifier("none-such")},
            ],
            404,
            "No Patient has",
        ),
        (
            lambda s, t: [
                s,
                t,
                {"name": "target-patient-identifier", "valueIdentifier": identifier("none-such")},
            ],
            422,
            "has not the target-patient-identifier",
        ),
    ],
)
def test_inputs_that_are_refused(
    client: httpx2.Client, two: tuple[str, str, str], change: Callable[..., Any], status: int, text: str
) -> None:
    source, target, _ = two
    answer = ask(client, *change(*pair(source, target)))
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert text in answer.text
    assert versions(client, source, target) == ["1", "1"]


def test_identifiers_of_several_patients_name_none(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, _, key = two
    both = {"name": "target-patient-identifier", "valueIdentifier": identifier(f"both{key}")}
    assert ask(client, pair(source, source)[0], both).status_code == 412


def test_too_much_to_move_is_refused(
    client: httpx2.Client, two: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, _ = two
    own = [observation(client, source) for _ in range(3)]
    module = sys.modules["fhirserver.operations.merge"]  # the package has the function under this name
    monkeypatch.setattr(module, "MOST", 2)
    answer = merge(client, source, target)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "too-costly")
    assert versions(client, source, target, *own) == ["1"] * 5
    monkeypatch.setattr(module, "MOST", 3)
    assert f"Observation: 3 moved to {target}" in said(merge(client, source, target))


def test_merges_at_the_same_time(client: httpx2.Client) -> None:
    """Of two opposite merges one is done; the same merge asked twice is done once."""
    one, two = create(client, "Patient"), create(client, "Patient")
    own = observation(client, one)
    asked = [(one, two), (two, one), (one, two), (two, one)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: merge(client, *each), asked))
    assert Counter(answer.status_code for answer in answers) == {200: 2, 422: 2}
    (survivor,) = {each[1] for each, answer in zip(asked, answers, strict=True) if answer.status_code == 200}
    assert read(client, own)["subject"] == to(survivor)
    assert len(provenances(client, survivor)) == 1


def test_it_is_asked_by_post_and_in_batches(client: httpx2.Client, two: tuple[str, str, str]) -> None:
    source, target, _ = two
    assert client.get("/Patient/$merge").status_code == 405
    query = f"source-patient={source}&target-patient={target}&preview=true"
    assert said(client.post(f"/Patient/$merge?{query}"))[0].startswith("Preview")
    body = {"resourceType": "Parameters", "parameter": list(pair(source, target))}
    entry = {"resource": body, "request": {"method": "POST", "url": "Patient/$merge"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = client.post("/", json=batch, headers=FHIR).json()
    assert answer["entry"][0]["response"]["status"].startswith("200")
    assert read(client, source)["active"] is False
