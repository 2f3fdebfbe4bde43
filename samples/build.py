"""Put the PDFs into the samples, with the hash and size of what holds them, and zip the submission.

``python -m samples.build`` rewrites the samples in place; run twice, it changes nothing the second time.
"""

import hashlib
import re
from base64 import b64encode
from pathlib import Path

from benchmarks import pdf
from fhirserver.demo.samples import FOLDER, zipped

_WHO = "Éloïse DURAND-LEFÈVRE, née LEFÈVRE le 14/03/1984"
_DOCUMENT = "xdm/IHE_XDM/SUBSET01/DOC0001.XML"
_METADATA = "xdm/IHE_XDM/SUBSET01/METADATA.XML"

PAGES = {
    "document.json": (
        "COMPTE RENDU DE CONSULTATION",
        _WHO,
        "Dr Hélène MARCHAND, médecin généraliste, le 2 octobre 2025",
        "",
        "Motif : fatigue depuis un mois.",
        "Examen : pâleur conjonctivale, tension artérielle 118/72 mmHg.",
        "Conduite : hémogramme et bilan martial ; avis hématologique.",
    ),
    "oru-r01.hl7": (
        "COMPTE RENDU D'EXAMENS BIOLOGIQUES",
        _WHO,
        "Laboratoire du CHU de Valmont (fictif), prélèvement du 6 octobre 2025 à 8 h 40",
        "",
        "Hémoglobine     9,80 g/dL      (12,00 - 16,00)   bas",
        "Leucocytes      5,60 10*9/L    (4,00 - 10,00)",
        "Plaquettes      412 10*9/L     (150 - 400)       haut",
        "Conclusion : anémie microcytaire, carence martiale probable.",
    ),
    "mdm-t02.hl7": (
        "COMPTE RENDU DE CONSULTATION D'HÉMATOLOGIE",
        _WHO,
        "Dr Loïc BERNIER, CHU de Valmont (fictif), le 9 octobre 2025",
        "",
        "Anémie par carence martiale. Supplémentation en fer par voie orale, trois mois.",
        "Contrôle de l'hémogramme dans six semaines.",
    ),
    _DOCUMENT: (
        "LETTRE DE LIAISON À LA SORTIE",
        _WHO,
        "CHU de Valmont (fictif), hospitalisation du 6 au 9 octobre 2025",
        "",
        "Madame, cher Confrère,",
        "Votre patiente sort ce jour avec une supplémentation en fer.",
        "Allergies : amoxicilline, acide acétylsalicylique.",
    ),
}
"""The sample that holds the PDF -> the lines of its page."""

_PDF = re.compile(r"JVBERi0[A-Za-z0-9+/]*=*")  # base64 always starts so where a PDF does


def build(folder: Path) -> dict[str, bytes]:
    """What the samples that hold a PDF should be, by name."""
    built = {}
    for name, lines in PAGES.items():
        content = pdf.page(lines)
        text = _PDF.sub(b64encode(content).decode(), (folder / name).read_bytes().decode())
        built[name] = (_attachment(text, content) if name.endswith(".json") else text).encode()
    metadata = (folder / _METADATA).read_bytes().decode()
    digest = hashlib.sha1(built[_DOCUMENT], usedforsecurity=False).hexdigest()
    size = str(len(built[_DOCUMENT]))
    built[_METADATA] = _slot(_slot(metadata, "hash", digest), "size", size).encode()
    return built


def _attachment(text: str, content: bytes) -> str:
    digest = b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
    text = re.sub(r'"size": \d+', f'"size": {len(content)}', text)
    return re.sub(r'"hash": "[^"]*"', f'"hash": "{digest}"', text)


def _slot(text: str, name: str, value: str) -> str:
    return re.sub(rf'(<rim:Slot name="{name}"><rim:ValueList><rim:Value>)[^<]*', rf"\g<1>{value}", text)


if __name__ == "__main__":
    for name, content in build(FOLDER).items():
        (FOLDER / name).write_bytes(content)
    (FOLDER / "submission.zip").write_bytes(zipped(FOLDER / "xdm"))
