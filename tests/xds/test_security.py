"""Assertions over the wire: which are taken, which are refused and why, what is done with what they say."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lxml import etree

from fhirserver.settings import Settings, SettingsError
from fhirserver.xds import signatures
from tests.live import Live, free_port, serve
from tests.xds.assertions import SAML, WSSE, Signer, assertion, header, signed, signer
from tests.xds.messages import RETRIEVE, Answer, envelope, post
from tests.xds.registry import QUERY, quoted, request
from tests.xds.submissions import XDSB, Entry, Submission, number

AUTHORITY = signer("Authority (test)", ca=True)
BETWEEN = signer("Intermediate (test)", AUTHORITY, ca=True)
PINNED = signer("Pinned (test)")
STRANGER = signer("Stranger (test)", signer("Other authority (test)", ca=True))


@pytest.fixture(scope="module")
def strict(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server that requires assertions."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "authority.pem").write_bytes(AUTHORITY.pem)
    (folder / "pinned.pem").write_bytes(PINNED.pem)
    settings = make_settings(
        http_port=free_port(),
        xds_assertions="require",
        xds_assertion_certificates=folder,
        xds_assertion_audience="urn:test",
    )
    with serve(settings) as live:
        yield live


@pytest.fixture(scope="module")
def warning(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """A server that says what it would refuse."""
    file = tmp_path_factory.mktemp("certificate") / "authority.pem"
    file.write_bytes(AUTHORITY.pem)
    settings = make_settings(http_port=free_port(), xds_assertions="warn", xds_assertion_certificates=file)
    with serve(settings) as live:
        yield live


def send(live: Live, *nodes: etree._Element, submission: Submission | None = None) -> Answer:
    body, content_type = (submission or Submission()).mtom(header(*nodes))
    return post(f"{live.origin}/xds/repository", body, content_type)


@pytest.mark.parametrize(
    "by",
    [
        signer("Software (test)", AUTHORITY),
        signer("Software of a unit (test)", BETWEEN),
        PINNED,
    ],
    ids=lambda by: by.certificate.subject.rfc4514_string(),
)
def test_a_signer_that_is_vouched_for(strict: Live, by: Signer) -> None:
    assert send(strict, signed(assertion(), by)).registry_status == "Success"


def _changed() -> etree._Element:
    node = signed(assertion(), PINNED)
    node.findall(f".//{{{SAML}}}NameID")[0].text = "899900000000"
    return node


def _wrapped() -> etree._Element:
    """Signature wrapping: the signed assertion is moved into another one, which is not signed."""
    outer, inner = assertion("_evil"), signed(assertion(), PINNED)
    signature = inner.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    extensions = etree.SubElement(outer, "Extensions")
    extensions.append(inner)
    outer.insert(1, signature)
    return outer


def _signature_of_a_part() -> etree._Element:
    """The reference points at an element inside, which is signed; the rest is anybody's."""
    inner = etree.SubElement(assertion("_evil"), "Part", ID="_part")
    made = signed(inner, PINNED)
    outer = assertion("_evil")
    signature = made.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    assert signature is not None
    outer.append(made)
    outer.append(signature)
    return outer


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (None, "SecurityTokenUnavailable"),
        (assertion(), "InvalidSecurityToken"),
        (signed(assertion(), STRANGER), "FailedAuthentication"),
        (signed(assertion(), signer("Alone (test)")), "FailedAuthentication"),
        (signed(assertion(), signer("No authority (test)", PINNED)), "FailedAuthentication"),
        (signed(assertion(), signer("Former (test)", AUTHORITY, days=-1)), "FailedAuthentication"),
        (signed(assertion(minutes=-5), PINNED), "InvalidSecurityToken"),
        (_changed(), "FailedCheck"),
        (_wrapped(), "InvalidSecurityToken"),
        (_signature_of_a_part(), "FailedCheck"),
    ],
)
def test_what_cannot_be_relied_on(strict: Live, node: etree._Element | None, code: str) -> None:
    before = httpx2.get(f"{strict.origin}/admin/inbox").json()["items"]
    answer = send(strict, *([] if node is None else [node]))
    assert (answer.status, answer.fault) == (500, ["Sender", code])
    assert httpx2.get(f"{strict.origin}/admin/inbox").json()["items"] == before


OTHER = "223037505603429^^^&amp;1.2.250.1.213.1.4.10&amp;ISO^NH"
SAME = "285077505601284^^^&amp;1.2.250.1.213.1.4.8&amp;ISO^NH"


@pytest.mark.parametrize(("patient", "codes"), [(OTHER, ["XDSPatientIdDoesNotMatch"]), (SAME, [])])
def test_whose_record_the_assertion_is_about(strict: Live, patient: str, codes: list[str]) -> None:
    answer = send(strict, signed(assertion(), PINNED), submission=Submission(patient=patient))
    assert answer.codes == codes


@pytest.mark.parametrize("query", ["FindDocuments", "GetDocuments", "GetAssociations"])
@pytest.mark.parametrize(("patient", "codes"), [(OTHER, ["XDSPatientIdDoesNotMatch"]), (SAME, [])])
def test_whose_record_is_read(strict: Live, query: str, patient: str, codes: list[str]) -> None:
    uuid = f"urn:uuid:0d000000-0000-4000-8000-{number():0>12}"
    submission = Submission([Entry(id=uuid)], patient)
    about = {"285077505601284^^^&1.2.250.1.213.1.4.10&ISO^NH": patient.replace("&amp;", "&")}
    theirs = signed(assertion(texts=about), PINNED)
    assert send(strict, theirs, submission=submission).registry_status == "Success"
    parameters = {
        "FindDocuments": {
            "$XDSDocumentEntryPatientId": quoted(patient.replace("&amp;", "&")),
            "$XDSDocumentEntryStatus": quoted("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"),
        },
        "GetDocuments": {"$XDSDocumentEntryEntryUUID": quoted(uuid)},
        "GetAssociations": {"$uuid": quoted(uuid)},
    }[query]
    ours = header(signed(assertion(), PINNED))
    asked = post(f"{strict.origin}/xds/registry", envelope(QUERY, request(query, parameters), ours))
    assert asked.codes == codes
    assert (len(asked.all("RegistryObjectList")[0]) > 0) is not bool(codes)
    body = (
        f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}"><x:DocumentRequest><x:RepositoryUniqueId>'
        f"{strict.settings.xds_repository_id}</x:RepositoryUniqueId><x:DocumentUniqueId>"
        f"{submission.entries[0].unique_id}</x:DocumentUniqueId></x:DocumentRequest>"
        "</x:RetrieveDocumentSetRequest>"
    )
    got = post(f"{strict.origin}/xds/repository", envelope(RETRIEVE, body, ours))
    assert (got.codes, bool(got.parts)) == (codes, not codes)


def test_several_assertions(strict: Live) -> None:
    answer = send(strict, signed(assertion("_a1"), PINNED), assertion("_a2"))
    assert answer.fault == ["Sender", "InvalidSecurityToken"]


def test_two_security_headers(strict: Live) -> None:
    body, content_type = Submission().mtom(header(signed(assertion(), PINNED)) + header())
    answer = post(f"{strict.origin}/xds/repository", body, content_type)
    assert answer.fault == ["Sender", "InvalidSecurity"]


@pytest.mark.parametrize(
    ("node", "faults"),
    [
        (signed(assertion(), signer("Software (test)", AUTHORITY)), []),
        (assertion(), ["InvalidSecurityToken"]),
    ],
)
def test_what_would_be_refused_is_told(warning: Live, node: etree._Element, faults: list[str]) -> None:
    assert send(warning, node).registry_status == "Success"
    newest = httpx2.get(f"{warning.origin}/admin/inbox").json()["items"][0]
    told = [i["fault"] for i in newest["issues"] if i["location"] == "wsse:Security"]
    assert told == faults


def test_who_sent_it_and_what_for_is_in_the_provenance(live: Live, client: httpx2.Client) -> None:
    submission = Submission()
    assert send(live, assertion(), submission=submission).registry_status == "Success"
    unique_id = f"urn:ietf:rfc:3986|urn:oid:{submission.entries[0].unique_id}"
    found = client.get("DocumentReference", params={"identifier": unique_id}).json()["entry"][0]["resource"]
    bundle = client.get("Provenance", params={"target": f"DocumentReference/{found['id']}"}).json()
    (provenance,) = [entry["resource"] for entry in bundle["entry"]]
    assert provenance["reason"][0]["coding"][0]["code"] == "bris_de_glace"
    assert provenance["reason"][0]["text"] == "Patient inconscient"
    (agent,) = [
        a for a in provenance["agent"] if a.get("type", {}).get("coding", [{}])[0].get("code") == "enterer"
    ]
    assert [role["coding"][0]["code"] for role in agent["role"]] == ["10", "SM26"]
    role: dict[str, Any] = client.get(agent["who"]["reference"]).json()
    person = client.get(role["practitioner"]["reference"]).json()
    assert person["identifier"][0]["value"] == "899912345678"
    assert client.get(role["organization"]["reference"]).json()["identifier"][0]["value"] == "1350000099"


@pytest.mark.parametrize(
    "inside", [f'<a:Assertion xmlns:a="{SAML}" Version="1.1"/>', "<x/>", f'<y xmlns="{WSSE}">1</y>']
)
def test_without_a_policy_nothing_is_refused(live: Live, inside: str) -> None:
    assert send(live, etree.fromstring(inside)).registry_status == "Success"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("", "", "there are no certificates"),
        ("one.pem", "no certificate", "one.pem has no certificates in PEM"),
        ("gone/one.pem", "", "No such file"),
    ],
)
def test_certificates_that_cannot_be_read(tmp_path: Path, name: str, text: str, reason: str) -> None:
    if text:
        (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=reason):
        signatures.load(tmp_path / name)


def test_the_server_does_not_start_without_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fhirserver", "serve", "--http-port", "0", "--data-dir", str(tmp_path)]
    named = {"FHIRSERVER_XDS_ASSERTIONS": "require", "FHIRSERVER_XDS_ASSERTION_CERTIFICATES": str(tmp_path)}
    environment = os.environ | named
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr.startswith("FHIRSERVER_XDS_ASSERTION_CERTIFICATES: there are no certificates")
    assert "Traceback" not in ended.stderr
