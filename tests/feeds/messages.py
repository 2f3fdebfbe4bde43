"""Small synthetic HL7v2 messages and CDA documents for the tests of feeds."""

import base64
import io
import zipfile

OID = "1.2.250.1.999.1"


def adt(control: str, *, patient: str = "P1", family: str = "MARTIN", pid: str = "", **msh: str) -> bytes:
    """An ADT^A08 that gives the patient a name; ``pid`` are further fields of PID from PID-6 on."""
    return message(
        control,
        "ADT^A08^ADT_A01",
        f"EVN||20260301080000\rPID|||{patient}^^^&{OID}&ISO^PI||{family}^Ada^^^^^L{pid}",
        **msh,
    )


def message(control: str, event: str, segments: str = "", **msh: str) -> bytes:
    """An MSH and what follows; ``msh`` sets its fields by number (``f15="AL"``)."""
    fields = {3: "LAB", 4: "HOSP", 7: "20260301080000+0100", 9: event, 10: control, 11: "P", 12: "2.5"}
    fields |= {int(name[1:]): value for name, value in msh.items()}
    values = [fields.get(number, "") for number in range(3, max(fields) + 1)]
    header = "|".join(["MSH", "^~\\&", *values])
    return f"{header}\r{segments}\r".encode("utf-8" if fields.get(18) != "8859/1" else "cp1252")


def mdm(control: str, document: str, content: bytes, *, patient: str = "P1") -> bytes:
    """An MDM^T02 with a PDF."""
    data = base64.b64encode(content).decode()
    return message(
        control,
        "MDM^T02^MDM_T02",
        f"EVN||20260301080000\rPID|||{patient}^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L\r"
        f"TXA|1|CN|application/pdf|20260301080000||20260301080000||||||{document}^^{OID}.7^ISO|||||AU||AV\r"
        f"OBX|1|ED|11488-4^CR^LN||^application^pdf^Base64^{data}||||||F",
    )


def cda(
    number: str,
    *,
    replaces: str = "",
    set_id: str = "",
    version: int = 0,
    patient: str = "P1",
    text: str = "x",
    lot: str = "",
) -> bytes:
    """A CDA document of level 1 about the same patient; with ``lot`` of level 3, with a vaccination."""
    related = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{OID}.8" extension="{replaces}"/>'
        "</parentDocument></relatedDocument>"
    )
    versions = f'<setId root="{OID}.9" extension="{set_id}"/><versionNumber value="{version}"/>'
    person = '<assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="810000000001"/></assignedAuthor>'
    body = f"""<nonXMLBody><text mediaType="text/plain" representation="B64">
{base64.b64encode(text.encode()).decode()}</text></nonXMLBody>"""
    if lot:
        body = f"""<structuredBody><component><section><text>{text}</text><entry>
<substanceAdministration classCode="SBADM" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.45"/>
<id root="{OID}.10" extension="V"/><statusCode code="completed"/><effectiveTime value="20260301"/>
<consumable><manufacturedProduct><manufacturedMaterial>
<code code="J07AM01" codeSystem="2.16.840.1.113883.6.73"/>
<lotNumberText>{lot}</lotNumberText></manufacturedMaterial></manufacturedProduct></consumable>
</substanceAdministration></entry></section></component></structuredBody>"""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id root="{OID}.8" extension="{number}"/>
<code code="11488-4" codeSystem="2.16.840.1.113883.6.1" displayName="CR"/><title>CR</title>
<effectiveTime value="20260301080000+0100"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="fr-FR"/>
{versions if set_id else ""}
<recordTarget><patientRole><id root="{OID}" extension="{patient}"/>
<patient><name><given>Ada</given><family qualifier="BR">MARTIN</family></name>
<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19791210"/></patient>
</patientRole></recordTarget>
<author><time value="20260301080000+0100"/>{person}</author>
{related if replaces else ""}
<component>{body}</component>
</ClinicalDocument>""".encode()


def xdm(
    submission: str,
    *documents: tuple[str, bytes],
    patient: str = "P1",
    labels: str = "",
    comment: bytes = b"",
) -> bytes:
    """An XDM zip with CDA documents, each with its number, and a signature; ``labels`` hide the documents,
    ``comment`` makes it another zip."""
    identifiers = {"DOC": ("58a6f841-87b3-4a3e-92fd-a8ffeff98427", "2e82c1f6-a085-4c72-9da3-8640a32e42ab")}
    identifiers["SET"] = ("6b5aea1a-874d-4603-a4bc-96a0a7b38446", "96fdda7c-d067-4183-912e-bf5ee74998a8")

    def external(kind: str, unique_id: str) -> str:
        schemes = zip(identifiers[kind], (f"{patient}^^^&amp;{OID}&amp;ISO", unique_id), strict=True)
        return "".join(
            f'<ExternalIdentifier identificationScheme="urn:uuid:{scheme}" value="{value}"/>'
            for scheme, value in schemes
        )

    def classified(scheme: str, code: str, system: str) -> str:
        slot = f'<Slot name="codingScheme"><ValueList><Value>{system}</Value></ValueList></Slot>'
        start = f'<Classification classificationScheme="urn:uuid:{scheme}" nodeRepresentation="{code}">'
        return f"{start}{slot}</Classification>"

    def entry(name: str, unique_id: str, codes: str) -> str:
        uri = f'<Slot name="URI"><ValueList><Value>{name}.XML</Value></ValueList></Slot>'
        start = f'<ExtrinsicObject id="{name}" mimeType="text/xml">'
        return f"{start}{uri}{codes}{external('DOC', unique_id)}</ExtrinsicObject>"

    hidden = [
        classified("f4f85eac-e6cb-4883-b524-f2705394840f", code, "1.2.250.1.213.1.1.4.13")
        for code in labels.split()
    ]
    signature = classified(
        "a09d5840-386c-46f2-b5ad-9c3699a4309d", "http://www.w3.org/2000/09/xmldsig#", "URN"
    )
    node = '<Classification classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"/>'
    objects = [
        f'<RegistryPackage id="SET">{node}{external("SET", f"{OID}.11.{submission}")}</RegistryPackage>'
    ]
    objects += [entry(f"D{number}", f"{OID}.8^{number}", "".join(hidden)) for number, _ in documents]
    objects.append(entry("SIGN", f"{OID}.12.{submission}", signature))
    members = [f"D{number}" for number, _ in documents] + ["SIGN"]
    kind = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
    objects += [
        f'<Association associationType="{kind}" sourceObject="SET" targetObject="{name}"/>'
        for name in members
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        folder = "IHE_XDM/SUBSET01"
        archive.writestr(
            f"{folder}/METADATA.XML", f"<SubmitObjectsRequest>{''.join(objects)}</SubmitObjectsRequest>"
        )
        archive.writestr(f"{folder}/SIGN.XML", f"<Signature>{submission}</Signature>")
        archive.comment = comment
        for number, raw in documents:
            archive.writestr(f"{folder}/D{number}.XML", raw)
    return buffer.getvalue()
