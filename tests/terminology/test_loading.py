"""The formats of the releases of code systems, as files in miniature."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading import Content, Folder, Options, Unreadable, above, detect, read
from tests.terminology import releases
from tests.terminology.synthetic import animals, listed, value_set

NOTHING = Options()


def system(content: Content) -> dict[str, Concept]:
    [found] = content.systems
    return {concept.code: concept for concept in found.concepts()}


def values(concept: Concept) -> dict[str, Any]:
    return {p["code"]: next(v for k, v in p.items() if k != "code") for p in concept.properties}


@pytest.mark.parametrize(
    ("release", "format"),
    [
        (releases.LOINC, "loinc"),
        (releases.SNOMED, "snomed"),
        (releases.CLAML, "claml"),
        (releases.ATIH, "cim10"),
        (releases.MMS, "icd11"),
        (releases.ATC, "atc"),
        (releases.BDPM, "bdpm"),
        (releases.TRE, "csv"),
        (releases.JDV, "csv"),
        (releases.SVS, "svs"),
        ({"x.json": "{}"}, "fhir"),
        ({"x.xml": "<CodeSystem/>"}, "fhir"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_formats_are_told_by_their_files(
    release: Mapping[str, Any], format: str, packed: bool, tmp_path: Path
) -> None:
    files = dict(release)
    path = releases.zipped(files, tmp_path / "x.zip") if packed else releases.unpacked(files, tmp_path)
    assert detect(Folder(path)) == format


def test_loinc(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.zipped(releases.LOINC, tmp_path / "Loinc_2.99.zip"), NOTHING, definitions)
    head = content.systems[0].head
    assert (head.url, head.version) == ("http://loinc.org", "2.99")
    concepts = system(content)
    assert list(concepts)[:3] == ["99991-1", "99992-9", "99993-7"]
    assert list(concepts)[3:] == ["LP99999-1", "LP99998-3", "LL9999-1", "LA99991-1", "LA99992-9"]
    moon = concepts["99991-1"]
    assert moon.display == "Moonlight [Mass/volume] in Serum"
    assert moon.definition == 'Light of "the" moon,\nreflected'
    assert moon.named("fr") == "Clair de lune [Masse/Volume] Sérum"
    assert values(moon)["SCALE_TYP"] == "Qn"
    assert moon.parents == ("LP99998-3",)
    assert above("99991-1", content.systems[0].parents) == {"LP99998-3", "LP99999-1"}
    assert concepts["99993-7"].inactive
    assert concepts["LA99992-9"].parents == ("LL9999-1",)


def test_snomed(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.zipped(releases.SNOMED, tmp_path / "x.zip"), NOTHING, definitions)
    head = content.systems[0].head
    assert head.called == (
        "http://snomed.info/sct|http://snomed.info/sct/900000000000207008/version/20260101"
    )
    concepts = system(content)
    assert [c.display for c in concepts.values()] == [
        "Dragon",
        "Dragon cracheur de feu",
        "Small fire dragon (organism)",
        "Basilisk",
    ]
    fire = concepts["100000002"]
    assert [d["value"] for d in fire.designations] == [
        "Fire dragon (organism)",
        "Fire-breathing dragon",
        'Fire "dragon"',
        "Dragon cracheur de feu",
    ]
    assert values(fire) == {
        "sufficientlyDefined": False,
        "moduleId": "900000000000207008",
        "refset": "700000001",
    }
    assert fire.parents == ("100000001",)
    assert above("100000003", content.systems[0].parents) == {"100000001", "100000002"}
    assert [c.inactive for c in concepts.values()] == [False, False, False, True]


def test_snomed_in_english(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.SNOMED, tmp_path), Options(language="en"), definitions)
    assert system(content)["100000002"].display == 'Fire "dragon"'


def test_claml(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.CLAML, tmp_path), NOTHING, definitions)
    head = content.systems[0].head
    assert (head.url, head.version, head.title) == (
        "http://hl7.org/fhir/sid/icd-10",
        "2026",
        "Invented diseases",
    )
    concepts = system(content)
    assert [(c.code, c.display, c.abstract) for c in concepts.values()] == [
        ("I", "Chapter of dreams", True),
        ("A00-A09", "Bad dreams", True),
        ("A00", "Night mare", False),
    ]
    assert concepts["A00"].definition == "It gallops"
    assert above("A00", content.systems[0].parents) == {"I", "A00-A09"}


def test_cim10_of_the_atih(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.ATIH, tmp_path), Options(version="2026"), definitions)
    concepts = system(content)
    assert [(c.code, c.display, c.parents) for c in concepts.values()] == [
        ("R50", "Sommeil enchanté", ()),
        ("R50.1", "Sommeil de cent ans", ("R50",)),
        ("R50.11", "Sommeil de cent ans d'une princesse", ("R50.1",)),
        ("Z99", "Autre conte", ()),
    ]
    assert values(concepts["Z99"]) == {"typeMCO": "4", "typeSSR": "N", "typePSY": "1"}
    assert content.systems[0].head.version == "2026"


def test_icd11(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.MMS, tmp_path), NOTHING, definitions)
    assert [(c.code, c.display, c.parents, c.abstract) for c in system(content).values()] == [
        ("01", "Tales", (), True),
        ("BlockL1-1A0", "Fairy tales", ("01",), True),
        ("1A00", "Frog prince", ("BlockL1-1A0",), False),
        ("1A01", "Sleeping beauty", ("BlockL1-1A0",), False),
    ]
    assert content.systems[0].head.version == "2026-01"


def test_atc(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.ATC, tmp_path), NOTHING, definitions)
    assert [(c.code, c.display, c.parents) for c in system(content).values()] == [
        ("Z", "POTIONS", ()),
        ("Z10", "Love potions", ("Z",)),
        ("Z10A", "Strong ones", ("Z10",)),
        ("Z10AA", "Very strong", ("Z10A",)),
        ("Z10AA01", "amorol", ("Z10AA",)),
        ("Z10AA02", "philtrol", ("Z10AA",)),
    ]


def test_bdpm(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.BDPM, tmp_path), NOTHING, definitions)
    concepts = system(content)
    assert concepts["60000001"].display == "PHILTRE 5 mg, comprimé"
    assert values(concepts["60000001"])["voies"] == "orale"
    assert [c.inactive for c in concepts.values()] == [False, True]


def test_tre(definitions: Definitions, tmp_path: Path) -> None:
    content = read(releases.unpacked(releases.TRE, tmp_path), NOTHING, definitions)
    url = "https://mos.esante.gouv.fr/NOS/TRE_R999-Couleurs/FHIR/TRE-R999-Couleurs"
    assert content.systems[0].head.url == url
    concepts = system(content)
    assert [(c.code, c.display, c.parents, c.inactive) for c in concepts.values()] == [
        ("C1", "Couleur", (), False),
        ("C2", "Vert émeraude", ("C1",), False),
        ("C3", "Mauve", ("C1",), True),
    ]
    assert concepts["C2"].designations == ({"value": "Vert"},)


@pytest.mark.parametrize("release", [releases.JDV, releases.SVS])
def test_value_sets_of_the_ans(release: dict[str, str], definitions: Definitions, tmp_path: Path) -> None:
    [resource] = read(releases.unpacked(release, tmp_path), NOTHING, definitions).resources
    assert resource["url"].startswith("https://mos.esante.gouv.fr/NOS/JDV_J99")
    include = {i["system"]: [c["code"] for c in i["concept"]] for i in resource["compose"]["include"]}
    assert len(include) == 2
    assert include["http://loinc.org"] == ["99991-1"]
    assert all(len(codes) == 1 for codes in include.values())  # what has ended is left out


def test_a_table_becomes_a_value_set_when_asked(definitions: Definitions, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("code,display\na,A\n")
    options = Options(system="http://x.test/cs", value_set="http://x.test/vs", version="1")
    [resource] = read(tmp_path / "x.csv", options, definitions).resources
    assert (resource["url"], resource["version"]) == ("http://x.test/vs", "1")
    assert resource["compose"]["include"] == [
        {"system": "http://x.test/cs", "concept": [{"code": "a", "display": "A"}]}
    ]


def test_fhir(definitions: Definitions, tmp_path: Path) -> None:
    many = animals(concept=[{"code": f"c{n}"} for n in range(2001)], url="http://x.test/many")
    bundle = {"resourceType": "Bundle", "entry": [{"resource": value_set("x", listed("dog"))}]}
    patient = {"resourceType": "Patient", "id": "p"}
    xml = '<CodeSystem xmlns="http://hl7.org/fhir"><url value="http://x.test/xml"/></CodeSystem>'
    (tmp_path / "many.json").write_text(json.dumps(many))
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    (tmp_path / "lines.ndjson").write_text(f"{json.dumps(animals())}\n\n{json.dumps(patient)}\n")
    (tmp_path / "x.xml").write_text(xml)
    content = read(tmp_path, NOTHING, definitions)
    assert [s.head.url for s in content.systems] == ["http://x.test/many"]
    assert len(system(content)) == 2001
    assert sorted(r["url"] for r in content.resources) == [
        "http://example.org/CodeSystem/animals",
        "http://example.org/ValueSet/x",
        "http://x.test/xml",
    ]


@pytest.mark.parametrize(
    ("files", "format", "text"),
    [
        ({"x.bin": "x"}, "", "say it with --format"),
        ({"x.csv": "a,b\n1,2\n"}, "csv", "--system is missing"),
        ({"TRE_x.csv": "a,b\n1,2\n"}, "", "no column for the code"),
        ({"JDV_x.csv": "code,libelle\n1,2\n"}, "", "use --system"),
        ({"x.csv": "x"}, "loinc", "no Loinc.csv"),
        ({"x.csv": "x"}, "snomed", "no snapshot"),
        ({"LIBCIM10MULTI.TXT": "A00|1|2\n"}, "", "3 fields"),
        ({"SimpleTabulation.txt": "Title\tCode\n- x\t\n"}, "", "no code or no title"),
        ({"CIS_bdpm.txt": "1\n"}, "", "no code and name"),
        ({"claml.xml": "<ClaML/>"}, "", "no Class"),
        ({"claml.xml": "<ClaML"}, "", "not XML"),
        ({"JDV.xml": "<a xmlns='urn:ihe:iti:svs:2008'/>"}, "", "no ValueSet"),
        ({"JDV.xml": "<a xmlns='urn:ihe:iti:svs:2008'"}, "", "not XML"),
        ({"x.json": "{"}, "", "not FHIR"),
        ({"x.json": '{"resourceType": "Patient"}'}, "", "no CodeSystem"),
        ({"x.tgz": "x"}, "", "not a FHIR package"),
    ],
)
def test_what_cannot_be_read(
    files: dict[str, str], format: str, text: str, definitions: Definitions, tmp_path: Path
) -> None:
    releases.unpacked(files, tmp_path)

    def everything() -> list[Concept]:
        content = read(tmp_path, NOTHING, definitions, format)
        return [concept for found in content.systems for concept in found.concepts()]

    with pytest.raises(Unreadable, match=text):
        everything()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(Unreadable, match="There is no"):
        Folder(Path("/nowhere"))
