"""Terminology of FHIR packages: unpacked once, read one by one."""

import asyncio
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from fhirserver.model.definitions import Definitions, download
from fhirserver.terminology import Packages, Terminology, in_directory, resources_in
from fhirserver.terminology.catalogue import Catalogue, Entry
from tests.terminology.memory import Memory
from tests.terminology.synthetic import ANIMALS, animals, listed, value_set

ROOT = Path(__file__).parents[2]


def package(file: Path, *resources: dict[str, Any]) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for number, resource in enumerate(resources):
            content = json.dumps(resource).encode()
            member = tarfile.TarInfo(f"package/{resource['resourceType']}-{number}.json")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def test_packages(tmp_path: Path) -> None:
    set = value_set("x", listed("dog"), text={"status": "generated", "div": "<div/>"})
    package(tmp_path / "a.tgz", animals(), set, {"resourceType": "Patient", "id": "p"})
    package(tmp_path / "b.tgz", animals(version="2.0"))
    for _ in range(2):  # unpacked, then from the cache
        known = Terminology(Packages(in_directory(tmp_path), tmp_path / "cache"))
        assert known.validate(ANIMALS, "dog") == "known"
        assert known.validate(ANIMALS, "cat", "http://example.org/ValueSet/x") == "unknown"
        assert [e.version for e in known.catalogue.versions("CodeSystem", ANIMALS)] == ["1.0", "2.0"]
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_broken_package_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.tgz").write_bytes(b"x")
    package(tmp_path / "b.tgz", animals())
    known = Terminology(Packages(in_directory(tmp_path), tmp_path / "cache"))
    assert known.validate(ANIMALS, "dog") == "known"
    assert "a.tgz" in caplog.text


def test_a_broken_cache_is_made_again(tmp_path: Path) -> None:
    package(tmp_path / "a.tgz", animals())
    Packages(in_directory(tmp_path), tmp_path / "cache")
    [cached] = (tmp_path / "cache").iterdir()
    cached.write_bytes(b"")
    known = Terminology(Packages(in_directory(tmp_path), tmp_path / "cache"))
    assert known.validate(ANIMALS, "dog") == "known"


def test_the_official_package(definitions: Definitions, tmp_path: Path) -> None:
    """Everything in it compiles, and what it refers to is found."""
    directory = download(ROOT / "profiles" / "packages").parent
    Packages(in_directory(directory), ROOT / ".cache")
    start = time.process_time()
    packages = Packages(in_directory(directory), ROOT / ".cache")
    assert time.process_time() - start < 1.0
    known = Terminology(packages)
    systems = [entry for entry in packages.entries if entry.type == "CodeSystem"]
    assert len(systems) > 1000
    assert known.validate("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB") == "known"
    assert known.validate("http://terminology.hl7.org/CodeSystem/v2-0203", "MR") == "known"
    confidentiality = "http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification"
    for code, expected in (("R", "known"), ("_Confidentiality", "unknown"), ("X", "unknown")):
        system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
        assert known.validate(system, code, confidentiality) == expected


@pytest.mark.parametrize(
    ("versions", "preferred"),
    [
        (("1.9", "1.10"), "1.10"),
        (("2025-01", "2026-01", "2025-12"), "2026-01"),
        (("", "1"), "1"),
        (("1.0-beta", "1.0"), "1.0"),
        (("2.0", "10.0"), "10.0"),
    ],
)
def test_the_latest_version_is_preferred(versions: tuple[str, ...], preferred: str) -> None:
    catalogue = Catalogue()
    for number, version in enumerate(versions):
        catalogue.add(Entry("CodeSystem", "x", version, "package", (str(number),)))
    found = catalogue.find("CodeSystem", "x")
    assert found
    assert found.version == preferred


@pytest.mark.parametrize(
    ("entries", "preferred"),
    [
        ((("store", "active", "1"), ("package", "active", "2")), "1"),
        ((("store", "retired", "1"), ("package", "active", "2")), "2"),
        ((("loaded", "active", "1"), ("package", "active", "2")), "1"),
        ((("store", "draft", "2"), ("store", "active", "1")), "1"),
    ],
)
def test_what_is_preferred(entries: tuple[tuple[Any, str, str], ...], preferred: str) -> None:
    catalogue = Catalogue()
    for source, status, version in entries:
        catalogue.add(Entry("ValueSet", "x", version, source, (version,), status))
    found = catalogue.find("ValueSet", "x")
    assert found
    assert found.version == preferred


def test_supplements_add_names() -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "id": "german",
        "url": "http://example.org/german",
        "status": "active",
        "content": "supplement",
        "supplements": ANIMALS,
        "language": "de",
        "concept": [{"code": "dog", "display": "Hund"}, {"code": "none", "display": "Nichts"}],
    }
    store = Memory(animals(), supplement)
    known = Terminology(store=store)

    async def name() -> str:
        def evaluate(sources: Any) -> str:
            return str(sources.code_system(ANIMALS).find("dog").named("de"))

        return await known.ask(evaluate)

    assert asyncio.run(name()) == "Hund"
    store.delete("CodeSystem", "german")
    assert asyncio.run(name()) == "Dog"


def test_files_of_single_resources(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    set = value_set("x", listed("dog"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "packages").mkdir()
    for name, content in (
        ("animals", animals()),
        ("sub/set", set),
        ("patient", {"resourceType": "Patient", "url": "http://example.org/p"}),
        ("packages/other", animals(version="2.0")),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "broken.json").write_text("{")
    found = resources_in(tmp_path, tmp_path / "packages")
    known = Terminology(Packages((), tmp_path / "cache", found))
    assert known.validate(ANIMALS, "dog", "http://example.org/ValueSet/x") == "known"
    assert known.validate(ANIMALS, "cat", "http://example.org/ValueSet/x") == "unknown"
    assert [e.version for e in known.catalogue.versions("CodeSystem", ANIMALS)] == ["1.0"]
    assert "broken.json" in caplog.text
