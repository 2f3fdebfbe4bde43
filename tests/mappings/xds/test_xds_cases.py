"""Every submission of tests/cases/xds gives the Bundle and the remarks beside it; a bad one gives nothing."""

import base64
import copy
import hashlib
import io
import json
import re
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirserver.validation import Validator
from mappings import cda, xds
from mappings.core.result import Element, Held, Mapped, MappingError, Unreadable
from mappings.core.source import Source
from mappings.xds.kept import kept_slots

CASES = sorted((Path(__file__).parents[2] / "cases" / "xds").iterdir())
REFUSED = [case for case in CASES if (case / "refused.txt").exists()]
ACCEPTED = [case for case in CASES if case not in REFUSED]
METADATA = "IHE_XDM/SUBSET01/METADATA.XML"
NOTE = "IHE_XDM/SUBSET01/DOC00001.XML"
PDF = "IHE_XDM/SUBSET01/DOC00002.PDF"
INS = "285077505601284"
SUBMISSION_SET_NODE = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"
SOURCE = Source(name="test")


def files(name: str) -> dict[str, bytes]:
    """The files of a case's zip by path."""
    case = next(case for case in CASES if case.name == name)
    expected = {"bundle.json", "issues.txt", "refused.txt"}
    paths = sorted(path for path in case.rglob("*") if path.is_file() and path.name not in expected)
    return {path.relative_to(case).as_posix(): path.read_bytes() for path in paths}


def packed(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            archive.writestr(path, data)
    return buffer.getvalue()


def mapped(members: dict[str, bytes], source: Source = SOURCE) -> Mapped:
    return xds.to_bundle(xds.read_xdm(packed(members)), source)


def changed(old: str, new: str, *, count: int = -1) -> dict[str, bytes]:
    """The two documents with other metadata; the change must be one."""
    members = files("two-documents")
    text = members[METADATA].decode()
    assert old in text
    return {**members, METADATA: text.replace(old, new, count).encode()}


def of_another_patient(name: str) -> dict[str, bytes]:
    old = f'registryObject="{name}" value="'
    return changed(old + INS, old + "223037505603429")


def with_note(raw: bytes) -> dict[str, bytes]:
    """The two documents with another CDA document, and the size and hash that go with it."""
    before = files("two-documents")[NOTE]
    members = changed(hashlib.sha1(before).hexdigest(), hashlib.sha1(raw).hexdigest())
    metadata = members[METADATA].replace(b">%d<" % len(before), b">%d<" % len(raw))
    return {**members, NOTE: raw, METADATA: metadata}


def resources(bundle: Element, resource_type: str) -> list[Element]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == resource_type]


def labels(reference: Element) -> list[str]:
    return [label["coding"][0]["code"] for label in reference["securityLabel"]]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused_case(case: Path) -> None:
    with pytest.raises(MappingError) as refused:
        mapped(files(case.name))
    kind = type(refused.value).__name__
    told = [f"{kind} | {i.code} {i.fault} | {i.text} | {i.location}" for i in refused.value.issues]
    assert told == (case / "refused.txt").read_text().splitlines()
    assert INS not in str(refused.value)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_case(case: Path, validator: Validator) -> None:
    result = mapped(files(case.name))
    bundle = copy.deepcopy(result.bundle)
    for entry in bundle["entry"]:
        entry["resource"].pop("data", None)
    expected: Any = json.loads((case / "bundle.json").read_text(), parse_float=Decimal)
    assert bundle == expected
    issues = [f"{i.severity} {i.code} | {i.text} | {i.location}" for i in result.issues]
    assert issues == (case / "issues.txt").read_text().splitlines()
    assert validator.validate(result.bundle) == []
    assert mapped(files(case.name)).bundle == result.bundle


def test_bytes_of_the_documents() -> None:
    members = files("two-documents")
    bundle = mapped(members).bundle
    stored = {base64.b64decode(binary["data"]) for binary in resources(bundle, "Binary")}
    assert stored == {members[NOTE], members[PDF], members["IHE_XDM/SUBSET01/SIGN0001.XML"]}


def test_signature_is_no_document_and_keeps_its_labels_to_itself() -> None:
    bundle = mapped(files("two-documents")).bundle
    note, pdf = resources(bundle, "DocumentReference")
    assert labels(note) == ["N", "INVISIBLE_REPRESENTANTS_LEGAUX"]
    assert labels(pdf) == ["N"]
    (signature,) = [
        e for e in resources(bundle, "List")[0]["entry"] if e.get("flag") == {"text": "signature"}
    ]
    urls = {e["fullUrl"]: e["resource"]["resourceType"] for e in bundle["entry"]}
    assert urls[signature["item"]["reference"]] == "Binary"


def test_label_inside_a_document_applies_to_it_wherever_it_points() -> None:
    (kos,) = resources(mapped(files("undeclared-prefix")).bundle, "DocumentReference")
    assert labels(kos) == ["N", "MASQUE_PS"]


def test_label_of_the_header_is_added_to_those_of_the_metadata() -> None:
    raw = files("two-documents")[NOTE].replace(
        b'confidentialityCode code="N"', b'confidentialityCode code="R"'
    )
    note, _ = resources(mapped(with_note(raw)).bundle, "DocumentReference")
    assert labels(note) == ["N", "INVISIBLE_REPRESENTANTS_LEGAUX", "R"]


def test_clinical_entries_are_those_of_the_document_alone() -> None:
    members = files("two-documents")
    puts = [
        [entry["request"]["url"] for entry in bundle["entry"] if entry["request"]["method"] == "PUT"]
        for bundle in (mapped(members).bundle, cda.to_bundle(members[NOTE], SOURCE).bundle)
    ]
    assert puts[0] == puts[1] != []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # Deprecated: the document is superseded by one that came before.
        (
            'status="urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"',
            'status="urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"',
        ),
        # Replaced within the submission.
        ('AssociationType:APND"', 'AssociationType:RPLC"'),
    ],
)
def test_superseded_document_asserts_nothing(old: str, new: str) -> None:
    bundle = mapped(changed(old, new)).bundle
    assert resources(bundle, "DocumentReference")[0]["status"] == "superseded"
    assert resources(bundle, "Immunization") == []


def test_target_that_only_the_metadata_name() -> None:
    raw = files("two-documents")[NOTE].replace(b'typeCode="RPLC"', b'typeCode="XFRM"')
    note, _ = resources(mapped(with_note(raw)).bundle, "DocumentReference")
    replaced = {r["code"]: r["target"]["identifier"]["value"] for r in note["relatesTo"]}
    assert replaced["replaces"] == "urn:uuid:0a000000-0000-4000-8000-0000000000aa"
    assert replaced["transforms"] == "urn:oid:1.2.250.1.999.35.2.2.1"


def test_target_inside_the_submission_wins_over_the_header() -> None:
    bundle = mapped(changed("urn:uuid:0a000000-0000-4000-8000-0000000000aa", "Document02")).bundle
    note, pdf = resources(bundle, "DocumentReference")
    (replaced,) = [r["target"] for r in note["relatesTo"] if r["code"] == "replaces"]
    entry = next(e for e in bundle["entry"] if e["resource"] is pdf)
    assert replaced == {"reference": entry["fullUrl"]}
    assert pdf["status"] == "superseded"


def test_author_that_is_an_institution() -> None:
    members = files("two-documents")
    before, start, rest = members[METADATA].decode().partition('<RegistryPackage id="SubmissionSet01">')
    members[METADATA] = (before + start + rest.replace('name="authorPerson"', 'name="x"', 1)).encode()
    (found, _) = resources(mapped(members).bundle, "List")
    assert "source" not in found
    (author,) = [e["valueReference"] for e in found["extension"] if e["url"].endswith("/ihe-authorOrg")]
    assert author["display"] == "Cabinet des Tilleuls (test)"


def test_lists_that_are_no_longer_valid() -> None:
    status = 'id="SubmissionSet01" status="urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"'
    statuses = [
        found["status"]
        for found in resources(mapped(changed('id="SubmissionSet01"', status, count=1)).bundle, "List")
    ]
    assert statuses == ["retired", "current"]


def test_patient_is_no_authenticator() -> None:
    members = files("undeclared-prefix")
    path = "IHE_XDM/SS000001/METADATA.XML"
    for number in (INS, "223037505603429"):
        text = re.sub(
            r'(name="legalAuthenticator"><ValueList><Value>)[^<]*',
            rf"\g<1>{number}^LEROUX-TEST^CAMILLE^^^^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^D^^^NH",
            members[path].decode(),
        )
        (reference,) = resources(mapped({**members, path: text.encode()}).bundle, "DocumentReference")
        assert "authenticator" not in reference


def test_logical_id() -> None:
    lid = "urn:uuid:0C000000-0000-4000-8000-000000000001"
    bundle = mapped(changed('id="urn:uuid:0A000000', f'lid="{lid}" id="urn:uuid:0A000000', count=1)).bundle
    note, _ = resources(bundle, "DocumentReference")
    uses = {identifier["value"]: identifier["use"] for identifier in note["identifier"]}
    assert uses[lid.lower()] == "secondary"
    assert uses["urn:uuid:0a000000-0000-4000-8000-000000000001"] == "official"


def test_white_space_around_identifiers() -> None:
    members = changed('value="1.2.250.1.999.35.9.1"', 'value=" 1.2.250.1.999.35.9.1 "')
    assert mapped(members).bundle == mapped(files("two-documents")).bundle


def test_time_zone_of_the_source() -> None:
    _, pdf = resources(
        mapped(files("two-documents"), Source(xds_timezone="Europe/Paris")).bundle, "DocumentReference"
    )
    assert pdf["context"]["period"]["start"] == "2024-03-12T09:00:00+01:00"


def test_xml_that_is_no_cda_stays_a_file() -> None:
    result = mapped(with_note(b"<rapport>texte</rapport>\n"))
    assert len(resources(result.bundle, "DocumentReference")) == 2
    assert resources(result.bundle, "Immunization") == []
    assert any("cannot be read as CDA" in issue.text for issue in result.issues)


def test_archived_deleted() -> None:
    bundle = mapped(changed("StatusType:Archived", "StatusType:Deleted")).bundle
    _, deleted = resources(bundle, "DocumentReference")
    assert deleted["status"] == "entered-in-error"
    _, archived = resources(mapped(files("two-documents")).bundle, "DocumentReference")
    assert archived["extension"][0]["valueBoolean"] is True


def test_document_without_a_media_type_is_bytes(validator: Validator) -> None:
    bundle = mapped(changed('mimeType="application/pdf"', 'mimeType=""')).bundle
    assert [binary["contentType"] for binary in resources(bundle, "Binary")][1] == "application/octet-stream"
    assert validator.validate(bundle) == []


def test_several_subsets() -> None:
    other = {path.replace("SUBSET01", "SUBSET02"): data for path, data in files("two-documents").items()}
    metadata = other["IHE_XDM/SUBSET02/METADATA.XML"].decode()
    for old in ("1.2.250.1.999.35.9.1", "1.2.250.1.999.35.10.1"):
        metadata = metadata.replace(old, f"{old}.2")
    other["IHE_XDM/SUBSET02/METADATA.XML"] = metadata.encode()
    submission = xds.read_xdm(packed({**files("two-documents"), **other}))
    assert [subset.path for subset in submission.subsets] == [METADATA, METADATA.replace("01", "02")]
    bundle = xds.to_bundle(submission, SOURCE).bundle
    assert len(resources(bundle, "List")) == 4
    assert len(resources(bundle, "DocumentReference")) == 2, "the same documents twice are the same documents"


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("IHE_XDM/SUBSET01/doc00002.pdf", "DOC00002.PDF"),
        ("IHE_XDM/SUBSET01/DOC00002.PDF", "SUBSET01/DOC00002.PDF"),
        ("IHE_XDM/SUBSET01/DOC00002.PDF", "IHE_XDM\\SUBSET01\\doc00002.pdf"),
        ("IHE_XDM/SUBSET01/COMPTE_R.PDF", "compte_rendu_de_consultation.pdf"),
        ("DOC00002.PDF", "DOC00002.PDF"),
        ("IHE_XDM/SUBSET01/DOC00002.PDF", "2|02.PDF</Value><Value>1|DOC000"),
    ],
)
def test_where_a_document_is_found(path: str, uri: str) -> None:
    members = changed(">DOC00002.PDF<", f">{uri}<")
    members[path] = members.pop(PDF)
    assert len(xds.read_xdm(packed(members)).subsets[0].documents) == 3


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({**files("two-documents"), PDF: b"%PDF-1.4\n% Synthetic\n%%EOF\n"}, "7.2024-7 has another SHA-1"),
        ({**files("two-documents"), PDF: b"%PDF-1.4\n"}, "has 9 bytes, its entry says 27"),
        ({**files("two-documents"), PDF: packed({"A.TXT": b""})}, "archive inside the archive"),
        ({p: d for p, d in files("two-documents").items() if p != PDF}, "is not in the zip: DOC00002.PDF"),
        (changed(">DOC00002.PDF<", ">../../etc/passwd<"), "is not in the zip"),
        ({p: d for p, d in files("two-documents").items() if p != METADATA}, "no METADATA.XML"),
        ({**files("two-documents"), METADATA: b"<SubmitObjectsRequest>"}, "not well-formed"),
        ({**files("two-documents"), METADATA: b"<SubmitObjectsRequest/>"}, "0 submission sets"),
        ({**files("two-documents"), METADATA: b"<!DOCTYPE x><x/>"}, "document type"),
        (changed('name="URI"', 'name="url"', count=1), "has no URI"),
        (changed("urn:uuid:2e82c1f6", "urn:uuid:00000000", count=1), "no uniqueId or no patientId"),
        (changed("urn:uuid:58a6f841", "urn:uuid:00000000", count=1), "no uniqueId or no patientId"),
        (changed("urn:uuid:a54d6aa5", "urn:uuid:00000000"), "neither a submission set nor a folder"),
        (changed(FOLDER_NODE, SUBMISSION_SET_NODE), "2 submission sets"),
        (changed('value="1.2.250.1.999.35.7^2024-7"', 'value="1.2.250.1.999.35.2.2.2"'), "same uniqueId"),
        (changed('Object id="Document02"', 'Object id="Signature01"'), "two objects with the id"),
    ],
)
def test_refused_whole(members: dict[str, bytes], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        xds.read_xdm(packed(members))


def test_refusal_names_the_entry() -> None:
    with pytest.raises(Unreadable) as refused:
        xds.read_xdm(packed({**files("two-documents"), PDF: b"%PDF-1.4\n"}))
    (issue,) = refused.value.issues
    assert (issue.code, issue.location) == ("invariant", "DocumentEntry 'Document02'")


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (of_another_patient("Document02"), "'Document02' is not that of the submission set"),
        (of_another_patient("Folder01"), "'Folder01' is not that of the submission set"),
        (changed(f"{INS}^^^&amp;1.2.250.1.213.1.4.10&amp;ISO", f"{INS}^^^HOPITAL"), "no assigning authority"),
        (
            with_note(files("two-documents")[NOTE].replace(INS.encode(), b"223037505603429")),
            "another patient",
        ),
        (
            with_note(
                files("two-documents")[NOTE]
                .replace(INS.encode(), b"223037505603429")
                .replace(b'"1.2.250.1.213.1.4.10"', b'"1.2.250.1.213.1.4.8"')
            ),
            "another patient",
        ),
        (
            with_note(files("two-documents")[NOTE].replace(b'"1.2.250.1.999.35.2.2.2"', b'"1.2.3"')),
            "another id than the entry's",
        ),
    ],
)
def test_held(members: dict[str, bytes], why: str) -> None:
    with pytest.raises(Held, match=why) as held:
        mapped(members)
    assert INS not in str(held.value)


def test_unique_id_that_is_none() -> None:
    with pytest.raises(Unreadable, match="neither an OID nor a UUID"):
        mapped(changed('value="1.2.250.1.999.35.7^2024-7"', 'value="CR-2024-7"'))


def test_document_that_is_no_member_is_listed_with_a_warning() -> None:
    members = changed(
        'sourceObject="SubmissionSet01" targetObject="Document02"', 'sourceObject="X" targetObject="Y"'
    )
    result = mapped(members)
    assert len(resources(result.bundle, "List")[0]["entry"]) == 4
    assert "structure" in [issue.code for issue in result.issues]


def test_slots_that_no_element_says_are_kept() -> None:
    result = mapped(files("two-documents"))
    _, pdf = resources(result.bundle, "DocumentReference")
    assert kept_slots(pdf) == {"homeCommunityId": ["urn:oid:1.2.3"]}
    assert result.unread == []


def test_traits_that_contradict_the_ins_are_a_warning() -> None:
    members = files("undeclared-prefix")
    path = "IHE_XDM/SS000001/METADATA.XML"
    members[path] = members[path].replace(b"PID-7|19850714", b"PID-7|19960124")
    assert "business-rule" in [issue.code for issue in mapped(members).issues]
