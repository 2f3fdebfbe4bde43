"""Assertions as a hospital's software makes them (VIHF), and who signs them; all invented."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, SignatureMethod
from signxml.signer import XMLSigner

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_XSPA: Final = "urn:oasis:names:tc:xspa:1.0:subject:"
TEXTS: Final = {
    "VIHF_Version": "3.0",
    f"{_XSPA}subject-id": "KERGOAT-TEST Yann",
    f"{_XSPA}organization": "Cabinet des Tilleuls (test)",
    "Identifiant_Structure": "1350000099",
    "Secteur_Activite": "SA07^1.2.250.1.71.4.2.4",
    "urn:oasis:names:tc:xacml:2.0:resource:resource-id": "285077505601284^^^&1.2.250.1.213.1.4.10&ISO^NH",
    "Ressource_URN": "urn:dmp",
    "Mode_Acces_Raison": "Patient inconscient",
    "Authentification_mode": "Indirecte",
    "LPS_ID": "0123456789",
    "LPS_Nom": "Logiciel d'essai",
    "LPS_Version": "4.2",
    "LPS_ID_HOMOLOGATION_DMP": "LES-12",
}
ROLES: Final = (
    ("10", "1.2.250.1.71.1.2.7", "Médecin"),
    ("SM26", "1.2.250.1.71.4.2.5", "Qualifié en Médecine Générale (SM)"),
)


@dataclass(frozen=True)
class Signer:
    """A key with its certificate, issued by another signer or by itself."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = field(default=())

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def signer(name: str, issuer: Signer | None = None, *, ca: bool = False, days: int = 1) -> Signer:
    """A new signer; one of negative ``days`` is no longer valid."""
    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    begins, ends = now - timedelta(days=10), now + timedelta(days=days)
    builder = x509.CertificateBuilder(
        issuer.certificate.subject if issuer else own,
        own,
        key.public_key(),
        x509.random_serial_number(),
        begins,
        ends,
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Signer(key, certificate, (issuer.certificate, *issuer.chain) if issuer else ())


def assertion(
    id: str = "_a1",
    *,
    minutes: int = 240,
    purpose: str = "bris_de_glace",
    texts: Mapping[str, str] | None = None,
) -> etree._Element:
    """An unsigned assertion, valid for so long; ``texts`` stand in place of those of ``TEXTS``."""
    now = datetime.now(UTC)
    begins, ends = ((now + timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:%SZ") for m in (-60, minutes))
    others = texts or {}
    written = "".join(
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>{others.get(text, text).replace("&", "&amp;")}'
        "</saml:AttributeValue></saml:Attribute>"
        for name, text in TEXTS.items()
    )
    roles = "".join(_ce("Role", *role) for role in ROLES)
    wanted = _ce("PurposeOfUse", purpose, "1.2.250.1.213.1.1.4.248", "Accès")
    return etree.fromstring(
        f'<saml:Assertion xmlns:saml="{SAML}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'ID="{id}" Version="2.0" IssueInstant="{begins}"><saml:Issuer>CN=Cabinet (test)</saml:Issuer>'
        "<saml:Subject><saml:NameID>899912345678</saml:NameID></saml:Subject>"
        f'<saml:Conditions NotBefore="{begins}" NotOnOrAfter="{ends}"><saml:AudienceRestriction>'
        "<saml:Audience>urn:test</saml:Audience></saml:AudienceRestriction></saml:Conditions>"
        f"<saml:AttributeStatement>{written}"
        f'<saml:Attribute Name="urn:oasis:names:tc:xacml:2.0:subject:role">{roles}</saml:Attribute>'
        f'<saml:Attribute Name="{_XSPA}purposeofuse">{wanted}</saml:Attribute>'
        "</saml:AttributeStatement></saml:Assertion>"
    )


def _ce(name: str, code: str, system: str, display: str) -> str:
    return (
        f'<saml:AttributeValue><{name} xmlns="urn:hl7-org:v3" xsi:type="CE" code="{code}" '
        f'codeSystem="{system}" displayName="{display}"/></saml:AttributeValue>'
    )


def signed(node: etree._Element, by: Signer) -> etree._Element:
    """The assertion with an enveloped signature, which comes with the certificates of its signer."""
    made = XMLSigner(
        signature_algorithm=SignatureMethod.ECDSA_SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    ).sign(
        node,
        key=by.key,
        cert=[by.certificate, *by.chain],
        reference_uri=f"#{node.get('ID')}",
        id_attribute="ID",
    )
    return etree.fromstring(etree.tostring(made))


def header(*nodes: etree._Element) -> str:
    """A security header for ``messages.envelope``."""
    inside = "".join(etree.tostring(node, encoding="unicode") for node in nodes)
    return f'<w:Security xmlns:w="{WSSE}" s:mustUnderstand="1">{inside}</w:Security>'
