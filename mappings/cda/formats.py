"""What XDS wants to know of a document and CDA says otherwise: its format code and its class.

ASS_A11-CorresModeleCDA-XdsFormatCode-CISIS (2026-06-29), XDS-SD; of ASS_X04 (type -> class) what the
names of the types say.
"""

from typing import Final

from mappings.core.codes import system_of_oid
from mappings.core.result import Element

FRENCH_FORMATS: Final = system_of_oid("1.2.250.1.213.1.1.4.2.282")
IHE_FORMATS: Final = system_of_oid("1.3.6.1.4.1.19376.1.2.3")

FORMAT_OF_TEMPLATE: Final = {
    "1.2.250.1.213.1.1.1.2.1.1": "urn:asip:ci-sis:avk:2009",
    "1.2.250.1.213.1.1.1.2.1.2": "urn:asip:ci-sis:tap:2009",
    "1.2.250.1.213.1.1.1.2.1.3": "urn:asip:ci-sis:dci:2009",
    "1.2.250.1.213.1.1.1.2.1.4": "urn:asip:ci-sis:psc:2009",
    "1.2.250.1.213.1.1.1.2.1.5": "urn:asip:ci-sis:ppv:2009",
    "1.2.250.1.213.1.1.1.5.1": "urn:asip:ci-sis:cse-cs8:2017",
    "1.2.250.1.213.1.1.1.5.2": "urn:asip:ci-sis:cse-cs9:2017",
    "1.2.250.1.213.1.1.1.5.3": "urn:asip:ci-sis:cse-cs24:2017",
    "1.2.250.1.213.1.1.1.5.4": "urn:ans:ci-sis:cse-mde:2023",
    "1.2.250.1.213.1.1.1.8": "urn:asip:ci-sis:frcp:2011",
    "1.2.250.1.213.1.1.1.9": "urn:asip:ci-sis:idap:2011",
    "1.2.250.1.213.1.1.1.10": "urn:asip:ci-sis:cva:2017",
    "1.2.250.1.213.1.1.1.12.1": "urn:asip:ci-sis:obp-sap:2023",
    "1.2.250.1.213.1.1.1.12.2": "urn:asip:ci-sis:obp-snm:2023",
    "1.2.250.1.213.1.1.1.12.3": "urn:asip:ci-sis:obp-sne:2023",
    "1.2.250.1.213.1.1.1.12.4": "urn:asip:ci-sis:obp-scm:2023",
    "1.2.250.1.213.1.1.1.12.5": "urn:asip:ci-sis:obp-sem:2023",
    "1.2.250.1.213.1.1.1.13": "urn:asip:ci-sis:vsm:2012",
    "1.2.250.1.213.1.1.1.15": "urn:asip:ci-sis:aunv:2013",
    "1.2.250.1.213.1.1.1.16": "urn:asip:ci-sis:eunv:2013",
    "1.2.250.1.213.1.1.1.17": "urn:asip:ci-sis:sunv:2013",
    "1.2.250.1.213.1.1.1.18": "urn:asip:ci-sis:crrtn:2013",
    "1.2.250.1.213.1.1.1.20": "urn:asip:ci-sis:pps-paerpa:2017",
    "1.2.250.1.213.1.1.1.21": "urn:asip:ci-sis:ldl-ees:2017",
    "1.2.250.1.213.1.1.1.22": "urn:asip:ci-sis:dlu:2015",
    "1.2.250.1.213.1.1.1.23": "urn:asip:ci-sis:fludt:2017",
    "1.2.250.1.213.1.1.1.24": "urn:asip:ci-sis:fludr:2017",
    "1.2.250.1.213.1.1.1.25": "urn:asip:ci-sis:pavc:2016",
    "1.2.250.1.213.1.1.1.26": "urn:asip:ci-sis:pps-cancer:2017",
    "1.2.250.1.213.1.1.1.27": "urn:asip:ci-sis:d2lm-fin:2017",
    "1.2.250.1.213.1.1.1.28": "urn:asip:ci-sis:d2lm-fidd:2017",
    "1.2.250.1.213.1.1.1.29": "urn:asip:ci-sis:ldl-ses:2017",
    "1.2.250.1.213.1.1.1.30": "urn:asip:ci-sis:sdm-mr:2017",
    "1.2.250.1.213.1.1.1.32": "urn:asip:ci-sis:crgm:2018",
    "1.2.250.1.213.1.1.1.36": "urn:asip:ci-sis:hr:2019",
    "1.2.250.1.213.1.1.1.37": "urn:asip:ci-sis:vac:2019",
    "1.2.250.1.213.1.1.1.38": "urn:asip:ci-sis:tlm-da:2020",
    "1.2.250.1.213.1.1.1.39": "urn:ihe:pharm:pre:2010",
    "1.2.250.1.213.1.1.1.40": "urn:asip:ci-sis:cr-anest:2020",
    "1.2.250.1.213.1.1.1.41": "urn:asip:ci-sis:cr-cpa:2020",
    "1.2.250.1.213.1.1.1.42": "urn:ihe:eyecare:geneyeevalcn:2014",
    "1.2.250.1.213.1.1.1.43": "urn:ihe:eyecare:geneyeevalcn:2014",
    "1.2.250.1.213.1.1.1.44": "urn:ihe:eyecare:geneyeevalcn:2014",
    "1.2.250.1.213.1.1.1.45": "urn:ihe:rad:CDA:ImagingReportStructuredHeadings:2013",
    "1.2.250.1.213.1.1.1.46": "urn:asip:ci-sis:vac-note:2021",
    "1.2.250.1.213.1.1.1.47": "urn:ans:ci-sis:img-da:2022",
    "1.2.250.1.213.1.1.1.48": "urn:asip:ci-sis:dlu-dlu-dom:2022",
    "1.2.250.1.213.1.1.1.49": "urn:asip:ci-sis:dlu-fludt-dom:2022",
    "1.2.250.1.213.1.1.1.50": "urn:asip:ci-sis:dlu-fludr-dom:2022",
    "1.2.250.1.213.1.1.1.51": "urn:ihe:pcc:ips:2020",
    "1.2.250.1.213.1.1.1.52": "urn:ans:ci-sis:bio-ep-bio:2022",
    "1.2.250.1.213.1.1.1.54": "urn:ihe:pharm:dis:2010",
    "1.2.250.1.213.1.1.1.55": "urn:ihe:lab:xd-lab:2008",
    "1.2.250.1.213.1.1.1.56": "urn:asip:ci-sis:ppp:2023",
    "1.2.250.1.213.1.1.1.57": "urn:ihe:palm:apsr:2016",
    "1.2.250.1.213.1.1.1.58": "urn:asip:ci-sis:export-dui:2023",
    "1.3.6.1.4.1.19376.1.3.3": "urn:ihe:lab:xd-lab:2008",
    "1.3.6.1.4.1.19376.1.8.1.1.1": "urn:ihe:pat:apsr:all:2010",
}
"""templateId of a document's model -> format code."""

FORMAT_OF_MEDIA_TYPE: Final = {
    "application/pdf": "urn:ihe:iti:xds-sd:pdf:2008",
    "text/plain": "urn:ihe:iti:xds-sd:text:2008",
    "image/jpeg": "urn:ihe:iti-fr:xds-sd:jpeg:2010",
    "image/tiff": "urn:ihe:iti-fr:xds-sd:tiff:2010",
    "text/rtf": "urn:ihe:iti-fr:xds-sd:rtf:2010",
}
"""What a level 1 document embeds -> format code."""


def format_of(template_ids: list[str], embedded: str = "") -> Element | None:
    """The format of a document with these models, or of a level 1 document embedding this media type."""
    codes = [FORMAT_OF_TEMPLATE[oid] for oid in template_ids if oid in FORMAT_OF_TEMPLATE]
    code = FORMAT_OF_MEDIA_TYPE.get(embedded) if embedded else (codes[-1] if codes else None)
    if code is None:
        return None
    return {"system": IHE_FORMATS if code.startswith("urn:ihe:") else FRENCH_FORMATS, "code": code}


CLASSES: Final = system_of_oid("1.2.250.1.213.1.1.4.1")
_TYPES_OF_CLASS: Final = {
    ("10", "Compte rendu"): (
        *("11488-4", "11502-2", "11505-5", "11506-3", "11526-1", "15507-7", "15508-5", "28570-0", "34112-3"),
        *("34749-2", "34794-8", "34874-8", "47420-5", "51969-4", "59283-2", "60568-3", "67851-6", "70004-7"),
        *("75482-0", "75492-9", "77436-4", "78513-9", "78601-2", "85208-7", "89233-1", "93024-8", "BIL_AUTO"),
    ),
    ("11", "Synthèse"): (
        *("34133-9", "57055-6", "57057-2", "57075-4", "60591-5", "68599-0", "78489-2", "89235-6", "SYNTH"),
    ),
    ("31", "Imagerie médicale"): ("18748-4", "52040-3", "IMG-KOS"),
    ("42", "Prescription"): (
        *("57828-6", "57832-8", "57833-6", "PRESC-AAT", "PRESC-BIO", "PRESC-INF", "PRESC-KINE"),
        *("PRESC-ORTHOPHO", "PRESC-ORTHOPTIE", "PRESC-PEDI"),
    ),
    ("43", "Dispensation"): ("60590-7", "60593-1", "DISP_AUT"),
    ("44", "Plan de soins, protocole de soins"): ("18776-5", "PROT_ALD"),
    ("52", "Certificat, déclaration"): ("89601-9", "CERT_DECL"),
    ("60", "Données de remboursement"): ("REMB",),
    ("90", "Documents du patient"): (
        *("EXPPAT_1", "EXPPAT_2", "EXPPAT_3", "DOCPAT01", "DOCPAT02", "DOCPAT03", "DOCPAT04", "DOCPAT05"),
        *("DOCPAT06", "DOCPAT07", "DOCPAT08", "DOCPAT09"),
    ),
}
"""Code and name of a class (TRE_A03) -> codes of types of documents (LOINC, TRE_A05) in JDV_J07.

The association table ASS_X04 is not public everywhere: here stand the types whose French name in JDV_J07
names the class ("CR de...", "Synthèse...", "Prescription...", "... déposé par le patient"), and imaging.
"""

CLASS_OF_TYPE: Final = {code: found for found, codes in _TYPES_OF_CLASS.items() for code in codes}
"""Code of a document's type -> code and name of its class."""

_CLASS_OF_PREFIX: Final = (
    ("PRESC-", ("42", "Prescription")),
    ("DOCPAT", ("90", "Documents du patient")),
    ("EXPPAT", ("90", "Documents du patient")),
)


def class_of(kind: Element | None) -> Element | None:
    """The class of documents of a type; None where the type does not say it for certain."""
    for coding in (kind or {}).get("coding", []):
        code = coding.get("code", "")
        prefixed = (found for prefix, found in _CLASS_OF_PREFIX if code.startswith(prefix))
        if found := CLASS_OF_TYPE.get(code) or next(prefixed, None):
            return {"coding": [{"system": CLASSES, "code": found[0], "display": found[1]}]}
    return None
