"""Releases of code systems in miniature: the names of files and columns are real, the codes invented."""

import zipfile
from pathlib import Path

LOINC = {
    "LoincTable/Loinc.csv": (
        '"LOINC_NUM","COMPONENT","PROPERTY","TIME_ASPCT","SYSTEM","SCALE_TYP","METHOD_TYP","CLASS","STATUS",'
        '"SHORTNAME","LONG_COMMON_NAME","DefinitionDescription","CLASSTYPE"\n'
        '"99991-1","Moonlight","MCnc","Pt","Ser","Qn","","CHEM","ACTIVE","Moon Ser-mCnc",'
        '"Moonlight [Mass/volume] in Serum","Light of ""the"" moon,\nreflected","1"\n'
        '"99992-9","Moonlight","MCnc","24H","Urine","Qn","","CHEM","ACTIVE",'
        '"Moon Ur","Moonlight in Urine","","1"\n'
        '"99993-7","Sunlight","Find","Pt","^Patient","Nom","","CLIN","DEPRECATED",'
        '"Sun","Sunlight seen","","2"\n'
    ),
    "AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": (
        '"PATH_TO_ROOT","SEQUENCE","IMMEDIATE_PARENT","CODE","CODE_TEXT"\n'
        '"","1","","LP99999-1","Light"\n'
        '"LP99999-1","1","LP99999-1","LP99998-3","Moonlight"\n'
        '"LP99999-1.LP99998-3","1","LP99998-3","99991-1","Moon Ser-mCnc"\n'
        '"LP99999-1.LP99998-3","2","LP99998-3","99992-9","Moon Ur"\n'
    ),
    "AccessoryFiles/AnswerFile/AnswerList.csv": (
        '"AnswerListId","AnswerListName","AnswerStringId","DisplayText"\n'
        '"LL9999-1","Phases","LA99991-1","New moon"\n"LL9999-1","Phases","LA99992-9","Full moon"\n'
    ),
    "AccessoryFiles/LinguisticVariants/frFR18LinguisticVariant.csv": (
        '"LOINC_NUM","COMPONENT","LONG_COMMON_NAME"\n"99991-1","Lune","Clair de lune [Masse/Volume] Sérum"\n'
    ),
}
RF2 = "Snapshot/Terminology/sct2_{}_Snapshot{}_INT_20260101.txt"
SNOMED = {
    RF2.format("Concept", ""): (
        "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n"
        "100000001\t20260101\t1\t900000000000207008\t900000000000074008\n"
        "100000002\t20260101\t1\t900000000000207008\t900000000000074008\n"
        "100000003\t20260101\t1\t900000000000207008\t900000000000073002\n"
        "100000004\t20260101\t0\t900000000000207008\t900000000000074008\n"
    ),
    RF2.format("Description", "-en"): (
        "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\n"
        "1\t20260101\t1\t9\t100000001\ten\t900000000000003001\tDragon (organism)\t9\n"
        "2\t20260101\t1\t9\t100000001\ten\t900000000000013009\tDragon\t9\n"
        "3\t20260101\t1\t9\t100000002\ten\t900000000000003001\tFire dragon (organism)\t9\n"
        "4\t20260101\t1\t9\t100000002\ten\t900000000000013009\tFire-breathing dragon\t9\n"
        '5\t20260101\t1\t9\t100000002\ten\t900000000000013009\tFire "dragon"\t9\n'
        "6\t20260101\t0\t9\t100000002\ten\t900000000000013009\tWyrm\t9\n"
        "7\t20260101\t1\t9\t100000002\tfr\t900000000000013009\tDragon cracheur de feu\t9\n"
        "8\t20260101\t1\t9\t100000003\ten\t900000000000003001\tSmall fire dragon (organism)\t9\n"
        "9\t20260101\t1\t9\t100000004\ten\t900000000000013009\tBasilisk\t9\n"
    ),
    RF2.format("Relationship", ""): (
        "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\t"
        "characteristicTypeId\tmodifierId\n"
        "1\t20260101\t1\t9\t100000002\t100000001\t0\t116680003\t9\t9\n"
        "2\t20260101\t1\t9\t100000003\t100000002\t0\t116680003\t9\t9\n"
        "3\t20260101\t0\t9\t100000001\t100000003\t0\t116680003\t9\t9\n"
        "4\t20260101\t1\t9\t100000001\t100000003\t0\t363698007\t9\t9\n"
    ),
    "Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20260101.txt": (
        "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tacceptabilityId\n"
        "a\t20260101\t1\t9\t900000000000509007\t5\t900000000000548007\n"
        "b\t20260101\t1\t9\t900000000000509007\t4\t900000000000549004\n"
        "c\t20260101\t1\t9\t900000000000509007\t7\t900000000000548007\n"
    ),
    "Snapshot/Refset/Content/der2_Refset_SimpleSnapshot_INT_20260101.txt": (
        "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\n"
        "a\t20260101\t1\t9\t700000001\t100000002\nb\t20260101\t0\t9\t700000001\t100000001\n"
    ),
}
CLAML = {
    "icd10-claml.xml": (
        '<?xml version="1.0"?><ClaML version="2.0.0">'
        '<Title name="ICD" version="2026">Invented diseases</Title>'
        '<Class code="I" kind="chapter"><SubClass code="A00-A09"/>'
        '<Rubric kind="preferred"><Label xml:lang="en">Chapter of dreams</Label></Rubric></Class>'
        '<Class code="A00-A09" kind="block"><SuperClass code="I"/>'
        '<Rubric kind="preferred"><Label>Bad dreams</Label></Rubric></Class>'
        '<Class code="A00" kind="category"><SuperClass code="A00-A09"/>'
        '<Rubric kind="preferred"><Label>Night<Fragment> mare</Fragment></Label></Rubric>'
        '<Rubric kind="definition"><Label>It gallops</Label></Rubric></Class></ClaML>'
    ),
}
ATIH = {
    "LIBCIM10MULTI.TXT": (
        "R50   |0|N|0|SOMMEIL|Sommeil enchanté\r\nR501  |0|N|0|SOMM. LONG|Sommeil de cent ans\r\n"
        "R5011 |0|N|0|SOMM. PRINC.|Sommeil de cent ans d'une princesse\r\nZ99   |4|N|1|AUTRE|Autre conte\r\n"
    ).encode("cp1252"),
}
MMS = {
    "SimpleTabulation-ICD-11-MMS-en-2026-01.txt": (
        "Foundation URI\tLinearization (release) URI\tCode\tBlockId\tTitle\tClassKind\tDepthInKind\t"
        "IsResidual\tChapterNo\tBrowserLink\tisLeaf\n"
        "\t\t\t\tTales\tchapter\t1\tFalse\t01\t\tFalse\n"
        "http://id.test/1\t\t\tBlockL1-1A0\t- Fairy tales\tblock\t1\tFalse\t01\t\tFalse\n"
        'http://id.test/2\t\t1A00\t\t"- - Frog prince"\tcategory\t1\tFalse\t01\t\tTrue\n'
        "http://id.test/3\t\t1A01\t\t- - Sleeping beauty\tcategory\t1\tFalse\t01\t\tTrue\n"
    ),
}
ATC = {
    "ATC_2026.csv": (
        "ATC code;ATC level name;DDD\nZ;POTIONS;\nZ10;Love potions;\nZ10A;Strong ones;\nZ10AA;Very strong;\n"
        "Z10AA01;amorol;5\nZ10AA01;amorol;10\nZ10AA02;philtrol;\n"
    ),
}
BDPM = {
    "CIS_bdpm.txt": (
        "60000001\tPHILTRE 5 mg, comprimé\tcomprimé\torale\tAutorisation active\tProcédure nationale\t"
        "Commercialisée\t01/01/2020\t\t\t LABO\tNon\n"
        "60000002\tELIXIR 1 %, sirop\tsirop\torale\tAutorisation archivée\tProcédure nationale\t"
        "Non commercialisée\t01/01/1990\t\t\t LABO\tOui\n"
    ).encode("cp1252"),
}
TRE = {
    "TRE_R999-Couleurs.tabs": (
        "Code\tLibellé\tLibellé court\tDate fin\tCode parent\nC1\tCouleur\t\t\t\n"
        "C2\tVert émeraude\tVert\t\tC1\n"
        "C3\tMauve\t\t2020-01-01\tC1\n"
    ),
}
JDV = {
    "JDV_J999-Palette.csv": (
        "OID,Code,Libellé,Date fin\n1.2.3.4,V,Vert,\n1.2.3.4,R,Rouge,2020-01-01\n"
        "2.16.840.1.113883.6.1,99991-1,Lune,\n"
    ),
}
SVS = {
    "JDV_J998.xml": (
        '<RetrieveValueSetResponse xmlns="urn:ihe:iti:svs:2008"><ValueSet id="1.2.3.998" '
        'displayName="JDV_J998_Saisons.tabs" description="Saisons" revisionDate="2026-02-01T00:00:00+01:00" '
        'urlFichier="https://mos.esante.gouv.fr/NOS/JDV_J998-Saisons"><ConceptList>'
        '<Concept code="P" codeSystem="1.2.3.5" displayName="Printemps"/>'
        '<Concept code="H" codeSystem="1.2.3.5" displayName="Hiver" dateFin="20200101"/>'
        '<Concept code="99991-1" codeSystem="2.16.840.1.113883.6.1" displayName="Lune"/>'
        "</ConceptList></ValueSet></RetrieveValueSetResponse>"
    ),
}


def unpacked(release: dict[str, str] | dict[str, bytes] | dict[str, str | bytes], directory: Path) -> Path:
    """The files in a folder."""
    for name, content in release.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    return directory


def zipped(release: dict[str, str] | dict[str, bytes] | dict[str, str | bytes], file: Path) -> Path:
    """The files in a zip."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in release.items():
            archive.writestr(name, content)
    return file
