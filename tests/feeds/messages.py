"""Small synthetic HL7v2 messages and CDA documents for the tests of feeds."""

import base64

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
) -> bytes:
    """A CDA document of level 1 about the same patient."""
    related = (
        f'<relatedDocument typeCode="RPLC"><parentDocument><id root="{OID}.8" extension="{replaces}"/>'
        "</parentDocument></relatedDocument>"
    )
    versions = f'<setId root="{OID}.9" extension="{set_id}"/><versionNumber value="{version}"/>'
    person = '<assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="810000000001"/></assignedAuthor>'
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
<component><nonXMLBody><text mediaType="text/plain" representation="B64">
{base64.b64encode(text.encode()).decode()}</text></nonXMLBody></component>
</ClinicalDocument>""".encode()
