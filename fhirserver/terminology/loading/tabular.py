"""Tables with a header: CSV, TSV and the ``.tabs`` of the ANS; and those without one of the BDPM.

Which column is which is told by its name, in English or French, without case and accents.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fhirserver.model.json import Resource
from fhirserver.search.text import fold
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.content import Content, Options, System, head, need, texts
from fhirserver.terminology.loading.folder import Folder, Unreadable
from fhirserver.terminology.loading.svs import canonical_of_oid, nos_canonical

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "code": ("code", "code concept", "concept code", "code atc", "atc code", "notation", "conceptid", "id"),
    "display": (
        *("display", "libelle", "libelle long", "libelle complet", "label", "displayname", "display name"),
        *("name", "nom", "designation", "term", "title", "atc level name", "rdfs label", "prefered label fr"),
    ),
    "short": ("libelle court", "libelle abrege", "short", "shortname", "abbreviation"),
    "definition": ("definition", "description"),
    "parent": ("parent", "parents", "code parent", "parent code", "subclassof", "broader"),
    "system": ("system", "code system", "codesystem", "systeme", "oid", "oid tre", "nomenclature"),
    "end": ("datefin", "date fin", "date de fin", "end", "enddate", "valid to"),
    "status": ("status", "statut", "etat", "inactive", "actif"),
}
INACTIVE = ("inactive", "retired", "deprecated", "obsolete", "inactif", "supprime", "1", "true", "oui")
ATC = "http://www.whocc.no/atc"
ATC_LEVELS = (5, 4, 3, 1)
BDPM = "https://base-donnees-publique.medicaments.gouv.fr"
CIS = (
    *("", "", "forme", "voies", "statutAMM", "procedure", "commercialisation", "dateAMM", "statutBdm"),
    *("numeroEuropeen", "titulaires", "surveillanceRenforcee"),
)
"""The columns of CIS_bdpm.txt after code and name."""


def read(folder: Folder, options: Options) -> Content:
    """A code system, or the value set that ``options.value_set`` or a name with JDV says it is.

    Raises:
        Unreadable: there is no table, or no column for the code.
    """
    file = need(folder.find(r".*\.(csv|tsv|tabs|txt)"), "table (*.csv, *.tsv, *.tabs)")
    stem = file.rpartition("/")[2].rpartition(".")[0]
    if options.value_set or stem.upper().startswith("JDV"):
        return Content(resources=(_value_set(folder, file, stem, options),))
    if not options.system and not stem.upper().startswith("TRE"):
        raise Unreadable(f"The code system of {file} is not named: --system is missing")
    parents = {
        row["code"]: tuple(p for p in re.split(r"[,;|\s]+", row["parent"]) if p)
        for row in _records(folder, file)
        if row.get("parent")
    }

    def concepts() -> Iterator[Concept]:
        for row in _records(folder, file):
            yield _concept(row, parents.get(row["code"], ()))

    described = head(options, nos_canonical(stem), "", stem, stem)
    return Content((System(described, concepts, parents),))


def read_atc(folder: Folder, options: Options) -> Content:
    """ATC: a code is below the one of the level above that it begins with (A10BA02, A10BA, A10B, A10, A)."""
    file = need(folder.find(r".*\.(csv|tsv|txt)"), "table of ATC codes (*.csv)")
    codes = {row["code"] for row in _records(folder, file)}
    parents = {code: (above,) for code in codes if (above := _atc_parent(code, codes))}

    def concepts() -> Iterator[Concept]:
        seen: set[str] = set()
        for row in _records(folder, file):
            # A substance with several doses has several rows.
            if row["code"] not in seen:
                seen.add(row["code"])
                yield _concept(row, parents.get(row["code"], ()))

    return Content((System(head(options, ATC, "", "ATC", "ATC"), concepts, parents),))


def read_bdpm(folder: Folder, options: Options) -> Content:
    """``CIS_bdpm.txt``: the medicines of the French public database; presentations (CIP) are not in it."""
    file = need(folder.find(r"CIS_bdpm.*\.txt"), "CIS_bdpm.txt")

    def concepts() -> Iterator[Concept]:
        for row in folder.rows(file, "\t", quoted=False):
            if len(row) < 2 or not row[0].strip():
                raise Unreadable(f"{file} is not a table of medicines: a row has no code and name")
            fields = dict(zip(CIS[2:], (value.strip() for value in row[2:]), strict=False))
            stopped = fields.get("commercialisation", "").startswith("Non commercialis")
            yield Concept(row[0].strip(), row[1].strip(), properties=texts(**fields), inactive=stopped)

    described = head(options, f"{BDPM}/CIS", "", "BDPM_CIS", "Base de données publique des médicaments (CIS)")
    return Content((System(described, concepts),))


def _atc_parent(code: str, codes: set[str]) -> str:
    return next((code[:n] for n in ATC_LEVELS if n < len(code) and code[:n] in codes), "")


def _concept(row: dict[str, str], parents: tuple[str, ...]) -> Concept:
    status = fold(row.get("status", ""))
    return Concept(
        row["code"],
        row.get("display", "") or row.get("short", ""),
        row.get("definition", ""),
        ({"value": row["short"]},) if row.get("short") and row.get("display") else (),
        texts(**{name: value for name, value in row.items() if name not in COLUMNS or name == "end"}),
        parents,
        inactive=bool(row.get("end")) or status in INACTIVE,
    )


def _records(folder: Folder, file: str) -> Iterator[dict[str, str]]:
    """The rows: known columns by the names of ``COLUMNS``, the others by their own; those with a code."""
    delimiter = _delimiter(folder, file)
    rows = folder.rows(file, delimiter)
    header = [_column(name) for name in next(rows, [])]
    if "code" not in header:
        raise Unreadable(f"{file} has no column for the code; known are {', '.join(COLUMNS['code'])}")
    for row in rows:
        record: dict[str, str] = {}
        for name, value in zip(header, row, strict=False):
            if name and value.strip():
                record.setdefault(name, value.strip())
        if record.get("code"):
            yield record


def _delimiter(folder: Folder, file: str) -> str:
    first = next(folder.lines(file), "")
    try:
        return csv.Sniffer().sniff(first, "\t;,|").delimiter
    except csv.Error:
        return max("\t;,|", key=first.count)


def _column(name: str) -> str:
    folded = fold(name)
    return next((known for known, names in COLUMNS.items() if folded in names), folded.replace(" ", "-"))


def _value_set(folder: Folder, file: str, stem: str, options: Options) -> Resource:
    by_system: dict[str, list[dict[str, Any]]] = {}
    for row in _records(folder, file):
        system = options.system or canonical_of_oid(row.get("system", ""))
        if not system:
            raise Unreadable(f"The code system of {row['code'][:40]} in {file} is not named: use --system")
        if not row.get("end"):
            concept = {"code": row["code"], "display": row.get("display", "")}
            by_system.setdefault(system, []).append({k: v for k, v in concept.items() if v})
    url = options.value_set or nos_canonical(stem)
    include = [{"system": system, "concept": concepts} for system, concepts in by_system.items()]
    resource: Resource = {"resourceType": "ValueSet", "url": url, "name": options.name or stem}
    if options.version:
        resource["version"] = options.version
    return {**resource, "status": "active", "compose": {"include": include}}
