"""The official R4 examples: hl7.fhir.r4.examples 4.0.1 (CC0) of the npm registry, kept in ``.cache``."""

import hashlib
import tarfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CACHE = Path(__file__).parents[2] / ".cache"
NAME = "hl7.fhir.r4.examples-4.0.1.tgz"
URL = f"https://registry.npmjs.org/hl7.fhir.r4.examples/-/{NAME}"
SHA256 = "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682"
SECONDS = 240
LONGEST = 2_000_000
"""Bytes; the longer ones are Bundles of definitions."""

WRONG = {
    "MedicationRequest-medrx0301": "its dispenser is a Practitioner",
    "Observation-clinical-gender": "its performer is an Encounter",
    "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject": "a long id",
    **{
        f"SearchParameter-{kind}-extensions-{type}-{name}": "a SearchParameter without base"
        for kind, type in (("codesystem", "CodeSystem"), ("valueset", "ValueSet"))
        for name in ("author", "effective", "end", "keyword", "workflow")
    },
}
"""Examples that break R4 themselves, and how."""


def fetch() -> Path:
    """The package; downloaded once.

    Raises:
        OSError: the registry cannot be reached.
        ValueError: what came is not the package.
    """
    kept = CACHE / NAME
    if not kept.exists():
        with urllib.request.urlopen(URL, timeout=SECONDS) as answer:
            body = answer.read()
        if hashlib.sha256(body).hexdigest() != SHA256:
            raise ValueError(f"{URL} is not the package that was expected")
        CACHE.mkdir(exist_ok=True)
        partial = kept.with_suffix(".partial")
        partial.write_bytes(body)
        partial.rename(kept)
    return kept


def examples(types: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Name and body of the examples of these types, up to ``LONGEST``, in the package's order."""
    with tarfile.open(fetch()) as archive:
        for member in archive:
            name = PurePosixPath(member.name).stem
            if member.size <= LONGEST and name.partition("-")[0] in types:
                file = archive.extractfile(member)
                if file:
                    yield name, file.read()
