"""What messages become beyond the cases: refusals, identity, keys, settings of the source."""

import base64
from pathlib import Path
from typing import Any

import pytest

from mappings.core.result import Held, Mapped, NoMapping
from mappings.core.source import Source
from mappings.hl7v2 import EVENTS, condition, read, to_bundle

INS = "285076311304226^^^&1.2.250.1.213.1.4.10&ISO^INS"
WRONG, DEMO = "285076311304227", "1.2.250.1.213.1.4.11"
UUID = "8a3f9c1e-0000-4000-8000-00000000000a"
PID = "PID|1||7^^^CHU^PI||ROUX^ANNE||19850706|F"
PDF = base64.b64encode(b"%PDF-1.4 ...").decode()
CDA = Path(__file__).parents[2] / "cases" / "cda" / "allergies" / "document.xml"


def mapped(event: str, *segments: str, source: Source | None = None, msh: str = "") -> Mapped:
    source = source or Source()
    lines = (f"MSH|^~\\&|GAM|CHU|DPI|CHU|20240318101500||{event}|M-1|P|2.5{msh}", *segments)
    return to_bundle(read("\r".join(lines).encode(), source), source)


def resources(result: Mapped, kind: str) -> list[dict[str, Any]]:
    found = (entry["resource"] for entry in result.bundle["entry"])
    return [resource for resource in found if resource["resourceType"] == kind]


def request(result: Mapped, kind: str) -> list[dict[str, str]]:
    return [e["request"] for e in result.bundle["entry"] if e["resource"]["resourceType"] == kind]


def identifiers(result: Mapped, kind: str) -> list[str]:
    return [resource["identifier"][0]["value"] for resource in resources(result, kind)]


def pid(identifiers: str, reliability: str = "") -> str:
    return f"PID|1||{identifiers}||ROUX^ANNE|{'|' * 26}{reliability}"


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ("ADT^A99", "201"),
        ("ORU^R99", "201"),
        ("MDM^T12", "201"),
        ("SIU^S25", "201"),
        ("DFT^P03", "200"),
        ("ACK", "200"),
        ("", "200"),
    ],
)
def test_no_mapping(event: str, code: str) -> None:
    with pytest.raises(NoMapping, match=event.replace("^", r"\^") or "without MSH-9") as refused:
        mapped(event, PID)
    assert [condition(issue) for issue in refused.value.issues] == [code]


@pytest.mark.parametrize("event", [event for event in EVENTS if not event.startswith("ZAM")])
def test_without_a_patient_a_message_is_held(event: str) -> None:
    with pytest.raises(Held, match="no patient") as held:
        mapped(event, "PV1|1|I", "OBX|1|ST|x||y")
    assert held.value.issues[0].location == "PID"


def test_a_fragment_is_held() -> None:
    with pytest.raises(Held, match="goes on") as held:
        mapped("ADT^A08", PID, "DSC|P-7|F")
    assert held.value.issues[0].location == "DSC-1"


def test_the_other_part_is_held_too() -> None:
    with pytest.raises(Held, match="continues another one") as held:
        mapped("ORU^R01", "ADD|rest", "OBX|1|ST|x||y||||||F", msh="||P-7")
    assert held.value.issues[0].location == "MSH-14"


def test_a_continuation_pointer_alone_holds_nothing() -> None:
    result = mapped("ADT^A08", PID, "DSC|P-7|I", msh="||P-6")
    assert resources(result, "Patient")
    assert "MSH-14" in result.unread


@pytest.mark.parametrize(
    ("segments", "text", "location"),
    [
        ([PID], "no TXA", "TXA"),
        ([PID, "TXA|1|CN"], "no content", "OBX-5"),
        ([PID, "TXA|1|CN", "OBX|1|TX|x||"], "no content", "OBX-5"),
        ([PID, "TXA|1|CN", "OBX|1|ST|x||a", "OBX|2|ED|x||^AP^PDF^Base64^%%%"], "Not base64", "OBX[2]-5.5"),
        ([PID, "TXA|1|CN", "OBX|1|ED|x||^AP^PDF^Base64^A"], "Not base64", "OBX-5.5"),
        ([PID, "TXA|1|CN", "OBX|1|ED|x||^AP^PDF^Hex^0G"], "Not hexadecimal", "OBX-5.5"),
        ([PID, "TXA|1|CN", "OBX|1|ED|x||^AP^PDF^Base64"], "is empty", "OBX-5.5"),
        ([PID, "TXA|1|CN", "OBX|1|ED|x||^text^x-hl7-cda-level-one^A^rien"], "is none", "OBX-5.5"),
        ([PID, "TXA|1|CN", "OBX|1|ED|x||^text^XML^A^<ClinicalDocument>"], "cannot be read", "OBX-5.5"),
    ],
)
def test_a_document_that_cannot_be_had_is_held(segments: list[str], text: str, location: str) -> None:
    with pytest.raises(Held, match=text) as held:
        mapped("MDM^T02", *segments)
    assert held.value.issues[0].location == location


@pytest.mark.parametrize(
    ("identifiers", "reliability", "key"),
    [
        (f"7^^^CHU^PI~{INS}", "VALI", "urn:oid:1.2.250.1.213.1.4.10|285076311304226"),
        (f"7^^^CHU^PI~{INS}", "PROV", "urn:x-hl7v2:default:CHU|7"),
        (f"7^^^CHU^PI~{INS}", "", "urn:x-hl7v2:default:CHU|7"),
        # A wrong key: on a test OID only a warning, on a real one the number does not count.
        (f"7^^^CHU^PI~{WRONG}^^^&{DEMO}&ISO^INS", "VALI", f"urn:oid:{DEMO}|{WRONG}"),
        (f"7^^^CHU^PI~{WRONG}^^^&1.2.250.1.213.1.4.8&ISO^INS", "VALI", "urn:x-hl7v2:default:CHU|7"),
        # NH under the INS's OID is the number used for billing.
        ("285076311304226^^^&1.2.250.1.213.1.4.8&ISO^NH~7^^^CHU^PI", "VALI", "urn:x-hl7v2:default:CHU|7"),
        ("A1^^^CHU^AN~7^^^CHU^MR", "", "urn:x-hl7v2:default:CHU|7"),
        ("7~8^^^CHU^PI", "", "urn:x-hl7v2:default:CHU|8"),
        ("6^^^CHU^PI^^20200101~8^^^CHU^PI", "", "urn:x-hl7v2:default:CHU|6"),
        ("6^^^CHU^PI^^20200101^20210101~8^^^CHU^PI", "", "urn:x-hl7v2:default:CHU|8"),
        ("7^^^CHU&urn:x:ids&URI^PI", "", "urn:x:ids|7"),
        (f"7^^^CHU&{UUID.upper()}&UUID^PI", "", f"urn:uuid:{UUID}|7"),
        ("7^^^r2.3&r2.3&ISO^PI", "", "urn:x-hl7v2:default:r2.3|7"),
        ("007^^^H&L", "", "urn:x-hl7v2:default:H%26L|007"),
    ],
)
def test_who_the_patient_is(identifiers: str, reliability: str, key: str) -> None:
    if "H&L" in identifiers:
        identifiers = identifiers.replace("&", "\\T\\")
    assert mapped("ADT^A31", pid(identifiers, reliability)).patient == key


def test_only_an_ins_that_does_not_count_identifies_nobody() -> None:
    with pytest.raises(Held, match="who the patient is"):
        mapped("ADT^A31", pid(INS, "PROV"))


def test_an_ins_that_does_not_count_is_not_kept() -> None:
    result = mapped("ADT^A31", pid(f"7^^^CHU^PI~{INS}", "DOUT"))
    assert identifiers(result, "Patient") == ["7"]
    assert [issue.code for issue in result.issues] == ["business-rule"]


def test_authorities_of_the_source() -> None:
    source = Source("chu", authorities={"CHU": "https://chu.example/ipp", "": "https://chu.example/other"})
    result = mapped("ADT^A31", "PID|1||7^^^CHU^PI~8||ROUX", source=source)
    systems = [i["system"] for i in resources(result, "Patient")[0]["identifier"]]
    assert systems == ["https://chu.example/ipp", "https://chu.example/other"]


@pytest.mark.parametrize(
    ("event", "demographics", "method"),
    [
        ("ADT^A08", False, "PUT"),
        ("VXU^V04", False, "PUT"),
        ("ORU^R01", False, "POST"),
        ("ORU^R01", True, "PUT"),
        ("MDM^T02", False, "POST"),
        ("MDM^T02", True, "PUT"),
    ],
)
def test_who_may_change_a_patient(event: str, demographics: bool, method: str) -> None:
    source = Source(demographics=demographics)
    result = mapped(event, PID, "TXA|1|CN", "OBX|1|TX|x||y", source=source)
    (made,) = request(result, "Patient")
    assert made["method"] == method
    assert ("ifNoneExist" in made) is (method == "POST")


def test_a_clinical_message_clears_nothing_of_the_patient() -> None:
    result = mapped("ORU^R01", 'PID|1||7^^^CHU^PI||ROUX||""|F')
    assert result.cleared == {}


def test_the_same_message_gives_the_same_bundle() -> None:
    segments = (PID, "OBR|1||F-1|X^x^L", "OBX|1|NM|2345-7^^LN||5", f"OBX|2|ED|y||^AP^PDF^Base64^{PDF}")
    assert mapped("ORU^R01", *segments).bundle == mapped("ORU^R01", *segments).bundle


def test_sources_do_not_share_derived_keys() -> None:
    segments = (PID, "OBR|1||F-1^^1.2.3.4^ISO|X^x^L", "OBX|1|NM|2345-7^^LN||5")
    one, other = (mapped("ORU^R01", *segments, source=Source(name)) for name in ("a", "b"))
    assert identifiers(one, "Observation") != identifiers(other, "Observation")


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("OBX|1|NM|2345-7^^LN||5", "OBX|7|NM|2345-7^^LN||6||||||C", True),
        ("OBX|1|NM|2345-7^^LN||5", "OBX|1|NM|2160-0^^LN||5", False),
        ("OBX|1|NM|2345-7^^LN|1|5", "OBX|1|NM|2345-7^^LN|2|5", False),
    ],
)
def test_what_an_observation_is_the_same_by(first: str, second: str, same: bool) -> None:
    one, other = (mapped("ORU^R01", PID, "OBR|1||F-1^LABO|X^x^L", obx) for obx in (first, second))
    assert (identifiers(one, "Observation") == identifiers(other, "Observation")) is same


@pytest.mark.parametrize(
    ("lines", "text"),
    [(["", "un"], "un"), (["un", "", "deux"], "un\n\ndeux"), (["", ""], None), (["un", ""], "un")],
)
def test_lines_of_text_are_one_value(lines: list[str], text: str | None) -> None:
    segments = [f"OBX|{n}|TX|8251-1^^LN||{line}||||||F" for n, line in enumerate(lines, 1)]
    (observation,) = resources(mapped("ORU^R01", PID, "OBR|1||F-1|X^x^L", *segments), "Observation")
    assert observation.get("valueString") == text
    assert ("dataAbsentReason" in observation) is (text is None)


def test_results_of_two_orders_stay_apart() -> None:
    result = mapped(
        "ORU^R01",
        PID,
        *("ORC|RE||F-1^LABO", "OBR|1||F-1^LABO|A^a^L", "OBX|1|NM|2345-7^^LN||5"),
        *("ORC|RE||F-1^LABO", "OBR|2||F-1^LABO|B^b^L", "OBX|1|NM|2345-7^^LN||6"),
        *("ORC|RE||F-1^LABO", "OBR|3||F-1^LABO|B^b^L", "OBX|1|NM|2345-7^^LN||7"),
    )
    assert len(set(identifiers(result, "DiagnosticReport"))) == 3
    assert len(set(identifiers(result, "Observation"))) == 3
    assert [len(report["result"]) for report in resources(result, "DiagnosticReport")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("first", "second", "doses"),
    [
        ("I-1|20240318|03", "I-2|20240318|03", 2),
        ("I-1|20240318|03", "I-1|20240318|03", 1),
        ("I-1|20240318|03", "I-1|20240318|88", 2),
        ("I-1|20240318|03", "I-1|20140318|03", 2),
        ("9999|20240318|03", "9999|20240318|88", 2),
        ("9999|20240318|03", "9999|20240318|03", 1),
    ],
)
def test_no_dose_is_lost(first: str, second: str, doses: int) -> None:
    segments = []
    for number, date, vaccine in (dose.split("|") for dose in (first, second)):
        segments += [f"ORC|RE||{number}^EHR", f"RXA|0|1|{date}||{vaccine}^x^CVX|999{'|' * 14}CP"]
    result = mapped("VXU^V04", PID, *segments)
    found = resources(result, "Immunization")
    assert len(found) == doses
    assert len({i["value"] for dose in found for i in dose["identifier"]}) == doses


@pytest.mark.parametrize(
    ("profile", "pids", "text"),
    [("Z31^CDCPHINVS", [PID, PID], "names 2 patients"), ("Z42^CDCPHINVS", [PID], "no vaccination history")],
)
def test_an_answer_that_is_no_history_is_held(profile: str, pids: list[str], text: str) -> None:
    with pytest.raises(Held, match=text):
        mapped("RSP^K11", "MSA|AA|1", "QAK|1|OK", *pids, msh=f"|||||||||{profile}")


def test_the_same_allergy_twice_is_one_and_said() -> None:
    result = mapped("ADT^A08", PID, "AL1|1|DA|^Iode|SV", "AL1|2|DA|^ iode |MI")
    assert [allergy["criticality"] for allergy in resources(result, "AllergyIntolerance")] == ["high"]
    assert [issue.code for issue in result.issues] == ["duplicate"]


def test_an_allergy_to_nothing_is_left_out() -> None:
    result = mapped("ADT^A08", PID, 'AL1|1|DA|""')
    assert resources(result, "AllergyIntolerance") == []
    assert [issue.location for issue in result.issues] == ["AL1-3"]


def test_a_document_of_another_person_is_held() -> None:
    document = base64.b64encode(CDA.read_bytes()).decode()
    with pytest.raises(Held, match="904"):
        mapped("MDM^T02", pid(INS, "VALI"), "TXA|1|CN", f"OBX|1|ED|x||^text^XML^Base64^{document}")
    # An INS that does not count as the patient's identity still contradicts.
    with pytest.raises(Held, match="904"):
        mapped("MDM^T02", pid(f"7^^^CHU~{INS}"), "TXA|1|CN", f"OBX|1|ED|x||^text^XML^Base64^{document}")


def test_the_coded_content_of_a_cda_comes_along() -> None:
    document = base64.b64encode(CDA.read_bytes()).decode()
    result = mapped(
        "ORU^R01", PID, "OBR|1||F-1|11502-2^^LN", f"OBX|1|ED|11502-2^^LN||^text^XML^Base64^{document}||||||F"
    )
    patient = result.bundle["entry"][0]["fullUrl"]
    allergies = resources(result, "AllergyIntolerance")
    assert allergies
    assert {allergy["patient"]["reference"] for allergy in allergies} == {patient}
    (reference,) = resources(result, "DocumentReference")
    assert reference["masterIdentifier"]["value"].startswith("urn:oid:")


def test_the_content_of_a_deleted_document_is_not_taken() -> None:
    document = base64.b64encode(CDA.read_bytes()).decode()
    result = mapped(
        "ORU^R01", PID, "OBR|1||F-1|11502-2^^LN", f"OBX|1|ED|11502-2^^LN||^text^XML^Base64^{document}||||||D"
    )
    assert [d["status"] for d in resources(result, "DocumentReference")] == ["entered-in-error"]
    assert resources(result, "AllergyIntolerance") == []


@pytest.mark.parametrize(
    ("answers", "codes", "cleared"),
    [
        (["MASQUE_PS|N"], [], True),
        (["MASQUE_PS|Y", "INVISIBLE_PATIENT|N"], ["MASQUE_PS"], False),
        (["INVISIBLE_PATIENT|?"], ["INVISIBLE_PATIENT"], False),  # unclear: the stricter reading
        (["CONNEXION_SECRETE|Y"], ["INVISIBLE_REPRESENTANTS_LEGAUX"], False),
        ([], [], False),
    ],
)
def test_visibility(answers: list[str], codes: list[str], cleared: bool) -> None:
    asked = (a.partition("|") for a in answers)
    metadata = [f"OBX|9|CE|{name}^x^MetaDMPMSS||{answer}^^YN||||||F" for name, _, answer in asked]
    result = mapped("MDM^T02", PID, "TXA|1|CN|||||||||||D-1", "OBX|1|TX|x||y", *metadata)
    (entry,) = [e for e in result.bundle["entry"] if e["resource"]["resourceType"] == "DocumentReference"]
    labels = entry["resource"].get("securityLabel", [])
    assert [label["coding"][0]["code"] for label in labels] == codes
    assert ("securityLabel" in result.cleared[entry["fullUrl"]]) is cleared
    assert resources(result, "Observation") == []


@pytest.mark.parametrize(
    ("value", "units", "expected"),
    [
        ("5.10", "mmol/L^^UCUM", "5.10 mmol/L"),
        ("5,10", "mmol/L", "5.10 mmol/L"),
        ("+007", "", "7"),
        ("-0.5", "", "-0.5"),
        (".5", "", "0.5"),
        ("5.", "", "5"),
        ("<= 3", "g", "<=3 g"),
        ("1e3", "", "1E+3"),
    ],
)
def test_numbers_keep_their_digits(value: str, units: str, expected: str) -> None:
    (observation,) = resources(mapped("ADT^A01", PID, f"OBX|1|NM|x||{value}|{units}"), "Observation")
    found = observation["valueQuantity"]
    assert f"{found.get('comparator', '')}{found['value']} {found.get('unit', '')}".strip() == expected


@pytest.mark.parametrize("value", ["neg", "1.2.3", "5 à 6", "--5", "1e9999", "٥"])
def test_a_number_that_is_none_stays_text(value: str) -> None:
    result = mapped("ADT^A01", PID, f"OBX|1|NM|x||{value}")
    assert [o["valueString"] for o in resources(result, "Observation")] == [value]
    assert len(result.issues) == 1


def test_provenance_is_of_all_entries_and_of_the_messages_time() -> None:
    result = mapped("ADT^A01", PID, "AL1|1|DA|^Iode")
    (provenance,) = resources(result, "Provenance")
    assert {t["reference"] for t in provenance["target"]} == {
        e["fullUrl"] for e in result.bundle["entry"] if e["resource"] is not provenance
    }
    assert provenance["recorded"] == "2024-03-18T10:15:00+01:00"


def test_who_entered_and_verified_orders_is_in_provenance() -> None:
    orc = "ORC|NW|P-{}^DPI||||||||77^SAISIE^Eve|78^CONTROLE^Luc"
    segments = [part for n in (1, 2) for part in (orc.format(n), f"OBR|1|P-{n}^DPI||630-4^^LN")]
    result = mapped("ORM^O01", PID, *segments)
    (provenance,) = resources(result, "Provenance")
    kinds = [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]]
    assert kinds == ["author", "enterer", "verifier", "assembler"]
    assert {t["reference"] for t in provenance["target"]} == {
        e["fullUrl"] for e in result.bundle["entry"] if e["resource"] is not provenance
    }


def test_a_message_without_any_time_has_no_recorded_time() -> None:
    lines = "MSH|^~\\&|A|B|C|D|||ADT^A08|1|P|2.5", PID
    result = to_bundle(read("\r".join(lines).encode(), Source()), Source())
    (provenance,) = resources(result, "Provenance")
    assert "recorded" not in provenance
    assert provenance["_recorded"]["extension"][0]["valueCode"] == "unknown"


def test_times_without_an_offset_are_in_that_of_msh_7() -> None:
    lines = "MSH|^~\\&|A|B|C|D|20240318101500-0300||ADT^A08|1|P|2.5", "EVN||20240318101000", PID
    result = to_bundle(read("\r".join(lines).encode(), Source()), Source())
    assert resources(result, "Provenance")[0]["recorded"] == "2024-03-18T10:10:00-03:00"
