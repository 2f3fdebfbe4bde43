"""What a submission says, ITI-18 tells again, and finds by it."""

import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import post
from tests.xds.registry import ask, quoted, slot, titles
from tests.xds.submissions import Submission, number

NAMED = "Connect-a-thon classCodes"
"""An affinity domain may name its coding schemes as it likes."""


@pytest.mark.parametrize("scheme", [NAMED, "École & Cie", "1.2.250.1.213.1.1.4.1"])
def test_a_coding_scheme_keeps_its_name(live: Live, scheme: str) -> None:
    submission = Submission()
    written = scheme.replace("&", "&amp;")
    body, content_type = submission.mtom()
    body = body.replace(b"<Value>1.2.250.1.213.1.1.4.1</Value>", f"<Value>{written}</Value>".encode())
    assert post(f"{live.origin}/xds/repository", body, content_type).registry_status == "Success"
    asked = {
        "$XDSDocumentEntryPatientId": quoted(submission.patient.replace("&amp;", "&")),
        "$XDSDocumentEntryStatus": quoted(s.APPROVED),
    }
    answer = ask(
        live.origin, "FindDocuments", asked | {"$XDSDocumentEntryClassCode": quoted(f"10^^{scheme}")}
    )
    [entry] = answer.all("ExtrinsicObject")
    [told] = [c for c in entry.findall("{*}Classification") if c.get("nodeRepresentation") == "10"]
    assert slot(told, "codingScheme") == [scheme]
    other = ask(live.origin, "FindDocuments", asked | {"$XDSDocumentEntryClassCode": quoted("10^^Other")})
    assert titles(other) == []


@pytest.mark.parametrize("sent", ["", "^PI", "^MR"])
def test_a_patient_id_has_no_type_but_at_the_source(live: Live, sent: str) -> None:
    authority = "^^^&amp;1.2.250.1.999.41.1&amp;ISO"
    submission = Submission(patient=f"T{number()}{authority}{sent}")
    assert submission.send(f"{live.origin}/xds/repository").registry_status == "Success"
    bare = submission.patient.replace("&amp;", "&").removesuffix(sent)
    answer = ask(
        live.origin,
        "FindDocuments",
        {"$XDSDocumentEntryPatientId": quoted(bare), "$XDSDocumentEntryStatus": quoted(s.APPROVED)},
    )
    [entry] = answer.all("ExtrinsicObject")
    assert answer.values("ExternalIdentifier", "value")[0] == bare
    assert slot(entry, "sourcePatientId") == [f"{bare}{sent}"]


@pytest.mark.parametrize("source", ["1.2.250.1.999.41", "129.6.58.92.1.1"])
def test_a_source_id_is_told_whatever_it_is(live: Live, source: str) -> None:
    submission = Submission()
    body, content_type = submission.mtom()
    body = body.replace(b'value="1.2.250.1.999.41"', f'value="{source}"'.encode())
    assert post(f"{live.origin}/xds/repository", body, content_type).registry_status == "Success"
    answer = ask(
        live.origin,
        "FindSubmissionSets",
        {
            "$XDSSubmissionSetPatientId": quoted(submission.patient.replace("&amp;", "&")),
            "$XDSSubmissionSetStatus": quoted(s.APPROVED),
            "$XDSSubmissionSetSourceId": quoted(source),
        },
    )
    assert source in answer.values("ExternalIdentifier", "value")
