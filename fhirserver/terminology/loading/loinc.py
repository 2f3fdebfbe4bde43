"""LOINC: the release's zip or folder, or ``Loinc.csv`` alone. https://loinc.org/kb/loinc-database-structure/"""

import re
from collections.abc import Iterator

from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.content import Content, Options, System, head, need, texts
from fhirserver.terminology.loading.folder import Folder
from fhirserver.terminology.value_sets import LOINC

TABLE = r"Loinc(Table)?(Core)?\.csv"
_HIERARCHY = r"(ComponentHierarchyBySystem|MultiAxialHierarchy)\.csv"
_PROPERTIES = (
    *("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS", "CLASSTYPE"),
    *("STATUS", "ORDER_OBS", "CHNG_TYPE", "VersionLastChanged", "EXAMPLE_UCUM_UNITS"),
)
_NAMES = ("SHORTNAME", "DisplayName", "CONSUMER_NAME")


def read(folder: Folder, options: Options) -> Content:
    """Terms, with the parts of the hierarchy and the answer lists where the release has these files.

    Raises:
        Unreadable: there is no table of terms.
    """
    table = need(folder.find(r"Loinc\.csv") or folder.find(TABLE), "Loinc.csv")
    found = re.search(r"loinc[_-]?v?(\d+\.\d+)", f"{folder.path.name}/{table}", re.IGNORECASE)
    parents, parts = _hierarchy(folder)
    answers = _answers(folder, parents)
    names = _names(folder, options.language)

    def concepts() -> Iterator[Concept]:
        for row in folder.records(table, ","):
            code = row.get("LOINC_NUM", "").strip()
            if code:
                yield _term(row, code, parents.get(code, ()), names.get(code, ""), options.language)
        for code, text in {**parts, **answers}.items():
            yield Concept(code, text, parents=parents.get(code, ()))

    described = head(options, LOINC, found[1] if found else "", "LOINC", "LOINC")
    return Content((System(described, concepts, parents),))


def _term(row: dict[str, str], code: str, parents: tuple[str, ...], name: str, language: str) -> Concept:
    display = row.get("LONG_COMMON_NAME") or row.get("SHORTNAME") or row.get("COMPONENT", "")
    designations = [{"language": "en", "value": row[column]} for column in _NAMES if row.get(column)]
    if name:
        designations.insert(0, {"language": language, "value": name})
    return Concept(
        code,
        display,
        row.get("DefinitionDescription", ""),
        tuple(designations),
        texts(**{column: row.get(column, "") for column in _PROPERTIES}),
        parents,
        inactive=row.get("STATUS") == "DEPRECATED",
    )


def _hierarchy(folder: Folder) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Parents of terms and parts, and the names of the parts."""
    parents: dict[str, tuple[str, ...]] = {}
    parts: dict[str, str] = {}
    file = folder.find(_HIERARCHY)
    for row in folder.records(file, ",") if file else ():
        code, parent = row.get("CODE", ""), row.get("IMMEDIATE_PARENT", "")
        if code.startswith("LP"):
            parts.setdefault(code, row.get("CODE_TEXT", ""))
        if code and parent and parent not in parents.get(code, ()):
            parents[code] = (*parents.get(code, ()), parent)
    return parents, parts


def _answers(folder: Folder, parents: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Answer lists and answers by code; an answer is below its lists."""
    names: dict[str, str] = {}
    file = folder.find(r"AnswerList\.csv")
    for row in folder.records(file, ",") if file else ():
        listed, answer = row.get("AnswerListId", ""), row.get("AnswerStringId", "")
        if listed:
            names.setdefault(listed, row.get("AnswerListName", ""))
        if answer:
            names.setdefault(answer, row.get("DisplayText", ""))
            if listed and listed not in parents.get(answer, ()):
                parents[answer] = (*parents.get(answer, ()), listed)
    return names


def _names(folder: Folder, language: str) -> dict[str, str]:
    """The names of terms in another language, where a linguistic variant is there."""
    names: dict[str, str] = {}
    primary = re.escape(language.partition("-")[0])
    for file in folder.find_all(rf"{primary}[A-Z]{{2}}\d+LinguisticVariant\.csv"):
        for row in folder.records(file, ","):
            name = row.get("LONG_COMMON_NAME") or row.get("LinguisticVariantDisplayName")
            if name:
                names.setdefault(row.get("LOINC_NUM", ""), name)
    return names
