"""The codes that the synthetic records use, as FHIR codings."""

from typing import Any

Element = dict[str, Any]

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
ATC = "http://www.whocc.no/atc"
HL7 = "http://terminology.hl7.org/CodeSystem"
FR_CORE = "https://hl7.fr/ig/fhir/core/StructureDefinition"
NOS = "https://mos.esante.gouv.fr/NOS"
CLASSES = f"{NOS}/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
TYPES = f"{NOS}/TRE_A05-TypeDocComplementaire/FHIR/TRE-A05-TypeDocComplementaire"
VISIBILITY = f"{NOS}/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
SETTINGS = f"{NOS}/TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice"
FACILITIES = f"{NOS}/TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite"
FORMATS = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
COMMUNES = f"{NOS}/TRE_R13-CommuneOM/FHIR/TRE-R13-CommuneOM"
MAIL_TYPES = f"{NOS}/TRE_R256-TypeMessagerie/FHIR/TRE-R256-TypeMessagerie"
ID_NAT = "urn:oid:1.2.250.1.71.4.2.1"


def coding(system: str, code: str, display: str = "") -> Element:
    found = {"system": system, "code": code}
    return {**found, "display": display} if display else found


def concept(system: str, code: str, display: str = "", text: str = "") -> Element:
    found: Element = {"coding": [coding(system, code, display)]}
    return {**found, "text": text} if text else found


CBC = (
    ("718-7", "Hémoglobine", "g/dL", 13.9, 1.2, 12.0, 17.0, 1),
    ("6690-2", "Leucocytes", "10*9/L", 6.8, 1.7, 4.0, 10.0, 2),
    ("777-3", "Plaquettes", "10*9/L", 262.0, 60.0, 150.0, 400.0, 0),
    ("4544-3", "Hématocrite", "%", 42.0, 3.5, 37.0, 50.0, 1),
    ("14682-9", "Créatinine", "umol/L", 78.0, 16.0, 45.0, 104.0, 0),
    ("14749-6", "Glucose", "mmol/L", 5.3, 0.9, 3.9, 5.8, 2),
)
"""LOINC code, name, UCUM unit, mean, deviation, low and high of the reference range, digits."""

ALLERGIES = (
    (ATC, "J01CA04", "amoxicilline", "medication", "126485001", "urticaire"),
    (ATC, "N02BA01", "acide acétylsalicylique", "medication", "41291007", "angio-œdème"),
    (ATC, "M01AE01", "ibuprofène", "medication", "271807003", "éruption cutanée"),
    (ATC, "J01EE01", "sulfaméthoxazole et triméthoprime", "medication", "271807003", "éruption cutanée"),
    (SNOMED, "256349002", "arachide", "food", "39579001", "anaphylaxie"),
    (SNOMED, "102263004", "œufs", "food", "126485001", "urticaire"),
    (SNOMED, "3718001", "lait de vache", "food", "422587007", "nausées"),
    (SNOMED, "256277009", "pollen de graminées", "environment", "76067001", "éternuements"),
    (SNOMED, "260147004", "acariens", "environment", "76067001", "éternuements"),
    (SNOMED, "111088007", "latex", "environment", "126485001", "urticaire"),
    (SNOMED, "288328004", "venin d'abeille", "biologic", "39579001", "anaphylaxie"),
)
"""System, code and name of the substance, category, SNOMED CT code and name of the manifestation."""

VACCINES = {
    "hexa": ("J07CA09", "diphtérie, tétanos, coqueluche, polio, Hib, hépatite B"),
    "pneumo": ("J07AL02", "pneumocoque conjugué"),
    "menc": ("J07AH07", "méningocoque C conjugué"),
    "ror": ("J07BD52", "rougeole, oreillons, rubéole"),
    "dtcap": ("J07CA02", "diphtérie, tétanos, coqueluche, polio"),
    "dtp": ("J07CA01", "diphtérie, tétanos, polio"),
    "hpv": ("J07BM03", "papillomavirus humain, 9 valences"),
    "flu": ("J07BB02", "grippe saisonnière"),
    "covid": ("J07BN01", "covid-19, ARN messager"),
    "zona": ("J07BK03", "zona recombinant"),
}
"""ATC code and name."""

DOCUMENTS = (
    (
        "10",
        "Compte rendu",
        LOINC,
        "11488-4",
        "CR ou fiche de consultation ou de visite",
        "SA07",
        "AMBULATOIRE",
    ),
    ("10", "Compte rendu", LOINC, "34112-3", "CR hospitalier (séjour)", "SA01", "ETABLISSEMENT"),
    ("10", "Compte rendu", LOINC, "11502-2", "CR d'examens biologiques", "SA25", "AMBULATOIRE"),
    ("31", "Imagerie médicale", LOINC, "18748-4", "CR d'imagerie médicale", "SA01", "ETABLISSEMENT"),
    ("11", "Synthèse", LOINC, "60591-5", "Synthèse médicale", "SA07", "AMBULATOIRE"),
    ("10", "Compte rendu", LOINC, "11490-0", "Lettre de liaison à la sortie", "SA01", "ETABLISSEMENT"),
    ("42", "Prescription", LOINC, "57833-6", "Prescription de produits de santé", "SA07", "AMBULATOIRE"),
    ("52", "Certificat, déclaration", TYPES, "CERT_DECL", "Certificat, déclaration", "SA07", "AMBULATOIRE"),
)
"""Class code and name, system, code and name of the type, sector of activity, practice setting."""
DOCUMENT_WEIGHTS = (30, 8, 22, 10, 5, 6, 16, 3)

VISIBILITIES = {
    "MASQUE_PS": "Masqué aux professionnels de santé",
    "INVISIBLE_PATIENT": "Non visible par le patient",
    "INVISIBLE_REPRESENTANTS_LEGAUX": "Non visible par les représentants légaux du patient",
}
