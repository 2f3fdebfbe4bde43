"""HL7 tables as FHIR codes: the official v2-to-FHIR vocabularies, and what they lack.

https://build.fhir.org/ig/HL7/v2-to-fhir/coding_system_maps.html. What a site may change is a ConceptMap.
"""

from typing import Final

TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"

# 0001 Administrative Sex -> administrative-gender
GENDER: Final = {"F": "female", "M": "male", "O": "other", "U": "unknown", "A": "other", "N": "other"}

# 0002 Marital Status -> v3-MaritalStatus
MARITAL_STATUS: Final = {
    "A": "L",
    "D": "D",
    "M": "M",
    "S": "S",
    "W": "W",
    "C": "C",
    "G": "T",
    "P": "T",
    "R": "T",
    "E": "L",
    "I": "I",
    "B": "U",
}

# 0004 Patient Class -> v3-ActCode (Encounter.class)
ENCOUNTER_CLASS: Final = {"E": "EMER", "I": "IMP", "O": "AMB", "P": "PRENC", "R": "AMB", "B": "IMP"}

# 0004 Patient Class -> encounter-status
ENCOUNTER_STATUS: Final = {
    "E": "in-progress",
    "I": "in-progress",
    "O": "in-progress",
    "P": "planned",
    "R": "in-progress",
    "B": "in-progress",
    "C": "in-progress",
    "N": "in-progress",
}

# 0078 Interpretation Codes that v3-ObservationInterpretation has too
INTERPRETATION: Final = frozenset(
    [
        "A",
        "AA",
        "B",
        "D",
        "DET",
        "E",
        "H",
        "HH",
        "HM",
        "HU",
        "HX",
        "IE",
        "IND",
        "L",
        "LL",
        "LU",
        "LX",
        "N",
        "ND",
        "NEG",
        "NR",
        "NS",
        "POS",
        "QCF",
        "R",
        "RR",
        "S",
        "SDD",
        "SYN-R",
        "SYN-S",
        "TOX",
        "U",
        "W",
        "WR",
        "<",
        ">",
        "MS",
        "VS",
        "I",
    ]
)

# 0085 Observation Result Status -> observation-status; B I N O R S V U are not in the official table
OBSERVATION_STATUS: Final = {
    "A": "amended",
    "B": "amended",
    "C": "corrected",
    "D": "entered-in-error",
    "F": "final",
    "I": "registered",
    "N": "registered",
    "O": "registered",
    "P": "preliminary",
    "R": "preliminary",
    "S": "preliminary",
    "U": "final",
    "V": "final",
    "W": "entered-in-error",
    "X": "cancelled",
}

# 0085 Observation Result Status -> composition-status, for what carries a document
DOCUMENT_STATUS_OF_OBSERVATION: Final = {
    "A": "amended",
    "C": "amended",
    "D": "entered-in-error",
    "F": "final",
    "P": "preliminary",
    "R": "preliminary",
    "S": "preliminary",
    "U": "final",
    "V": "final",
    "W": "entered-in-error",
}

# 0123 Result Status -> diagnostic-report-status; A M N are not in the official table, Y and Z are no results
REPORT_STATUS: Final = {
    "A": "partial",
    "C": "corrected",
    "F": "final",
    "I": "registered",
    "M": "preliminary",
    "N": "partial",
    "O": "registered",
    "P": "preliminary",
    "R": "partial",
    "S": "registered",
    "X": "cancelled",
}

# 0074 Diagnostic Service Section -> observation-category
OBSERVATION_CATEGORY: Final = dict.fromkeys(
    ["BG", "BLB", "CH", "CP", "HM", "IMM", "LAB", "MB", "MCB", "MYC", "PAT", "SP", "SR", "TX", "VR"],
    "laboratory",
) | dict.fromkeys(["CT", "CUS", "NMR", "NMS", "OUS", "RAD", "RUS", "RX", "VUS", "XRC"], "imaging")

# 0127 Allergen Type -> allergy-intolerance-category; allergy-intolerance-type is allergy for all but MC
ALLERGY_CATEGORY: Final = {
    "DA": "medication",
    "FA": "food",
    "EA": "environment",
    "AA": "biologic",
    "PA": "environment",
    "LA": "environment",
}
ALLERGY_TYPE: Final = dict.fromkeys(["DA", "FA", "MA", "EA", "AA", "PA", "LA"], "allergy")

# 0128 Allergy Severity -> reaction-event-severity, allergy-intolerance-criticality
REACTION_SEVERITY: Final = {"SV": "severe", "MO": "moderate", "MI": "mild"}
CRITICALITY: Final = {"SV": "high", "MI": "low"}

# 0436 Sensitivity to Causative Agent -> allergy-intolerance-type
SENSITIVITY: Final = {"AL": "allergy", "IN": "intolerance"}

# 0438 Allergy Clinical Status -> allergyintolerance-verification, allergyintolerance-clinical
ALLERGY_STATUS: Final = {
    "C": ("confirmed", "active"),
    "D": ("unconfirmed", "active"),
    "E": ("entered-in-error", None),
    "I": ("confirmed", "inactive"),
    "P": ("unconfirmed", "active"),
    "S": ("unconfirmed", "active"),
    "U": ("unconfirmed", "active"),
}

# 0063 Relationship -> v3-RoleCode
RELATIONSHIP: Final = {
    "SEL": "ONESELF",
    "SPO": "SPS",
    "DOM": "SIGOTHR",
    "CHD": "CHILD",
    "GCH": "GRNDCHILD",
    "NCH": "NCHILD",
    "SCH": "STPCHLD",
    "FCH": "CHLDFOST",
    "PAR": "PRN",
    "MTH": "MTH",
    "FTH": "FTH",
    "GRD": "GUARD",
    "GRP": "GRPRN",
    "EXF": "EXT",
    "SIB": "SIB",
    "BRO": "BRO",
    "SIS": "SIS",
    "FND": "FRND",
}

# 0190 Address Type -> address-use, address-type
ADDRESS_USE: Final = {"BA": "old", "BI": "billing", "C": "temp", "B": "work", "H": "home", "O": "work"}
ADDRESS_TYPE: Final = {"M": "postal", "SH": "postal"}

# 0200 Name Type -> name-use
NAME_USE: Final = {
    "BAD": "old",
    "D": "usual",
    "L": "official",
    "M": "maiden",
    "MSK": "anonymous",
    "N": "nickname",
    "NAV": "temp",
    "R": "official",
    "TEMP": "temp",
    "B": "official",
}

# 0201 Telecommunication Use Code -> contact-point-use
TELECOM_USE: Final = {"PRN": "home", "WPN": "work", "PRS": "mobile", "VHN": "home", "ORN": "home"}

# 0202 Telecommunication Equipment Type -> contact-point-system
TELECOM_SYSTEM: Final = {
    "PH": "phone",
    "FX": "fax",
    "MD": "other",
    "CP": "phone",
    "SAT": "phone",
    "BP": "pager",
    "INTERNET": "email",
    "X.400": "email",
    "TDD": "other",
    "TTY": "other",
}

# 0270 Document Type -> LOINC
DOCUMENT_TYPE: Final = {
    "AR": "18743-5",
    "CN": "11488-4",
    "DI": "18748-4",
    "DS": "18842-5",
    "ED": "34111-5",
    "HP": "34117-2",
    "OP": "11504-8",
    "PN": "28570-0",
    "PR": "11506-3",
    "SP": "11526-1",
    "TS": "18761-7",
}

# 0271 Document Completion Status -> composition-status (not in the official tables)
DOCUMENT_COMPLETION: Final = {
    "AU": "final",
    "LA": "final",
    "DO": "preliminary",
    "DI": "preliminary",
    "IN": "preliminary",
    "IP": "preliminary",
    "PA": "preliminary",
}

# 0272 Document Confidentiality Status -> v3-Confidentiality
CONFIDENTIALITY: Final = {"V": "V", "R": "R", "U": "N"}

# 0273 Document Availability Status -> document-reference-status
DOCUMENT_AVAILABILITY: Final = {
    "AV": "current",
    "UN": "current",
    "OB": "superseded",
    "CA": "entered-in-error",
}

# 0191 and 0291, ED.2 and ED.3 -> MIME; the subtype decides when it is known
MIME: Final = {
    "PDF": "application/pdf",
    "RTF": "application/rtf",
    "XML": "text/xml",
    "HTML": "text/html",
    "JPEG": "image/jpeg",
    "JPG": "image/jpeg",
    "PNG": "image/png",
    "TIFF": "image/tiff",
    "TIF": "image/tiff",
    "GIF": "image/gif",
    "DICOM": "application/dicom",
    "MSWORD": "application/msword",
    "WORD": "application/msword",
    "X-HL7-CDA-LEVEL-ONE": "text/xml",
    "PLAIN": "text/plain; charset=utf-8",
    "OCTET-STREAM": "application/octet-stream",
}
MIME_OF_TYPE: Final = {
    "TEXT": "text/plain; charset=utf-8",
    "TX": "text/plain; charset=utf-8",
    "FT": "text/plain; charset=utf-8",
    "ST": "text/plain; charset=utf-8",
}

# 0322 Completion Status -> immunization-status
COMPLETION_STATUS: Final = {"CP": "completed", "PA": "completed", "RE": "not-done", "NA": "not-done"}

# 0162 Route of Administration -> v3-RouteOfAdministration, where the codes differ or are common
ROUTE: Final = {
    "ID": "IDINJ",
    "IM": "IM",
    "IV": "IVINJ",
    "NS": "NASINHL",
    "PO": "PO",
    "SC": "SQ",
    "TD": "TRNSDERM",
}

# CI-SIS MetaDMPMSS -> TRE_A07 StatutVisibiliteDocument
VISIBILITY: Final = {
    "MASQUE_PS": "MASQUE_PS",
    "INVISIBLE_PATIENT": "INVISIBLE_PATIENT",
    "INVISIBLE_REP_LEGAUX": "INVISIBLE_REPRESENTANTS_LEGAUX",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "INVISIBLE_REPRESENTANTS_LEGAUX",
    # A minor's secret connection keeps the document from the legal representatives.
    "CONNEXION_SECRETE": "INVISIBLE_REPRESENTANTS_LEGAUX",
}
VISIBILITY_SYSTEM: Final = (
    "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
)
