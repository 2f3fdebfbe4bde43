"""FindDocuments over the wire, on submissions and on resources of apps."""

from collections.abc import Sequence

import httpx2
import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import Answer
from tests.xds.registry import (
    INS,
    Parameters,
    ask,
    codes,
    name_of,
    quoted,
    slot,
    status,
    titles,
)
from tests.xds.stock import (
    ANY,
    CISIS,
    INFO,
    OTHER_AUTHOR,
    REFERENCES,
    ROOT,
    SYNTHESIS,
    WHO,
    B,
    C,
)


def find(stocked: Live, statuses: Sequence[str] = (s.APPROVED,), **more: str | Sequence[str]) -> Answer:
    parameters: Parameters = {
        "$XDSDocumentEntryPatientId": WHO,
        "$XDSDocumentEntryStatus": quoted(*statuses),
        **{f"$XDSDocumentEntry{name}": value for name, value in more.items()},
    }
    query = "FindDocumentsByReferenceId" if "ReferenceIdList" in more else "FindDocuments"
    return ask(stocked.origin, query, parameters)


@pytest.mark.parametrize(
    ("statuses", "more", "expected"),
    [
        ((s.APPROVED,), {}, "EC"),
        ((s.DEPRECATED,), {}, "A"),
        ((s.ARCHIVED,), {}, "B"),
        ((s.DELETED,), {}, "D"),
        (ANY, {}, "ECBA"),
        ((*ANY, s.DELETED), {}, "ECBAD"),
        (("urn:x",), {}, ""),
        (ANY, {"ClassCode": quoted(f"11^^{CISIS}")}, "B"),
        (ANY, {"ClassCode": quoted(f"10^^{CISIS}", f"11^^{CISIS}")}, "CBA"),
        (ANY, {"ClassCode": [quoted(f"10^^{CISIS}"), quoted(f"11^^{CISIS}")]}, "CBA"),
        (ANY, {"ClassCode": quoted("11^^1.2.3")}, ""),
        (ANY, {"TypeCode": quoted("11488-4^^2.16.840.1.113883.6.1")}, "CBA"),
        (ANY, {"TypeCode": quoted("11488-4^^http://loinc.org")}, "CBA"),
        (ANY, {"TypeCode": quoted("11488-4^^LOINC")}, "CBA"),
        (ANY, {"PracticeSettingCode": quoted("AMBULATOIRE^^1.2.250.1.213.1.1.4.9")}, "CBA"),
        (ANY, {"HealthcareFacilityTypeCode": quoted("SA07^^1.2.250.1.71.4.2.4")}, "CBA"),
        (ANY, {"HealthcareFacilityTypeCode": quoted("SA08^^1.2.250.1.71.4.2.4")}, ""),
        (
            ANY,
            {"FormatCode": quoted("urn:ihe:iti:xds:2017:mimeTypeSufficient^^1.3.6.1.4.1.19376.1.2.3")},
            "CBA",
        ),
        (ANY, {"ConfidentialityCode": quoted("MASQUE_PS^^1.2.250.1.213.1.1.4.13")}, "B"),
        (
            ANY,
            {
                "ConfidentialityCode": [
                    quoted("N^^2.16.840.1.113883.5.25"),
                    quoted("MASQUE_PS^^1.2.250.1.213.1.1.4.13", "INVISIBLE_PATIENT^^1.2.250.1.213.1.1.4.13"),
                ]
            },
            "B",
        ),
        (ANY, {"EventCodeList": quoted("ABCD001^^1.2.250.1.213.2.5", "X^^1.2.3")}, "B"),
        (
            ANY,
            {"EventCodeList": [quoted("ABCD001^^1.2.250.1.213.2.5"), quoted("ABCD002^^1.2.250.1.213.2.5")]},
            "B",
        ),
        (ANY, {"EventCodeList": [quoted("ABCD001^^1.2.250.1.213.2.5"), quoted("X^^1.2.3")]}, ""),
        # From is included, To is not, and a precision is what it is.
        (ANY, {"CreationTimeFrom": "20240501100000"}, "EC"),
        (ANY, {"CreationTimeFrom": "20240501100001"}, "E"),
        (ANY, {"CreationTimeTo": "20240501100000"}, "BA"),
        (ANY, {"CreationTimeTo": "20240501100001"}, "CBA"),
        (ANY, {"CreationTimeFrom": "202404", "CreationTimeTo": "202405"}, "B"),
        (ANY, {"CreationTimeFrom": "2024", "CreationTimeTo": "2025"}, "ECBA"),
        (ANY, {"CreationTimeFrom": "0001", "CreationTimeTo": "9998"}, "ECBA"),
        (ANY, {"CreationTimeFrom": "0000", "CreationTimeTo": "99991231235959"}, "ECBA"),
        (ANY, {"CreationTimeFrom": "20240401000001", "CreationTimeTo": "20240402"}, ""),
        (ANY, {"CreationTimeTo": "20240501100060"}, "CBA"),
        (ANY, {"CreationTimeFrom": "'20240501120000+0200'"}, "EC"),
        (ANY, {"ServiceStartTimeFrom": "20240329", "ServiceStartTimeTo": "20240330"}, "B"),
        (ANY, {"ServiceStopTimeFrom": "20240330"}, "B"),
        (ANY, {"ServiceStopTimeTo": "20240330"}, ""),
        (ANY, {"AuthorPerson": quoted("%KERGOAT%")}, "CA"),
        (ANY, {"AuthorPerson": quoted("%o'neill-test%")}, "B"),
        (ANY, {"AuthorPerson": quoted("899900000001^%", "%^Second^_")}, "B"),
        (ANY, {"AuthorPerson": quoted("%APPLI-TEST^Zo_%")}, "E"),
        (ANY, {"AuthorPerson": quoted("KERGOAT")}, ""),
        (ANY, {"Type": quoted("urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1")}, "ECBA"),
        (ANY, {"Type": quoted("urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248")}, ""),
        (ANY, {"DocumentAvailability": quoted("urn:ihe:iti:2010:DocumentAvailability:Offline")}, ""),
        (ANY, {"ReferenceIdList": quoted(REFERENCES[0])}, "B"),
        (ANY, {"ReferenceIdList": quoted("X", "VENUE-7^^^&1.2.250.1.999.35.3&ISO")}, "B"),
        (ANY, {"ReferenceIdList": [quoted(REFERENCES[0]), quoted(REFERENCES[1])]}, "B"),
        (ANY, {"ReferenceIdList": [quoted(REFERENCES[0]), quoted("VENUE-8")]}, ""),
        (ANY, {"PatientId": quoted(s.cx("188017799999934"))}, ""),
    ],
)
def test_find_documents(stocked: Live, statuses: tuple[str, ...], more: Parameters, expected: str) -> None:
    answer = find(stocked, statuses, **more)
    assert status(answer) == "Success", answer.codes
    assert "".join(titles(answer)) == expected


@pytest.mark.parametrize(
    ("statuses", "more", "criteria"),
    [
        ((s.APPROVED,), {}, {"status": "current", "isArchived": "false"}),
        ((s.DEPRECATED,), {}, {"status": "superseded", "isArchived": "false"}),
        ((s.ARCHIVED,), {}, {"isArchived": "true"}),
        (ANY, {}, {"status": "current,superseded"}),
        (
            ANY,
            {"TypeCode": quoted("11488-4^^2.16.840.1.113883.6.1")},
            {"type": "http://loinc.org|11488-4"},
        ),
        (
            ANY,
            {"ConfidentialityCode": quoted("MASQUE_PS^^1.2.250.1.213.1.1.4.13")},
            {"security-label": "MASQUE_PS"},
        ),
        (ANY, {"EventCodeList": quoted("ABCD002^^1.2.250.1.213.2.5")}, {"event": "ABCD002"}),
        (ANY, {"ServiceStartTimeFrom": "20240320"}, {"period-start": "ge2024-03-20T00:00:00Z"}),
        (ANY, {"ServiceStartTimeTo": "20240320"}, {"period-start": "lt2024-03-20T00:00:00Z"}),
    ],
)
def test_what_is_found_is_what_the_fhir_api_finds(
    stocked: Live, statuses: tuple[str, ...], more: dict[str, str], criteria: dict[str, str]
) -> None:
    answer = find(stocked, statuses, **more)
    params = {"patient.identifier": f"urn:oid:{s.INS_OID}|{INS}", "status": "current,superseded", **criteria}
    bundle = httpx2.get(f"{stocked.base_url}/DocumentReference", params=params).json()
    found = [e["resource"]["content"][0]["attachment"]["title"] for e in bundle["entry"]]
    assert sorted(titles(answer)) == sorted(found) != []


def test_attributes_are_told_as_they_were_sent(stocked: Live) -> None:
    [node] = find(stocked, (s.ARCHIVED,)).all("ExtrinsicObject")
    assert (node.get("id"), node.get("lid"), node.get("mimeType")) == (B, B, "text/plain")
    assert node.get("status") == s.ARCHIVED
    assert [v.get("versionName") for v in node.findall("{*}VersionInfo")] == ["1"]
    assert name_of(node) == "B"
    expected = {
        "creationTime": ["20240401"],
        "languageCode": ["fr-FR"],
        "serviceStartTime": ["20240329"],
        "serviceStopTime": ["20240330"],
        "size": ["2"],
        "hash": ["71c9db717578b9ee49a59e69375c16c0627dffef"],
        "sourcePatientId": ["IPP-0042^^^&1.2.250.1.999.35.1&ISO^PI"],
        "sourcePatientInfo": INFO,
        "urn:ihe:iti:xds:2013:referenceIdList": sorted(REFERENCES),
        "urn:example:site": ["batiment 3", "étage 2"],
        "legalAuthenticator": [f"{INS}^LEROUX-TEST^CAMILLE^^^^^^&{s.INS_OID}&ISO^D^^^NH"],
        "repositoryUniqueId": [stocked.settings.xds_repository_id],
    }
    assert {name: sorted(slot(node, name)) for name in expected} == {
        n: sorted(v) for n, v in expected.items()
    }
    assert slot(node, "URI") == []
    for kind, listed in {**s.CODES, **SYNTHESIS}.items():
        assert codes(node, kind) == [code for code, _, _ in listed], kind
    [author] = [c for c in node.findall("{*}Classification") if not c.get("nodeRepresentation")]
    assert {name: slot(author, name) for name in OTHER_AUTHOR} == OTHER_AUTHOR
    values = {e.get("identificationScheme"): e.get("value") for e in node.findall("{*}ExternalIdentifier")}
    assert values["urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"] == f"{ROOT}.2^B"
    assert values["urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"] == s.cx(INS)
    ids = [part.get("id", "") for part in node.iter() if part.get("id")]
    assert len(set(ids)) == len(ids)
    assert all(id.startswith("urn:uuid:") for id in ids)


def test_a_document_of_an_app_has_what_xds_requires(stocked: Live) -> None:
    node = find(stocked).all("ExtrinsicObject")[0]
    for kind in ("class", "type", "format", "label", "facility", "setting"):
        assert len(codes(node, kind)) == 1, kind
    for name in ("creationTime", "hash", "size", "languageCode", "sourcePatientId", "repositoryUniqueId"):
        assert len(slot(node, name)) == 1, name
    assert slot(node, "size") == ["1"]
    assert codes(node, "label") == ["N"]
    again = ask(stocked.origin, "GetDocuments", {"$XDSDocumentEntryEntryUUID": quoted(node.get("id", ""))})
    assert titles(again) == ["E"]
    unique = node.findall("{*}ExternalIdentifier")[1].get("value", "")
    assert titles(ask(stocked.origin, "GetDocuments", {"$XDSDocumentEntryUniqueId": quoted(unique)})) == ["E"]


def test_a_patient_without_an_oid_is_named_by_the_id_here(stocked: Live) -> None:
    cx = f"anonymous^^^&{stocked.settings.xds_source_id}&ISO"
    answer = find(stocked, PatientId=quoted(cx))
    assert titles(answer) == ["F"]
    assert answer.values("ExternalIdentifier", "value")[0] == cx


def test_object_refs(stocked: Live) -> None:
    parameters = {"$XDSDocumentEntryPatientId": WHO, "$XDSDocumentEntryStatus": quoted(s.APPROVED)}
    answer = ask(stocked.origin, "FindDocuments", parameters, "ObjectRef")
    assert answer.values("ObjectRef", "id")[1:] == [C]
    assert answer.all("ExtrinsicObject") == []
    assert titles(ask(stocked.origin, "GetDocuments", {"$XDSDocumentEntryEntryUUID": quoted(C)})) == ["C"]
