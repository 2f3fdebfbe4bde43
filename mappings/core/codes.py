"""Code systems: the OIDs and short names legacy standards use, and their URIs in FHIR.

https://hl7.org/fhir/R4/terminologies-systems.html, https://terminology.hl7.org, https://mos.esante.gouv.fr
"""

import re
from typing import Final

V3: Final = "http://terminology.hl7.org/CodeSystem/v3-"

SYSTEM_OF_OID: Final = {
    "2.16.840.1.113883.6.1": "http://loinc.org",
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.6.3": "http://hl7.org/fhir/sid/icd-10",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "2.16.840.1.113883.6.103": "http://hl7.org/fhir/sid/icd-9-cm",
    "2.16.840.1.113883.6.347": "http://id.who.int/icd/release/11/mms",
    "2.16.840.1.113883.6.73": "http://www.whocc.no/atc",
    "2.16.840.1.113883.6.8": "http://unitsofmeasure.org",
    "2.16.840.1.113883.6.163": "https://www.meddra.org",
    "2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "2.16.840.1.113883.6.69": "http://hl7.org/fhir/sid/ndc",
    "2.16.840.1.113883.6.12": "http://www.ama-assn.org/go/cpt",
    "2.16.840.1.113883.6.121": "urn:ietf:bcp:47",
    "2.16.840.1.113883.6.238": "urn:oid:2.16.840.1.113883.6.238",
    "2.16.840.1.113883.12.292": "http://hl7.org/fhir/sid/cvx",
    "2.16.840.1.113883.12.227": "http://hl7.org/fhir/sid/mvx",
    "2.16.840.1.113883.4.9": "http://fdasis.nlm.nih.gov",
    "1.2.840.10008.2.16.4": "http://dicom.nema.org/resources/ontology/DCM",
    "1.2.840.10008.2.6.1": "urn:oid:1.2.840.10008.2.6.1",
    "1.0.3166.1.2.2": "urn:iso:std:iso:3166",
    "1.0.3166.1.2.3": "urn:iso:std:iso:3166",
    "1.3.6.1.4.1.12009.10.3.1": "http://unitsofmeasure.org",
    # IHE and ASTM
    "1.3.6.1.4.1.19376.1.2.3": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "0.4.0.127.0.16.1.1.2.1": "http://standardterms.edqm.eu",
    # HL7 v3
    "2.16.840.1.113883.5.1": V3 + "AdministrativeGender",
    "2.16.840.1.113883.5.2": V3 + "MaritalStatus",
    "2.16.840.1.113883.5.4": V3 + "ActCode",
    "2.16.840.1.113883.5.6": V3 + "ActClass",
    "2.16.840.1.113883.5.7": V3 + "ActPriority",
    "2.16.840.1.113883.5.8": V3 + "ActReason",
    "2.16.840.1.113883.5.14": V3 + "ActStatus",
    "2.16.840.1.113883.5.25": V3 + "Confidentiality",
    "2.16.840.1.113883.5.83": V3 + "ObservationInterpretation",
    "2.16.840.1.113883.5.84": V3 + "ObservationMethod",
    "2.16.840.1.113883.5.88": V3 + "ParticipationFunction",
    "2.16.840.1.113883.5.90": V3 + "ParticipationType",
    "2.16.840.1.113883.5.110": V3 + "RoleClass",
    "2.16.840.1.113883.5.111": V3 + "RoleCode",
    "2.16.840.1.113883.5.112": V3 + "RouteOfAdministration",
    "2.16.840.1.113883.5.129": V3 + "SpecimenType",
    "2.16.840.1.113883.5.1008": V3 + "NullFlavor",
    "2.16.840.1.113883.5.1052": V3 + "ActSite",
    "2.16.840.1.113883.5.1063": V3 + "ObservationValue",
    "2.16.840.1.113883.5.1150.1": "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips",
    # France
    "1.2.250.1.213.2.3.1": "https://smt.esante.gouv.fr/terminologie-bdpm",
    "1.2.250.1.213.2.5": "https://smt.esante.gouv.fr/terminologie-ccam",
    "1.2.250.1.213.1.1.4.1": "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument",
    "1.2.250.1.213.1.1.4.12": "https://mos.esante.gouv.fr/NOS/TRE_A05-TypeDocComplementaire/FHIR/TRE-A05-TypeDocComplementaire",
    "1.2.250.1.213.1.1.4.13": (
        "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
    ),
    "1.2.250.1.213.1.1.4.2.282": (
        "https://mos.esante.gouv.fr/NOS/TRE_A06-FormatCodeComplementaire/FHIR/TRE-A06-FormatCodeComplementaire"
    ),
    "1.2.250.1.71.4.2.4": "https://mos.esante.gouv.fr/NOS/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite",
    "1.2.250.1.213.1.1.4.6": (
        "https://mos.esante.gouv.fr/NOS/TRE_A00-ProducteurDocNonPS/FHIR/TRE-A00-ProducteurDocNonPS"
    ),
    "1.2.250.1.213.1.1.4.9": (
        "https://mos.esante.gouv.fr/NOS/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"
    ),
}
"""OID of a code system -> its URI in FHIR."""

SYSTEM_OF_NAME: Final = {
    "LN": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SCT2": "http://snomed.info/sct",
    "SNM3": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct",
    "SNOMED-CT": "http://snomed.info/sct",
    "SNOMEDCT": "http://snomed.info/sct",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10": "http://hl7.org/fhir/sid/icd-10",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD-10-CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD-9-CM": "http://hl7.org/fhir/sid/icd-9-cm",
    "CIM10": "http://hl7.org/fhir/sid/icd-10",
    "CIM-10": "http://hl7.org/fhir/sid/icd-10",
    "ATC": "http://www.whocc.no/atc",
    "WC": "http://www.whocc.no/atc",
    "UCUM": "http://unitsofmeasure.org",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "MVX": "http://hl7.org/fhir/sid/mvx",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "UNII": "http://fdasis.nlm.nih.gov",
    "MDC": "urn:iso:std:iso:11073:10101",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "NCIT": "http://ncithesaurus-stage.nci.nih.gov",
    "CCAM": "https://smt.esante.gouv.fr/terminologie-ccam",
    "CDCREC": "urn:oid:2.16.840.1.113883.6.238",
    "ISO3166_1": "urn:iso:std:iso:3166",
    "HL70399": "urn:iso:std:iso:3166",
    "ISO639": "urn:ietf:bcp:47",
}
"""Short names of coding systems (HL7 table 0396 and what is really sent), upper case -> URI."""

OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_V2_TABLE = re.compile(r"HL7[- ]?([0-9]{4})|([0-9]{4})")
_V2_OID = re.compile(r"2\.16\.840\.1\.113883\.12\.([0-9]{1,4})")


def system_of_oid(oid: str) -> str:
    """The URI of the code or identifier system with this OID; ``urn:oid:...`` when it has no other."""
    if (known := SYSTEM_OF_OID.get(oid)) is not None:
        return known
    if (table := _V2_OID.fullmatch(oid)) is not None:
        return f"http://terminology.hl7.org/CodeSystem/v2-{int(table[1]):04}"
    return f"urn:oid:{oid}"


def system_of_name(name: str) -> str | None:
    """The URI of a coding system named as in HL7v2 (``LN``, ``HL70001``, an OID, a URI); None if unknown."""
    name = name.strip()
    if (known := SYSTEM_OF_NAME.get(name.upper())) is not None:
        return known
    if (table := _V2_TABLE.fullmatch(name.upper())) is not None:
        return f"http://terminology.hl7.org/CodeSystem/v2-{table[1] or table[2]}"
    if OID.fullmatch(name):
        return system_of_oid(name)
    if name.startswith(("http://", "https://", "urn:")) and not re.search(r"\s", name):
        return name
    return None
