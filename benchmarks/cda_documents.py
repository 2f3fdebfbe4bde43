"""CDA R2 documents of synthetic people, of level 1 and of level 3, as large as is asked for."""

from base64 import b64encode

from benchmarks.pdf import page
from benchmarks.people import INS_OID, Person

_ROOT = "1.2.250.1.213.1.1.3"
_LOINC = 'codeSystem="2.16.840.1.113883.6.1"'
_VITALS = (("8302-2", 172, "cm"), ("29463-7", 64, "kg"), ("8480-6", 128, "mm[Hg]"), ("8462-4", 79, "mm[Hg]"))
_RESULTS = (
    ("2951-2", 139, "mmol/L"),
    ("2823-3", 4, "mmol/L"),
    ("14749-6", 5, "mmol/L"),
    ("718-7", 14, "g/dL"),
)
_PROBLEMS = ("I10", "E11.9")
_PHRASE = "<tr><td>Auscultation sans particularité, surveillance habituelle.</td><td>normal</td></tr>\n"


def level_1(person: Person, number: int, size: int) -> bytes:
    """A document of about ``size`` bytes that embeds a PDF."""
    pdf = page([f"Compte rendu {number}", person.birth_name])
    pdf += b"%" + b"x" * max(0, size * 3 // 4 - len(pdf) - 1500)
    text = f'<text mediaType="application/pdf" representation="B64">{b64encode(pdf).decode()}</text>'
    return _document(person, number, f"<nonXMLBody>{text}</nonXMLBody>")


def level_3(person: Person, number: int, size: int) -> bytes:
    """A document of about ``size`` bytes with measures, results and problems; most is narrative."""
    entries = "".join(
        (_section("8716-3", _vitals()), _section("18719-5", _report()), _section("11450-4", _problems()))
    )
    rows = _PHRASE * max(1, (size - len(entries) - 2600) // len(_PHRASE))
    narrative = (
        f"<component><section><title>Examen</title><text><table>{rows}</table></text></section></component>"
    )
    return _document(person, number, f"<structuredBody>{narrative}{entries}</structuredBody>")


def _document(person: Person, number: int, body: str) -> bytes:
    name = (
        f'<given qualifier="BR">{person.given[0]}</given><family qualifier="BR">{person.birth_name}</family>'
    )
    author = '<assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="810000000001"/></assignedAuthor>'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
<id root="1.2.250.1.999.77.1" extension="{number}"/>
<code code="11488-4" {_LOINC}/><title>Compte rendu</title>
<effectiveTime value="20260301080000+0100"/>
<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="fr-FR"/>
<setId root="1.2.250.1.999.77.2" extension="{number}"/><versionNumber value="1"/>
<recordTarget><patientRole><id root="{INS_OID}" extension="{person.ins}"/>
<patient><name>{name}</name><administrativeGenderCode code="{"F" if person.sex == "female" else "M"}"/>
<birthTime value="{person.birth_date:%Y%m%d}"/></patient></patientRole></recordTarget>
<author><time value="20260301080000+0100"/>{author}</author>
<component>{body}</component>
</ClinicalDocument>""".encode()


def _section(code: str, entry: str) -> str:
    return (
        f'<component><section><code code="{code}" {_LOINC}/><title>Section</title><text>Voir</text>'
        f"<entry>{entry}</entry></section></component>"
    )


def _vitals() -> str:
    parts = "".join(f"<component>{_observation('50', *each)}</component>" for each in _VITALS)
    template = f'<templateId root="{_ROOT}.49"/>'
    time = '<effectiveTime value="20260301"/>'
    return f'<organizer classCode="CLUSTER" moodCode="EVN">{template}{time}{parts}</organizer>'


def _report() -> str:
    parts = "".join(
        f'<entryRelationship typeCode="COMP">{_observation("80", *each)}</entryRelationship>'
        for each in _RESULTS
    )
    code = f'<code code="18719-5" {_LOINC}/>'
    return f'<templateId root="{_ROOT}.21"/><act classCode="ACT" moodCode="EVN">{code}{parts}</act>'


def _problems() -> str:
    parts = "".join(
        f'<entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN">'
        f'<templateId root="{_ROOT}.37"/><code code="282291009" codeSystem="2.16.840.1.113883.6.96"/>'
        f'<value xsi:type="CD" code="{code}" codeSystem="2.16.840.1.113883.6.3"/>'
        "</observation></entryRelationship>"
        for code in _PROBLEMS
    )
    template = f'<templateId root="{_ROOT}.39"/>'
    return f'<act classCode="ACT" moodCode="EVN">{template}<statusCode code="active"/>{parts}</act>'


def _observation(template: str, code: str, value: int, unit: str) -> str:
    return (
        f'<observation classCode="OBS" moodCode="EVN"><templateId root="{_ROOT}.{template}"/>'
        f'<code code="{code}" {_LOINC}/><statusCode code="completed"/><effectiveTime value="20260301"/>'
        f'<value xsi:type="PQ" value="{value}" unit="{unit}"/></observation>'
    )
