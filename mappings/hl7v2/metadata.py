"""OBX of MetaDMPMSS: what the sender wants done with a document. CI-SIS, volet Transmission CDA en HL7v2"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mappings.core.result import Element, Held
from mappings.hl7v2.content import decoded
from mappings.hl7v2.context import Context
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import VISIBILITY, VISIBILITY_SYSTEM

META_DMP: Final = "METADMPMSS"

_CHANGES: Final = frozenset({"MODIF_CONF_CODE", "MODIF_CONFIDENTIALITYCODE"})
_MAIL: Final = {
    "CORPSMAIL_PS": "professionals",
    "CORPSMAIL_PAT": "patient",
    "CORPSMAIL_PATIENT": "patient",
}
_OTHERS: Final = frozenset(
    (
        "DESTDMP",
        "DESTMSSANTEPS",
        "DESTMSSANTEPAT",
        "ACK_RECEPTION",
        "ACK_LECTURE",
        "ACK_LECTURE_MSS",
        "COMP_LOT",
    )
)
_ABOUT_VISIBILITY: Final = VISIBILITY.keys() | _CHANGES
_NAMES: Final = VISIBILITY.keys() | _CHANGES | _MAIL.keys() | _OTHERS
"""Codes of OBX-3. Version 1.2 of the profile sends them without a coding system."""


class Visibility(NamedTuple):
    """Codings of who must not see a document; ``stated`` also when the message says that all may; ``changes``
    when it says that this is all that it changes."""

    codings: list[Element]
    stated: bool
    changes: bool

    @property
    def labels(self) -> list[Element]:
        return [{"coding": [coding]} for coding in self.codings]


@dataclass(slots=True)
class Dispatch:
    """Whether a document is to be mailed to professionals and to the patient (None: nothing is said), with
    the text of each mail."""

    professionals: bool | None = None
    patient: bool | None = None
    texts: dict[str, str] = field(default_factory=dict)


def is_metadata(obx: Segment) -> bool:
    """Whether an OBX is about what to do with a document, not something observed."""
    system, code = str(obx[3][3]).upper(), str(obx[3][1]).upper()
    return system == META_DMP or (not system and code in _NAMES) or is_mail_from_outside(obx)


def is_mail_from_outside(obx: Segment) -> bool:
    """Whether an OBX holds the text of the mail that a document came with (CISIS_CDA_HL7_LPS)."""
    return obx[3][2].text.startswith("XDM/1.0/DDM")


def is_kept_out(message: Message, context: Context) -> bool:
    """Whether the sender says that what it sends must not get into the shared record: it is mail only."""
    return any(
        "DESTDMP" in obx.raw
        and str(obx[3][1]).upper() == "DESTDMP"
        and is_metadata(obx)
        and context.boolean(obx[5][1]) is False
        for obx in message.all("OBX")
    )


def visibility_of(segments: Iterable[Segment], context: Context) -> Visibility:
    """Read who must not see the document."""
    codes: list[str] = []
    stated = changes = False
    for obx in segments:
        name = str(obx[3][1]).upper()
        if name not in _ABOUT_VISIBILITY or not is_metadata(obx):
            continue
        obx.mark_read(1, 2, 11)
        if name in _CHANGES:
            changes = context.boolean(obx[5][1]) is True
            continue
        stated = True
        # An answer that cannot be understood hides the document: the stricter reading wins.
        code = VISIBILITY[name]
        if context.boolean(obx[5][1]) is not False and code not in codes:
            codes.append(code)
    codings = [{"system": VISIBILITY_SYSTEM, "code": code} for code in codes]
    return Visibility(codings, stated, changes)


def dispatch_of(segments: Iterable[Segment], context: Context) -> Dispatch:
    """Read whom the document is to be mailed to, and with which words."""
    dispatch = Dispatch()
    for obx in segments:
        if not is_metadata(obx):
            continue
        obx.mark_read(1, 2, 11)
        name = str(obx[3][1]).upper()
        if is_mail_from_outside(obx):
            dispatch.texts["professionals"] = _mail(obx, context)
        elif name == "DESTMSSANTEPS":
            dispatch.professionals = context.boolean(obx[5][1])
        elif name == "DESTMSSANTEPAT":
            dispatch.patient = context.boolean(obx[5][1])
        elif name in _MAIL:
            dispatch.texts[_MAIL[name]] = _mail(obx, context)
    return dispatch


def _mail(obx: Segment, context: Context) -> str:
    """The text of a mail; one that cannot be read is an issue, and the document comes in without it."""
    try:
        return decoded(obx[5], context).decode()
    except (Held, UnicodeDecodeError):
        context.warn("The text of the mail cannot be read: left out", obx[5])
        return ""
