"""SNOMED CT: the snapshot of a release in RF2, as zip or folder. https://confluence.ihtsdotools.org/display/DOCRELFMT

Descriptions and reference sets are joined to their concepts on disk: of a release only the hierarchy is held
in memory.
"""

import contextlib
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.content import Content, Options, System, head, need
from fhirserver.terminology.loading.folder import Folder
from fhirserver.terminology.value_sets import SNOMED

CONCEPTS = r"x?sct2_Concept_(Snapshot|Full)_.*\.txt"
IS_A, FSN, PREFERRED = "116680003", "900000000000003001", "900000000000548007"
DEFINED = "900000000000073002"
MODULES = {"INT": "900000000000207008", "FR1000315": "11000315107"}
_TAG = re.compile(r"_(?P<name>[A-Z]{2,3}\d*)_(?P<date>\d{8})\.txt$")
_FILES = {
    "descriptions": r"x?sct2_Description_Snapshot.*\.txt",
    "relationships": r"x?sct2_Relationship_Snapshot.*\.txt",
    "languages": r"x?der2_cRefset_.*Language.*Snapshot.*\.txt",
    "refsets": r"x?der2_Refset_.*Simple.*Snapshot.*\.txt",
}
_TABLES = """
create table description (concept text, id text, type text, language text, term text);
create table preferred (id text primary key) without rowid;
create table member (concept text, refset text);
"""
_INDEXES = """
create index description_concept on description (concept);
create index member_concept on member (concept);
"""


def read(folder: Folder, options: Options) -> Content:
    """All concepts, the inactive ones marked, with their names, parents and simple reference sets.

    Raises:
        Unreadable: the snapshot of the concepts is not there.
    """
    files = folder.find_all(r"x?sct2_Concept_Snapshot_.*\.txt")
    need(files[0] if files else "", "snapshot of SNOMED CT concepts (sct2_Concept_Snapshot_*.txt)")
    parents: dict[str, tuple[str, ...]] = {}
    for row in _rows(folder, "relationships"):
        if row["active"] == "1" and row["typeId"] == IS_A:
            parents[row["sourceId"]] = (*parents.get(row["sourceId"], ()), row["destinationId"])

    def concepts() -> Iterator[Concept]:
        with (
            tempfile.TemporaryDirectory(prefix="fhirserver-snomed-") as directory,
            contextlib.closing(_joined(folder, Path(directory) / "rf2.sqlite")) as joined,
        ):
            for file in files:
                for row in folder.records(file, "\t", quoted=False):
                    yield _concept(row, parents.get(row["id"], ()), joined, options.language)

    described = head(options, SNOMED, _version(files), "SNOMED_CT", "SNOMED CT")
    return Content((System(described, concepts, parents),))


def _rows(folder: Folder, kind: str) -> Iterator[dict[str, str]]:
    for file in folder.find_all(_FILES[kind]):
        yield from folder.records(file, "\t", quoted=False)


def _version(files: list[str]) -> str:
    """The URI of the edition and its date, as far as the file names tell."""
    for file in reversed(files):
        if found := _TAG.search(file):
            module = MODULES.get(found["name"])
            return f"{SNOMED}/{module}/version/{found['date']}" if module else found["date"]
    return ""


def _joined(folder: Folder, file: Path) -> sqlite3.Connection:
    """The names and memberships of concepts, to be found by concept."""
    joined = sqlite3.connect(file)
    joined.executescript(f"pragma journal_mode=off; pragma synchronous=off; {_TABLES}")
    joined.executemany(
        "insert into description values (?, ?, ?, ?, ?)",
        (
            (row["conceptId"], row["id"], row["typeId"], row["languageCode"], row["term"])
            for row in _rows(folder, "descriptions")
            if row["active"] == "1"
        ),
    )
    joined.executemany(
        "insert or ignore into preferred values (?)",
        (
            (row["referencedComponentId"],)
            for row in _rows(folder, "languages")
            if row["active"] == "1" and row["acceptabilityId"] == PREFERRED
        ),
    )
    joined.executemany(
        "insert into member values (?, ?)",
        (
            (row["referencedComponentId"], row["refsetId"])
            for row in _rows(folder, "refsets")
            if row["active"] == "1"
        ),
    )
    joined.executescript(_INDEXES)
    return joined


def _concept(
    row: dict[str, str], parents: tuple[str, ...], joined: sqlite3.Connection, language: str
) -> Concept:
    code = row["id"]
    names = joined.execute(
        "select type, language, term, exists (select 1 from preferred p where p.id = d.id) "
        "from description d where concept = ? order by id",
        (code,),
    ).fetchall()
    members = joined.execute("select refset from member where concept = ?", (code,)).fetchall()
    properties: list[dict[str, Any]] = [
        {"code": "sufficientlyDefined", "valueBoolean": row["definitionStatusId"] == DEFINED},
        {"code": "moduleId", "valueCode": row["moduleId"]},
        *({"code": "refset", "valueCode": refset} for (refset,) in members),
    ]
    return Concept(
        code,
        _display(names, language),
        "",
        tuple(_designation(*name[:3]) for name in names),
        tuple(properties),
        parents,
        inactive=row["active"] != "1",
    )


def _display(names: list[tuple[str, str, str, int]], language: str) -> str:
    """The preferred term in the language, else in English, else any name."""
    for wanted in (language.partition("-")[0], "en"):
        for preferred in (1, 0):
            for type, spoken, term, is_preferred in names:
                if spoken == wanted and type != FSN and is_preferred >= preferred:
                    return term
    return names[0][2] if names else ""


def _designation(type: str, language: str, term: str) -> dict[str, Any]:
    named = "Fully specified name" if type == FSN else "Synonym"
    return {
        "language": language,
        "use": {"system": SNOMED, "code": type, "display": named},
        "value": term,
    }
