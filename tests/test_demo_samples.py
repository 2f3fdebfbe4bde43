import hashlib
import io
import json
import os
import re
import zipfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from fhirserver.demo.samples import FOLDER, INS, INS_SYSTEM, SAMPLES, Sample, zipped
from fhirserver.validation import Validator
from mappings import cda, hl7v2, xds
from mappings.core.identity import has_valid_key
from mappings.core.result import NoMapping
from mappings.core.source import Source
from samples.build import PAGES, build

MESSAGES = [sample for sample in SAMPLES if sample.door == "mllp"]
BUNDLES = [sample for sample in SAMPLES if sample.door == "fhir"]
SUBSET = FOLDER / "xdm/IHE_XDM/SUBSET01"


def name(sample: Sample) -> str:
    return sample.name


def test_the_ins_has_a_valid_key() -> None:
    assert has_valid_key(INS)


@pytest.mark.parametrize("sample", SAMPLES, ids=name)
def test_every_sample_is_about_the_same_person(sample: Sample) -> None:
    content = sample.content(FOLDER)
    if sample.door == "xdm":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read("IHE_XDM/SUBSET01/METADATA.XML") + archive.read(
                "IHE_XDM/SUBSET01/DOC0001.XML"
            )
    assert INS.encode() in content


@pytest.mark.parametrize("path", sorted({*build(FOLDER)}))
def test_the_samples_are_as_the_build_makes_them(path: str) -> None:
    assert (FOLDER / path).read_bytes() == build(FOLDER)[path], "run: python -m samples.build"


@pytest.mark.parametrize("path", sorted(PAGES))
def test_the_pdf_inside_can_be_read(path: str) -> None:
    found = re.findall(r"JVBERi0[A-Za-z0-9+/]*=*", (FOLDER / path).read_text("utf-8"))
    assert len(found) == 1
    content = b64decode(found[0], validate=True)
    assert content.startswith(b"%PDF-1.4")
    assert content.endswith(b"%%EOF\n")


@pytest.mark.parametrize("sample", BUNDLES, ids=name)
def test_the_bundles_are_valid(sample: Sample, validator: Validator) -> None:
    bundle = json.loads(sample.content(FOLDER))
    assert [i for i in validator.validate(bundle) if i.severity in ("fatal", "error")] == []


@pytest.mark.parametrize("sample", BUNDLES, ids=name)
def test_the_bundles_can_be_sent_again(sample: Sample) -> None:
    for entry in json.loads(sample.content(FOLDER))["entry"]:
        request, resource = entry["request"], entry["resource"]
        if request["method"] == "PUT":
            assert request["url"] == f"{resource['resourceType']}/{resource['id']}"
            continue
        criteria = request["ifNoneExist"].removeprefix("identifier=").replace("%7C", "|")
        own = [*resource.get("identifier", []), resource.get("masterIdentifier", {})]
        assert criteria in {f"{i.get('system')}|{i.get('value')}" for i in own}


def test_the_document_has_the_size_and_hash_of_its_content() -> None:
    resources: dict[str, Any] = {
        entry["resource"]["resourceType"]: entry["resource"]
        for entry in json.loads((FOLDER / "document.json").read_bytes())["entry"]
    }
    content = b64decode(resources["Binary"]["data"])
    attachment = resources["DocumentReference"]["content"][0]["attachment"]
    assert attachment["size"] == len(content)
    assert b64decode(attachment["hash"]) == hashlib.sha1(content, usedforsecurity=False).digest()
    assert attachment["url"] == f"Binary/{resources['Binary']['id']}"


@pytest.mark.parametrize("sample", MESSAGES, ids=name)
def test_segments_end_with_carriage_returns(sample: Sample) -> None:
    content = sample.content(FOLDER)
    assert content.startswith(b"MSH|^~\\&|")
    assert content.endswith(b"\r")
    assert b"\n" not in content


@pytest.mark.parametrize("sample", [m for m in MESSAGES if not m.held], ids=name)
def test_the_messages_map_to_valid_bundles_without_remarks(sample: Sample, validator: Validator) -> None:
    mapped = hl7v2.to_bundle(hl7v2.read(sample.content(FOLDER), Source()), Source())
    assert mapped.issues == []
    assert mapped.patient == f"{INS_SYSTEM}|{INS}"
    assert [i for i in validator.validate(mapped.bundle) if i.severity in ("fatal", "error")] == []


@pytest.mark.parametrize("sample", [m for m in MESSAGES if m.held], ids=name)
def test_the_held_message_has_no_mapping(sample: Sample) -> None:
    with pytest.raises(NoMapping):
        hl7v2.to_bundle(hl7v2.read(sample.content(FOLDER), Source()), Source())


def test_the_vaccination_note_has_its_entries(validator: Validator) -> None:
    mapped = cda.to_bundle((FOLDER / "vaccination-note.xml").read_bytes(), Source())
    types = [entry["resource"]["resourceType"] for entry in mapped.bundle["entry"]]
    assert (types.count("Immunization"), types.count("AllergyIntolerance")) == (2, 1)
    assert mapped.patient == f"{INS_SYSTEM}|{INS}"
    assert [i for i in validator.validate(mapped.bundle) if i.severity in ("fatal", "error")] == []


def test_the_submission_is_read_without_remarks(validator: Validator) -> None:
    mapped = xds.to_bundle(xds.read_xdm(zipped(FOLDER / "xdm")), Source())
    types = {entry["resource"]["resourceType"] for entry in mapped.bundle["entry"]}
    assert {"List", "DocumentReference", "Binary"} <= types
    assert (mapped.issues, mapped.unread) == ([], [])
    assert mapped.patient == f"{INS_SYSTEM}|{INS}"
    assert [i for i in validator.validate(mapped.bundle) if i.severity in ("fatal", "error")] == []


def test_the_control_ids_differ() -> None:
    assert len({sample.content(FOLDER).split(b"|")[9] for sample in MESSAGES}) == len(MESSAGES)


def test_the_metadata_have_the_size_and_hash_of_the_document() -> None:
    namespace = {"rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"}
    metadata = etree.parse(SUBSET / "METADATA.XML")
    slots = {
        slot.get("name"): [value.text for value in slot.iterfind(".//rim:Value", namespace)]
        for slot in metadata.iterfind(".//rim:ExtrinsicObject/rim:Slot", namespace)
    }
    content = (SUBSET / "DOC0001.XML").read_bytes()
    assert slots["URI"] == ["DOC0001.XML"]
    assert slots["size"] == [str(len(content))]
    assert slots["hash"] == [hashlib.sha1(content, usedforsecurity=False).hexdigest()]


@pytest.mark.parametrize(
    "path", [FOLDER / "vaccination-note.xml", SUBSET / "DOC0001.XML"], ids=lambda p: p.name
)
def test_the_documents_are_cda(path: Path) -> None:
    root = etree.parse(path).getroot()
    assert root.tag == "{urn:hl7-org:v3}ClinicalDocument"
    assert root.find("{urn:hl7-org:v3}id") is not None


def test_the_same_files_zip_to_the_same_bytes(tmp_path: Path) -> None:
    for path in sorted((FOLDER / "xdm").rglob("*.*"), reverse=True):
        copy = tmp_path / path.relative_to(FOLDER / "xdm")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
        os.utime(copy, (0, 1_700_000_000))
    assert zipped(tmp_path) == zipped(FOLDER / "xdm")


def test_an_empty_folder_is_no_submission(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no files"):
        zipped(tmp_path)
