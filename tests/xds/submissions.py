"""Submissions as text: what hospital software writes, made up of invented people and documents."""

import base64
import itertools
from dataclasses import dataclass, field
from typing import Final

from tests.xds.messages import PROVIDE, REGISTER, Answer, envelope, multipart, post, sha1

RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
XDSB: Final = "urn:ihe:iti:xds-b:2007"
XOP: Final = "http://www.w3.org/2004/08/xop/include"
APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
PDF: Final = b"%PDF-1.4\r\n--MIMEBoundary\r\n\x00\xff bytes that look like a boundary\r\n%%EOF"
_numbers = itertools.count(1)

_ENTRY_CODES: Final = {
    "41a5887f-8865-4c09-adf7-e362475b143a": ("10", "1.2.250.1.213.1.1.4.1"),
    "f0306f51-975f-434e-a61c-c59651d33983": ("11488-4", "2.16.840.1.113883.6.1"),
    "f4f85eac-e6cb-4883-b524-f2705394840f": ("N", "2.16.840.1.113883.5.25"),
    "a09d5840-386c-46f2-b5ad-9c3699a4309d": (
        "urn:ihe:iti:xds:2017:mimeTypeSufficient",
        "1.3.6.1.4.1.19376.1.2.3",
    ),
    "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1": ("SA07", "1.2.250.1.71.4.2.4"),
    "cccf5598-8b07-4b77-a05e-ae952c785ead": ("AMBULATOIRE", "1.2.250.1.213.1.1.4.9"),
}
AUTHOR: Final = (
    '<Slot name="authorPerson"><ValueList><Value>899912345678^KERGOAT-TEST^Yann^^^^^^'
    "&amp;1.2.250.1.71.4.2.1&amp;ISO^D^^^IDNPS</Value></ValueList></Slot>"
)


def number() -> str:
    """A number that no other test has."""
    return f"{next(_numbers)}"


def patient_id() -> str:
    """A patient of a hospital, nobody else's."""
    return f"P{number()}^^^&amp;1.2.250.1.999.41.1&amp;ISO^PI"


@dataclass
class Entry:
    """A document and its entry; ``size`` and ``sha1`` as they are, unless a test says otherwise."""

    content: bytes = PDF
    id: str = "Document01"
    unique_id: str = field(default_factory=lambda: f"1.2.250.1.999.41.2.{number()}")
    mime_type: str = "application/pdf"
    patient: str = ""
    sha1: str = ""
    size: str = ""
    slots: dict[str, str] = field(default_factory=dict)

    def xml(self, patient: str) -> str:
        slots = {
            "creationTime": "20240312091500",
            "languageCode": "fr-FR",
            "sourcePatientId": self.patient or patient,
            "serviceStartTime": "20240312090000",
            "hash": self.sha1 or sha1(self.content),
            "size": self.size or str(len(self.content)),
            **self.slots,
        }
        written = "".join(_slot(name, value) for name, value in slots.items() if value)
        codes = "".join(_code(scheme, *code, self.id) for scheme, code in _ENTRY_CODES.items())
        author = (
            '<Classification classificationScheme="urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d" '
            f'classifiedObject="{self.id}" id="a-{self.id}" nodeRepresentation="">{AUTHOR}</Classification>'
        )
        return (
            f'<ExtrinsicObject id="{self.id}" mimeType="{self.mime_type}" status="{APPROVED}" '
            f'objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1">{written}'
            f'<Name><LocalizedString value="Compte rendu"/></Name>{author}{codes}'
            + _identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", self.patient or patient, self.id)
            + _identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", self.unique_id, self.id)
            + "</ExtrinsicObject>"
        )


@dataclass
class Submission:
    """A submission set with its documents; ``associations`` are (type URN, source, target)."""

    entries: list[Entry] = field(default_factory=lambda: [Entry()])
    patient: str = field(default_factory=patient_id)
    unique_id: str = field(default_factory=lambda: f"1.2.250.1.999.41.3.{number()}")
    associations: list[tuple[str, str, str]] = field(default_factory=list)

    def metadata(self) -> str:
        """The SubmitObjectsRequest."""
        member = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
        related = [(member, "SubmissionSet01", entry.id) for entry in self.entries] + self.associations
        written = "".join(
            f'<Association id="as{n}" associationType="{type}" sourceObject="{source}" '
            f'targetObject="{target}">'
            f"{_slot('SubmissionSetStatus', 'Original') if type == member else ''}</Association>"
            for n, (type, source, target) in enumerate(related)
        )
        return (
            f'<lcm:SubmitObjectsRequest xmlns:lcm="{LCM}" xmlns="{RIM}"><RegistryObjectList>'
            + "".join(entry.xml(self.patient) for entry in self.entries)
            + f'<RegistryPackage id="SubmissionSet01" status="{APPROVED}">'
            + _slot("submissionTime", "20240312092000")
            + _code("aa543740-bdda-424e-8c96-df4873be8500", "07", "1.2.250.1.213.2.2", "SubmissionSet01")
            + '<Classification classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" '
            'classifiedObject="SubmissionSet01" id="node1"/>'
            + _identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", self.patient, "SubmissionSet01")
            + _identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "1.2.250.1.999.41", "SubmissionSet01")
            + _identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", self.unique_id, "SubmissionSet01")
            + f"</RegistryPackage>{written}</RegistryObjectList></lcm:SubmitObjectsRequest>"
        )

    def provide(self, documents: str) -> bytes:
        body = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{XDSB}">{self.metadata()}{documents}'
        return envelope(PROVIDE, body + "</x:ProvideAndRegisterDocumentSetRequest>")

    def mtom(self, headers: str = "") -> tuple[bytes, str]:
        """The whole HTTP body of ITI-41 and its Content-Type."""
        included = "".join(
            f'<x:Document id="{entry.id}"><i:Include xmlns:i="{XOP}" href="cid:{n}%40client"/></x:Document>'
            for n, entry in enumerate(self.entries)
        )
        root = self.provide(included).replace(b"</s:Header>", headers.encode() + b"</s:Header>")
        return multipart(root, {f"{n}@client": entry.content for n, entry in enumerate(self.entries)})

    def inline(self) -> bytes:
        """ITI-41 without attachments: base64 in the document elements."""
        return self.provide(
            "".join(
                f'<x:Document id="{e.id}">{base64.encodebytes(e.content).decode()}</x:Document>'
                for e in self.entries
            )
        )

    def send(self, url: str) -> Answer:
        return post(url, *self.mtom())

    def register(self, url: str) -> Answer:
        """ITI-42: the metadata alone."""
        return post(url, envelope(REGISTER, self.metadata()))


def _slot(name: str, value: str) -> str:
    return f'<Slot name="{name}"><ValueList><Value>{value}</Value></ValueList></Slot>'


def _code(scheme: str, code: str, coding_scheme: str, id: str) -> str:
    return (
        f'<Classification classificationScheme="urn:uuid:{scheme}" classifiedObject="{id}" '
        f'id="c{scheme}{id}" nodeRepresentation="{code}">{_slot("codingScheme", coding_scheme)}'
        f'<Name><LocalizedString value="{code}"/></Name></Classification>'
    )


def _identifier(scheme: str, value: str, id: str) -> str:
    return (
        f'<ExternalIdentifier identificationScheme="urn:uuid:{scheme}" value="{value}" registryObject="{id}" '
        f'id="i{scheme}{id}"><Name><LocalizedString value="x"/></Name></ExternalIdentifier>'
    )
