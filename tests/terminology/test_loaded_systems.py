"""Code systems in the database: loaded, gone on with, replaced, removed; and what is found in them."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhirserver.app import Parts
from fhirserver.cli import app
from fhirserver.errors import Unavailable
from fhirserver.model.definitions import Definitions
from fhirserver.request import Request
from fhirserver.settings import Settings, to_environment
from fhirserver.storage import concepts as module
from fhirserver.storage import loaded_systems as module_of_loading
from fhirserver.storage.loaded_systems import LoadedSystems
from fhirserver.terminology import Terminology
from fhirserver.terminology import terminology as terms
from fhirserver.terminology.code_systems import Head
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.expansion import Asked, expand
from fhirserver.terminology.loading import Options, System, read
from fhirserver.terminology.value_sets import Clause, ValueSet
from tests.terminology import releases
from tests.terminology.running import Running, running
from tests.terminology.synthetic import listed, value_set

LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
VERSION = "http://snomed.info/sct/900000000000207008/version/20260101"


def quiet(done: int) -> None:
    """Progress nobody reads."""


@pytest.fixture(scope="module")
def releases_loaded(
    make_settings: Callable[..., Settings], definitions: Definitions, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """A database with the LOINC and SNOMED CT of ``releases``."""
    settings = make_settings()
    folder = tmp_path_factory.mktemp("releases")
    with running(settings) as server:
        for name, release in (("Loinc_2.99", releases.LOINC), ("snomed", releases.SNOMED)):
            path = releases.unpacked(release, folder / name)
            for system in read(path, Options(), definitions).systems:
                load = LoadedSystems(server.parts.database).load(system, "1", quiet)
                assert server.runner.run(load) > 0
    return settings


@pytest.fixture(scope="module", params=[0, 5000], ids=["in the database", "in memory"])
def loaded(releases_loaded: Settings, request: pytest.FixtureRequest) -> Iterator[Running]:
    """A server on it, that asks the database for each concept or holds them all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "SMALL", request.param)
        with running(releases_loaded) as server:
            yield server


@pytest.mark.parametrize(
    ("query", "codes", "total"),
    [
        ({"url": "http://snomed.info/sct?fhir_vs"}, "100000001 100000002 100000003 100000004", 4),
        ({"url": "http://snomed.info/sct?fhir_vs", "activeOnly": "true"}, "100000001 100000002 100000003", 3),
        ({"url": "http://snomed.info/sct?fhir_vs", "count": "2", "offset": "2"}, "100000003 100000004", 4),
        ({"url": "http://snomed.info/sct?fhir_vs", "offset": "3"}, "100000004", 4),
        ({"url": f"{VERSION}?fhir_vs=isa/100000002"}, "100000002 100000003", 2),
        ({"url": "http://snomed.info/sct?fhir_vs=isa/100000002"}, "100000002 100000003", 2),
        ({"url": "http://snomed.info/sct?fhir_vs=isa/100000001", "filter": "small"}, "100000003", 1),
        ({"url": "http://snomed.info/sct?fhir_vs=isa/100000001", "filter": "crach dra"}, "100000002", 1),
        ({"url": "http://snomed.info/sct?fhir_vs=refset/700000001"}, "100000002", 1),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/< 100000001"}, "100000002 100000003", 2),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/<! 100000001"}, "100000002", 1),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/>> 100000002"}, "100000001 100000002", 2),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/<< 100000001 MINUS << 100000002"}, "100000001", 1),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/100000001 OR 100000003"}, "100000001 100000003", 2),
        ({"url": "http://snomed.info/sct?fhir_vs=ecl/^ 700000001 |x|"}, "100000002", 1),
        ({"url": "http://loinc.org/vs", "filter": "moonlight"}, "99991-1 99992-9 LP99998-3", 3),
        ({"url": "http://loinc.org/vs", "filter": "clair lune"}, "99991-1", 1),
        ({"url": "http://loinc.org/vs/LP99999-1"}, "99991-1 99992-9 LP99998-3", 3),
        ({"url": "http://loinc.org/vs/LL9999-1"}, "LA99991-1 LA99992-9", 2),
    ],
)
def test_expand(loaded: Running, query: dict[str, str], codes: str, total: int) -> None:
    status, body = loaded.perform("GET", "ValueSet/$expand", query)
    assert status == 200, body
    assert [entry["code"] for entry in body["expansion"].get("contains", [])] == codes.split()
    assert body["expansion"]["total"] == total


@pytest.mark.parametrize(
    ("filters", "codes"),
    [
        ([("=", "SCALE_TYP", "Qn")], "99991-1 99992-9"),
        ([("=", "SCALE_TYP", "Qn"), ("=", "SYSTEM", "Urine")], "99992-9"),
        ([("in", "SYSTEM", "Ser,Urine")], "99991-1 99992-9"),
        ([("exists", "SCALE_TYP", "true")], "99991-1 99992-9 99993-7"),
        ([("regex", "SYSTEM", "U.*")], "99992-9"),
        ([("=", "parent", "LP99998-3")], "99991-1 99992-9"),
        ([("=", "ancestor", "LP99999-1")], "99991-1 99992-9 LP99998-3"),
        ([("is-not-a", "concept", "LP99999-1"), ("=", "SCALE_TYP", "Nom")], "99993-7"),
        ([("=", "SYSTEM", "Nowhere")], ""),
    ],
)
def test_filters(loaded: Running, filters: list[tuple[str, str, str]], codes: str) -> None:
    given = [dict(zip(("op", "property", "value"), f, strict=True)) for f in filters]
    set = value_set("x", {"system": LOINC, "filter": given})
    status, body = loaded.perform("POST", "ValueSet/$expand", {}, set)
    assert status == 200, body
    assert [entry["code"] for entry in body["expansion"].get("contains", [])] == codes.split()


def test_codes_excluded_from_a_large_system(loaded: Running) -> None:
    below = {"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": "100000002"}]}
    set = value_set("x", {"system": SNOMED}, listed("1", system="http://x.test"), exclude=(below,))
    _, body = loaded.perform("POST", "ValueSet/$expand", {}, set)
    assert [entry["code"] for entry in body["expansion"]["contains"]] == ["100000001", "100000004", "1"]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("CodeSystem/$lookup", {"system": LOINC, "code": "99991-1", "displayLanguage": "fr"},
         {"name": "LOINC", "version": "2.99", "display": "Clair de lune [Masse/Volume] Sérum"}),
        ("CodeSystem/$lookup", {"system": SNOMED, "code": "100000001"},
         {"name": "SNOMED_CT", "version": VERSION, "display": "Dragon"}),
        ("CodeSystem/$subsumes", {"system": SNOMED, "codeA": "100000001", "codeB": "100000003"},
         {"outcome": "subsumes"}),
        ("CodeSystem/$validate-code", {"url": LOINC, "code": "99993-7"},
         {"result": True, "message": "The code http://loinc.org|99993-7 is inactive",
          "display": "Sunlight seen", "code": "99993-7", "system": LOINC, "version": "2.99",
          "inactive": True}),
        ("ValueSet/$validate-code",
         {"url": "http://snomed.info/sct?fhir_vs=isa/100000002", "system": SNOMED, "code": "100000003"},
         {"result": True, "display": "Small fire dragon (organism)", "code": "100000003", "system": SNOMED,
          "version": VERSION}),
    ],
)  # fmt: skip
def test_codes(loaded: Running, path: str, query: dict[str, str], expected: dict[str, Any]) -> None:
    status, body = loaded.perform("GET", path, query)
    assert status == 200, body
    told = {p["name"]: next(v for k, v in p.items() if k.startswith("value"))
            for p in body["parameter"] if "part" not in p}  # fmt: skip
    assert told == expected


def test_children_are_told(loaded: Running) -> None:
    query = {"system": SNOMED, "code": "100000001", "property": "child"}
    _, body = loaded.perform("GET", "CodeSystem/$lookup", query)
    parts = [p["part"] for p in body["parameter"] if p["name"] == "property"]
    assert [[part.get("valueCode") for part in each][:2] for each in parts] == [["child", "100000002"]]


def test_too_many(releases_loaded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1)
    monkeypatch.setattr(terms, "SMALL", 0)
    query = {"url": "http://snomed.info/sct?fhir_vs=isa/100000001"}
    with running(releases_loaded) as server:
        status, body = server.perform("GET", "ValueSet/$expand", query)
        assert (status, body["issue"][0]["code"]) == (422, "too-costly")
        status, body = server.perform("GET", "ValueSet/$expand", query | {"filter": "small"})
        assert status == 200


# --- loading


@pytest.fixture
def database(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Any]]:
    """Runs a coroutine function with the parts of a server on a database of its own."""
    with running(make_settings()) as server:
        yield lambda function: server.runner.run(function(server.parts))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> System:
    """A system of 101 concepts, every third of them inactive, stored 25 at a time."""
    monkeypatch.setattr(module_of_loading, "TOGETHER", 25)
    concepts = [Concept(f"c{n}", inactive=n % 3 == 0) for n in range(101)]
    return System(Head("http://example.org/CodeSystem/animals", "1.0"), lambda: iter(concepts))


async def codes_of(terminology: Terminology, **parameters: Any) -> list[str]:
    set = ValueSet("x", "", (Clause("http://example.org/CodeSystem/animals"),))
    found = await terminology.ask(lambda sources: expand(sources, set, Asked(**parameters)))
    return [member.concept.code for member in found.members]


def test_what_was_interrupted_goes_on(
    database: Callable[..., Any], many: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms, "SMALL", 0)

    async def interrupted(parts: Parts) -> None:
        def stop(done: int) -> None:
            if done >= 50:
                raise Unavailable("stop")

        with pytest.raises(Unavailable):
            await LoadedSystems(parts.database).load(many, "1", stop)
        # The last rows are there, but not yet noted as done.
        noted = parts.database.collection("loaded_systems")
        await noted.update_one({"_id": many.head.called}, {"$set": {"done": 25}})
        await parts.server.terminology.refresh()
        assert parts.server.terminology.loaded == []

    async def resumed(parts: Parts) -> None:
        told: list[int] = []
        assert await LoadedSystems(parts.database).load(many, "1", told.append) == 101
        assert told == [50, 75, 100, 101]
        assert await LoadedSystems(parts.database).load(many, "1", told.append) == 0
        terminology = parts.server.terminology
        active = [f"c{n}" for n in range(101) if n % 3]
        inactive = [f"c{n}" for n in range(101) if n % 3 == 0]
        assert await codes_of(terminology) == active + inactive
        assert await codes_of(terminology, active=True) == active
        pages = [await codes_of(terminology, offset=n, count=25) for n in range(0, 125, 25)]
        assert list(itertools.chain(*pages)) == active + inactive

    database(interrupted)
    database(resumed)


def test_another_content_of_the_same_version_replaces_it(
    database: Callable[..., Any], many: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(parts: Parts) -> None:
        systems = LoadedSystems(parts.database)
        await systems.load(many, "1", quiet)
        fewer = replace(many, concepts=lambda: itertools.islice(many.concepts(), 3))
        assert await systems.load(fewer, "2", quiet) == 3
        assert await codes_of(parts.server.terminology) == ["c1", "c2", "c0"]
        rows = parts.database.collection("concepts")
        assert await rows.count_documents({}) == 3
        assert await systems.remove(many.head.url, "0") is False
        assert await systems.remove(many.head.url, many.head.version) is True
        await parts.server.terminology.refresh()
        assert parts.server.terminology.loaded == []
        assert await rows.count_documents({}) == 0

    database(run)


def test_a_code_that_comes_twice_is_one(database: Callable[..., Any], many: System) -> None:
    async def run(parts: Parts) -> None:
        twice = replace(many, concepts=lambda: itertools.chain(*(itertools.islice(many.concepts(), 2),) * 2))
        assert await LoadedSystems(parts.database).load(twice, "1", quiet) == 2

    database(run)


def test_what_is_purged_is_gone(database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource that vanishes from its collection, without a deletion, is found out by listing all."""

    async def run(parts: Parts) -> None:
        terminology = parts.server.terminology
        set = {**value_set("x", listed("dog")), "id": "x"}
        assert (await parts.server.answer(Request("PUT", "ValueSet/x", resource=set))).status == 201
        assert await terminology.verify("", "dog", "ValueSet/x") == "known"
        await parts.database.collection("ValueSet").delete_one({"_id": "x"})
        monkeypatch.setattr(module, "EVERYTHING", 0.0)
        assert await terminology.verify("", "dog", "ValueSet/x") == "cannot tell"
        assert await terminology.verify("", "dog", "ValueSet/x") == "cannot tell"
        assert (await parts.server.answer(Request("PUT", "ValueSet/x", resource=set))).status == 201
        assert await terminology.verify("", "dog", "ValueSet/x") == "known"

    database(run)


# --- the command


def command(settings: Settings, *arguments: str, code: int = 0) -> str:
    environment = {**to_environment(settings), "COLUMNS": "400"}
    result = CliRunner().invoke(app, ["terminology", *arguments], env=environment)
    assert result.exit_code == code, result.output
    return result.output


def test_the_command(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    settings = make_settings()
    loinc = str(releases.zipped(releases.LOINC, tmp_path / "Loinc_2.99.zip"))
    jdv = str(releases.unpacked(releases.SVS, tmp_path / "jdv"))
    assert "http://loinc.org|2.99: 8 concepts" in command(settings, "load", loinc, jdv)
    again = command(settings, "load", loinc, jdv)
    assert "http://loinc.org|2.99: is there already" in again
    assert ": there" in again
    assert command(settings, "list") == "http://loinc.org|2.99  8 concepts\n"
    url = "https://mos.esante.gouv.fr/NOS/JDV_J998-Saisons/FHIR/JDV-J998-Saisons"
    with running(settings) as server:
        _, body = server.perform("GET", "ValueSet/$expand", {"url": url})
    assert [entry["code"] for entry in body["expansion"]["contains"]] == ["P", "99991-1"]
    assert "removed" in command(settings, "remove", "http://loinc.org|2.99")
    assert "not loaded" in command(settings, "remove", "http://loinc.org|2.99", code=1)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("load", "/nowhere"), 2, "There is no /nowhere"),
        (("load", "{here}", "--format", "x"), 2, "not one of loinc"),
        (("load", "{here}/x.bin", "{here}/bad.json"), 1, "with --format.*Patient"),
    ],
)
def test_the_command_refuses(
    make_settings: Callable[..., Settings], tmp_path: Path, arguments: tuple[str, ...], code: int, text: str
) -> None:
    (tmp_path / "x.bin").write_text("x")
    (tmp_path / "bad.json").write_text('{"resourceType": "ValueSet", "Patient": 1, "url": "http://x.test"}')
    here = tuple(argument.format(here=tmp_path) for argument in arguments)
    assert re.search(text, " ".join(command(make_settings(), *here, code=code).split()))
