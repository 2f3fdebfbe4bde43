"""Submissions written by hand: ebRIM metadata as text, and the XDM zip around them."""

import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

INS_OID: Final = "1.2.250.1.213.1.4.10"
APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"
ARCHIVED: Final = "urn:asip:ci-sis:2010:StatusType:Archived"
DELETED: Final = "urn:asip:ci-sis:2010:StatusType:Deleted"
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
TYPE: Final = "urn:ihe:iti:2007:AssociationType:"
PERSON: Final = "899912345678^KERGOAT-TEST^Yann^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"
INSTITUTION: Final = "Cabinet des Tilleuls (test)^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1350000099"
SPECIALTY: Final = "G15_10/SM26^Médecine générale (test)^1.2.250.1.213.1.1.4.5"
AUTHOR: Final = {
    "authorPerson": [PERSON],
    "authorInstitution": [INSTITUTION],
    "authorRole": ["Médecin traitant"],
    "authorSpecialty": [SPECIALTY],
}
SCHEMES: Final = {
    "class": "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a",
    "type": "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983",
    "format": "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d",
    "label": "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f",
    "event": "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4",
    "facility": "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
    "setting": "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead",
    "content": "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500",
    "folder": "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5",
}
CODES: Final = {
    "class": [("10", "1.2.250.1.213.1.1.4.1", "Compte rendu")],
    "type": [("11488-4", "2.16.840.1.113883.6.1", "CR de consultation")],
    "format": [("urn:ihe:iti:xds:2017:mimeTypeSufficient", "1.3.6.1.4.1.19376.1.2.3", "mimeType Sufficient")],
    "label": [("N", "2.16.840.1.113883.5.25", "Normal")],
    "facility": [("SA07", "1.2.250.1.71.4.2.4", "Cabinet individuel")],
    "setting": [("AMBULATOIRE", "1.2.250.1.213.1.1.4.9", "Ambulatoire")],
}
MASKED: Final = ("MASQUE_PS", "1.2.250.1.213.1.1.4.13", "Masqué aux professionnels de santé")

Codes = Mapping[str, Sequence[tuple[str, str, str]]]
Slots = Mapping[str, Sequence[str]]


def cx(ins: str) -> str:
    return f"{ins}^^^&{INS_OID}&ISO^NH"


def slots(values: Slots) -> str:
    return "".join(
        f'<Slot name="{name}"><ValueList>{"".join(_value(value) for value in listed)}</ValueList></Slot>'
        for name, listed in values.items()
    )


def _value(text: str) -> str:
    return f"<Value>{escape(text)}</Value>"


def id_of(association: str) -> str:
    """The id of an association as it was written."""
    return association.partition(chr(34))[2].partition(chr(34))[0]


def _id(*parts: str) -> str:
    return "i" + hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]


def classification(of: str, scheme: str, code: str, inside: str) -> str:
    return (
        f'<Classification id="{_id(of, scheme, code, inside)}" classificationScheme="{scheme}" '
        f'classifiedObject="{of}" nodeRepresentation="{code}">{inside}</Classification>'
    )


def names(**texts: str) -> str:
    return "".join(
        f"<{tag}><LocalizedString value={quoteattr(text)}/></{tag}>" for tag, text in texts.items() if text
    )


def _codes(of: str, codes: Codes) -> str:
    return "".join(
        classification(of, SCHEMES[kind], code, slots({"codingScheme": [system]}) + names(Name=display))
        for kind, listed in codes.items()
        for code, system, display in listed
    )


def _identifiers(of: str, values: dict[str, str]) -> str:
    return "".join(
        f'<ExternalIdentifier id="{_id(of, scheme)}" registryObject="{of}" identificationScheme="{scheme}" '
        f"value={quoteattr(value)}>{names(Name='id')}</ExternalIdentifier>"
        for scheme, value in values.items()
    )


def entry(
    id: str,
    unique_id: str,
    ins: str,
    content: bytes,
    *,
    uri: str = "DOC00001.TXT",
    status: str = APPROVED,
    codes: Codes | None = None,
    more: Slots | None = None,
    author: Slots | None = None,
    title: str = "Compte rendu",
    comments: str = "",
    media_type: str = "text/plain",
    attributes: str = "",
    version: str = "",
) -> str:
    """A DocumentEntry of some bytes."""
    described: Slots = {
        "creationTime": ["20240312091500"],
        "languageCode": ["fr-FR"],
        "serviceStartTime": ["20240312090000"],
        "hash": [hashlib.sha1(content, usedforsecurity=False).hexdigest()],
        "size": [str(len(content))],
        "sourcePatientId": ["IPP-0042^^^&1.2.250.1.999.35.1&ISO^PI"],
        "sourcePatientInfo": ["PID-5|LEROUX-TEST^CAMILLE^^^^^L", "PID-7|19850714", "PID-8|F"],
        "URI": [uri],
        **(more or {}),
    }
    scheme = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
    return (
        f'<ExtrinsicObject id="{id}" mimeType="{media_type}" {attributes} status="{status}" '
        f'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">{slots(described)}'
        f"{names(Name=title, Description=comments)}{version}"
        f"{classification(id, scheme, '', slots(author or AUTHOR))}{_codes(id, {**CODES, **(codes or {})})}"
        + _identifiers(
            id,
            {
                "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427": cx(ins),
                "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab": unique_id,
            },
        )
        + "</ExtrinsicObject>"
    )


def submission_set(
    unique_id: str,
    ins: str,
    *,
    id: str = "SubmissionSet01",
    time: str = "20240312092000",
    source: str = "1.2.250.1.999.35.10.1",
    content: tuple[str, str, str] = ("07", "1.2.250.1.213.2.2", "Consultation"),
    title: str = "Envoi",
    author: Slots | None = None,
    more: Slots | None = None,
) -> str:
    node = (
        f'<Classification id="n{id[-4:]}" classifiedObject="{id}" '
        'classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    )
    author_scheme = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
    return (
        f'<RegistryPackage id="{id}" status="{APPROVED}">{slots({"submissionTime": [time], **(more or {})})}'
        f"{names(Name=title)}{node}{classification(id, author_scheme, '', slots(author or AUTHOR))}"
        f"{_codes(id, {'content': [content]})}"
        + _identifiers(
            id,
            {
                "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446": cx(ins),
                "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832": source,
                "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8": unique_id,
            },
        )
        + "</RegistryPackage>"
    )


def folder(
    id: str,
    unique_id: str,
    ins: str,
    *,
    time: str = "20240312092000",
    code: str = "GROSSESSE",
    title: str = "Dossier",
    attributes: str = "",
    version: str = "",
) -> str:
    node = (
        f'<Classification id="n{id[-4:]}" classifiedObject="{id}" '
        'classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"/>'
    )
    return (
        f'<RegistryPackage id="{id}" {attributes} status="{APPROVED}">{slots({"lastUpdateTime": [time]})}'
        f"{names(Name=title)}{version}{node}{_codes(id, {'folder': [(code, '1.2.250.1.999.35.20', code)]})}"
        + _identifiers(
            id,
            {
                "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a": cx(ins),
                "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a": unique_id,
            },
        )
        + "</RegistryPackage>"
    )


def association(type: str, source: str, target: str, more: Slots | None = None) -> str:
    urn = HAS_MEMBER if type == "HasMember" else type if type.startswith("urn:") else TYPE + type
    told = more if more is not None else {"SubmissionSetStatus": ["Original"]} if type == "HasMember" else {}
    return (
        f'<Association id="{_id(type, source, target)}" associationType="{urn}" sourceObject="{source}" '
        f'targetObject="{target}">{slots(told)}</Association>'
    )


def metadata(*objects: str) -> bytes:
    """A METADATA.XML of registry objects."""
    return (
        '<lcm:SubmitObjectsRequest xmlns:lcm="urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0" '
        'xmlns="urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"><RegistryObjectList>'
        f"{''.join(objects)}</RegistryObjectList></lcm:SubmitObjectsRequest>"
    ).encode()


def xdm(described: bytes, files: dict[str, bytes]) -> bytes:
    """The zip of one submission."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("IHE_XDM/SUBSET01/METADATA.XML", described)
        for name, content in files.items():
            archive.writestr(f"IHE_XDM/SUBSET01/{name}", content)
    return buffer.getvalue()
