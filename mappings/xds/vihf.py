"""Who asks, and what for: the SAML 2.0 assertion of the security header, in France VIHF.

CI-SIS, volet Transport synchrone pour client lourd (VIHF 3.0); IHE XUA, ITI TF-2 3.40; SAML 2.0 Core 2.3.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mappings.cda.datatypes import oid_to_identifier
from mappings.cda.xml import Node, local_name
from mappings.core.codes import OID, system_of_oid
from mappings.core.identity import PROFESSIONAL_OID, STRUCTURE_OID
from mappings.core.result import Element, Unreadable
from mappings.xds.datatypes import cx_to_identifier

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
ASSERTION: Final = f"{{{SAML}}}Assertion"
_XSPA: Final = "urn:oasis:names:tc:xspa:1.0:subject:"
_NAME: Final = f"{_XSPA}subject-id"
_ORGANIZATION: Final = f"{_XSPA}organization"
_ORGANIZATION_ID: Final = f"{_XSPA}organization-id"
_PURPOSE: Final = f"{_XSPA}purposeofuse"
_ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
_RESOURCE: Final = (
    "urn:oasis:names:tc:xacml:2.0:resource:resource-id",
    "urn:oasis:names:tc:xacml:1.0:resource:resource-id",
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """What an assertion says; "" and {} where it says nothing.

    ``subject_id`` is the NameID, ``name`` the person's, ``roles`` profession and specialty as codings,
    ``purpose`` the purpose of use (in France the mode d'accès: normal, bris_de_glace, centre_15) with its
    ``justification``, ``resource_id`` the patient as CX. ``not_before`` and ``not_on_or_after`` bound its
    validity. ``attributes`` are all texts by the attribute's name in lower case.
    """

    id: str
    issuer: str = ""
    subject_id: str = ""
    name: str = ""
    organization: str = ""
    organization_id: str = ""
    roles: tuple[Element, ...] = ()
    purpose: Element = field(default_factory=dict)
    justification: str = ""
    resource_id: str = ""
    authentication: str = ""
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    audiences: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def access_mode(self) -> str:
        """normal, bris_de_glace or centre_15, where France's codes are used."""
        return str(self.purpose.get("code", ""))

    @property
    def software(self) -> Mapping[str, str]:
        """The software that asks: ``id``, ``name``, ``version``, ``approval`` (homologation)."""
        names = {"id": "lps_id", "name": "lps_nom", "version": "lps_version"}
        found = {key: self.attributes.get(name, "") for key, name in names.items()}
        return {**found, "approval": self.attributes.get("lps_id_homologation_dmp", "")}

    @property
    def subject(self) -> Element | None:
        """The person's identifier: a French professional's number, unless it says otherwise."""
        if not self.subject_id:
            return None
        return cx_to_identifier(self.subject_id) or oid_to_identifier(PROFESSIONAL_OID, self.subject_id)

    @property
    def structure(self) -> Element | None:
        """The organization's identifier."""
        value = self.organization_id.removeprefix("urn:oid:")
        if OID.fullmatch(value) and "." in value:
            return oid_to_identifier(value)
        if not value:
            return None
        return cx_to_identifier(value) or oid_to_identifier(STRUCTURE_OID, value)

    @property
    def patient(self) -> Element | None:
        """The identifier of the patient whose record is meant."""
        return cx_to_identifier(self.resource_id)


def assertion_of(security: Node) -> Node | None:
    """The one assertion in a wsse:Security header; None when there is none.

    Raises:
        Unreadable: there are several, and which one counts could be chosen by whoever added one.
    """
    found = list(security.iter(ASSERTION))
    if len(found) > 1:
        raise Unreadable("The security header has several assertions")
    return found[0] if found else None


def read_assertion(node: Node) -> Assertion:
    """Read a saml:Assertion.

    Raises:
        Unreadable: it is not of SAML 2.0, or its validity is no time.
    """
    if node.tag != ASSERTION or node.get("Version", "2.0") != "2.0":
        raise Unreadable("The assertion is not of SAML 2.0")
    values = {name.lower(): found for name, found in _attributes(node)}
    texts = {name: " ".join("".join(map(str, v.itertext())).split()) for name, (v, *_) in values.items()}
    conditions = node.find(f"{{{SAML}}}Conditions")
    roles = [_coding(value) for value in values.get(_ROLE, [])]
    purposes = [_coding(value) for value in values.get(_PURPOSE, [])]
    context = f"{{{SAML}}}AuthnStatement/{{{SAML}}}AuthnContext/{{{SAML}}}AuthnContextClassRef"
    return Assertion(
        id=node.get("ID", ""),
        issuer=_text(node, f"{{{SAML}}}Issuer"),
        subject_id=_text(node, f"{{{SAML}}}Subject/{{{SAML}}}NameID"),
        name=texts.get(_NAME, ""),
        organization=texts.get(_ORGANIZATION, ""),
        organization_id=texts.get("identifiant_structure", "") or texts.get(_ORGANIZATION_ID, ""),
        roles=tuple(role for role in roles if role),
        purpose=next((purpose for purpose in purposes if purpose), {}),
        justification=texts.get("mode_acces_raison", ""),
        resource_id=next((texts[name] for name in _RESOURCE if texts.get(name)), ""),
        authentication=texts.get("authentification_mode", "") or _text(node, context),
        not_before=_time(conditions, "NotBefore"),
        not_on_or_after=_time(conditions, "NotOnOrAfter"),
        audiences=tuple((a.text or "").strip() for a in node.iter(f"{{{SAML}}}Audience")),
        attributes=texts,
    )


def _attributes(node: Node) -> Iterator[tuple[str, list[Node]]]:
    for attribute in node.iterfind(f"{{{SAML}}}AttributeStatement/{{{SAML}}}Attribute"):
        values = attribute.findall(f"{{{SAML}}}AttributeValue")
        if values:
            yield (attribute.get("Name") or "").strip(), values


def _coding(value: Node) -> Element:
    """The CE in an AttributeValue -> Coding; a mere text is a code without a system."""
    node = next((n for n in value.iter() if local_name(n) in ("Role", "PurposeOfUse")), value)
    code = (node.get("code") or "").strip()
    if not code:
        text = (value.text or "").strip()
        return {"code": text} if text else {}
    oid = (node.get("codeSystem") or "").strip()
    coding = {
        "system": system_of_oid(oid) if OID.fullmatch(oid) else None,
        "code": code,
        "display": (node.get("displayName") or "").strip(),
    }
    return {name: text for name, text in coding.items() if text}


def _text(node: Node, path: str) -> str:
    return (node.findtext(path) or "").strip()


def _time(conditions: Node | None, name: str) -> datetime | None:
    value = "" if conditions is None else (conditions.get(name) or "").strip()
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        raise Unreadable(f"{name} of the assertion is no time") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
