"""Whether an assertion is signed by somebody who is trusted here. XML Signature, SAML 2.0 Core 5"""

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from lxml import etree
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from fhirserver.settings import SettingsError
from mappings.cda.xml import Node
from mappings.xds.soap.faults import WSSE, Fault

_DS: Final = "{http://www.w3.org/2000/09/xmldsig#}"
_CERTIFICATES: Final = f"{_DS}Signature/{_DS}KeyInfo/{_DS}X509Data/{_DS}X509Certificate"
_SETTING: Final = "FHIRSERVER_XDS_ASSERTION_CERTIFICATES"
LONGEST_CHAIN: Final = 5
_EXPECTED: Final = SignatureConfiguration(location="./", expect_references=1)
"""One reference, in the signature that is a child of the assertion itself; nothing with SHA-1."""


def load(path: Path | None) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM file, or of all files in a directory.

    Raises:
        SettingsError: a file cannot be read or is no PEM, or there is none.
    """
    if path is None:
        return ()
    found: list[x509.Certificate] = []
    try:
        for file in sorted(f for f in path.iterdir() if f.is_file()) if path.is_dir() else [path]:
            found += _certificates(file)
    except OSError as error:
        raise SettingsError(f"{_SETTING}: {error.filename}: {error.strerror}") from None
    if not found:
        raise SettingsError(f"{_SETTING}: there are no certificates in {path}")
    return tuple(found)


def _certificates(file: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        raise SettingsError(f"{_SETTING}: {file} has no certificates in PEM") from None


def verified(assertion: Node, trusted: Sequence[x509.Certificate]) -> Node:
    """The assertion as it was signed: what is used must be what is verified.

    Raises:
        Fault: it is not signed, not by somebody trusted, or was changed.
    """
    chain = _chain(assertion)
    _check_trust(chain, trusted, datetime.now(UTC))
    try:
        # By itself: nothing around it can be taken for it, and its signature covers it or nothing.
        result = XMLVerifier().verify(
            etree.tostring(assertion, with_tail=False), x509_cert=chain[0], expect_config=_EXPECTED
        )
    except (SignXMLException, InvalidSignature, ValueError, etree.LxmlError):
        raise Fault("Sender", "The signature of the assertion is not valid", (WSSE, "FailedCheck")) from None
    signed = result.signed_xml if isinstance(result, VerifyResult) else None
    if signed is None or signed.tag != assertion.tag or signed.get("ID") != assertion.get("ID"):
        text = "The signature in the assertion is of something else"
        raise Fault("Sender", text, (WSSE, "FailedCheck"))
    return signed


def _chain(assertion: Node) -> list[x509.Certificate]:
    """The signer's certificate, and those that came with it."""
    if assertion.find(f"{_DS}Signature") is None:
        raise Fault("Sender", "The assertion is not signed", (WSSE, "InvalidSecurityToken"))
    texts = [node.text or "" for node in assertion.findall(_CERTIFICATES)]
    if not 0 < len(texts) <= LONGEST_CHAIN:
        text = f"The signature comes with {len(texts)} certificates; 1 to {LONGEST_CHAIN} are needed"
        raise Fault("Sender", text, (WSSE, "InvalidSecurityToken"))
    try:
        return [x509.load_der_x509_certificate(base64.b64decode("".join(t.split()))) for t in texts]
    except (ValueError, binascii.Error):
        text = "A certificate of the signature cannot be read"
        raise Fault("Sender", text, (WSSE, "InvalidSecurityToken")) from None


def _check_trust(chain: list[x509.Certificate], trusted: Sequence[x509.Certificate], now: datetime) -> None:
    """Raises Fault: the first certificate is not trusted itself, and nobody trusted has issued it."""
    current, *others = chain
    for _ in range(LONGEST_CHAIN):
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            break
        if current in trusted:
            return
        if any(_issued(current, issuer, now) for issuer in trusted):
            return
        issuer = next((other for other in others if _issued(current, other, now)), None)
        if issuer is None:
            break
        current = issuer
    text = "Nobody who is trusted here vouches for the signer of the assertion"
    raise Fault("Sender", text, (WSSE, "FailedAuthentication"))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
    """Whether an authority, valid now, has issued a certificate."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca or not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, TypeError, ValueError):
        return False
    return True
