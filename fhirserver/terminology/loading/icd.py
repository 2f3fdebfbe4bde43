"""Classifications of diseases: ClaML (WHO, ATIH, BfArM ...), the CIM-10 table of the ATIH, ICD-11 for MMS."""

import re
from collections.abc import Iterator

from lxml import etree

from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.content import Content, Options, System, head, need, texts
from fhirserver.terminology.loading.folder import Folder, Unreadable

ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD11 = "http://id.who.int/icd/release/11/mms"
ATIH = r"LIBCIM10.*\.txt.*"
CLAML = r".*(claml|icd10|cim).*\.xml"
MMS = r".*(SimpleTabulation|LinearizationMiniOutput).*\.(txt|tsv)"


def read_claml(folder: Folder, options: Options) -> Content:
    """Chapters, blocks and categories as one hierarchy. http://www.who.int/classifications/icd/en/ (ClaML 2)

    Raises:
        Unreadable: the file is not ClaML.
    """
    file = need(folder.find(CLAML) or folder.find(r".*\.xml"), "ClaML file (*.xml)")
    parents: dict[str, tuple[str, ...]] = {}
    version = title = ""
    for element in _elements(folder, file, "Title", "Class"):
        if element.tag == "Title":
            title, version = element.text or "", element.get("version", "")
        else:
            above = tuple(e.get("code", "") for e in element.findall("SuperClass"))
            if above:
                parents[element.get("code", "")] = above

    def concepts() -> Iterator[Concept]:
        for element in _elements(folder, file, "Class"):
            labels = {
                rubric.get("kind", ""): " ".join("".join(map(str, label.itertext())).split())
                for rubric in element.findall("Rubric")
                for label in rubric.findall("Label")[:1]
            }
            code = element.get("code", "")
            display = labels.get("preferredLong") or labels.get("preferred") or labels.get("preferedLong", "")
            yield Concept(
                code,
                display,
                labels.get("definition", ""),
                properties=texts(kind=element.get("kind", "")),
                parents=parents.get(code, ()),
                abstract=element.get("kind") in ("chapter", "block"),
            )

    described = head(options, ICD10, version, "ICD10", title or "ICD-10", case_sensitive=True)
    return Content((System(described, concepts, parents),))


def _elements(folder: Folder, file: str, *tags: str) -> Iterator[etree._Element]:
    """Elements one by one; each is emptied afterwards. Raises Unreadable."""
    found = False
    with folder.open(file) as opened:
        try:
            for _, element in etree.iterparse(opened, tag=tags, resolve_entities=False, no_network=True):
                found = True
                yield element
                element.clear(keep_tail=True)
                while element.getprevious() is not None and element.getparent() is not None:
                    del element.getparent()[0]  # type: ignore[union-attr,unused-ignore]  # it has one
        except etree.XMLSyntaxError as error:
            raise Unreadable(f"{file} is not XML: {error}") from None
    if not found:
        raise Unreadable(f"{file} is not ClaML: it has no Class")


def read_atih(folder: Folder, options: Options) -> Content:
    """``LIBCIM10MULTI.TXT``: code, types for MCO/HAD, SSR and PSY, short and long name, between ``|``.

    A code is below the longest one that it begins with. https://www.atih.sante.fr/
    """
    file = need(folder.find(ATIH), "CIM-10 table of the ATIH (LIBCIM10MULTI.TXT)")
    codes = {line.partition("|")[0].strip() for line in folder.lines(file)}
    parents = {_dotted(code): _prefix(code, codes) for code in codes if _prefix(code, codes)}
    version = re.search(r"(20\d\d)", file)

    def concepts() -> Iterator[Concept]:
        for number, line in enumerate(folder.lines(file), 1):
            if not line.strip():
                continue
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 6:
                raise Unreadable(f"Line {number} of {file} has {len(fields)} fields between |, not 6")
            code, mco, ssr, psy, short, long = fields[:6]
            yield Concept(
                _dotted(code),
                long or short,
                "",
                ({"language": "fr", "value": short},) if short else (),
                texts(typeMCO=mco, typeSSR=ssr, typePSY=psy),
                parents.get(_dotted(code), ()),
            )

    described = head(options, ICD10, version[1] if version else "", "CIM10", "CIM-10", language="fr")
    return Content((System(described, concepts, parents),))


def _dotted(code: str) -> str:
    """``Z514`` -> ``Z51.4``."""
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


def _prefix(code: str, codes: set[str]) -> tuple[str, ...]:
    for end in range(len(code) - 1, 2, -1):
        if code[:end] in codes:
            return (_dotted(code[:end]),)
    return ()


def read_mms(folder: Folder, options: Options) -> Content:
    """The simple tabulation of ICD-11 for MMS; what has no code (blocks) has its BlockId, chapters a number.

    The depth of an entity is in its title: ``- - Cholera``.
    """
    file = need(folder.find(MMS) or folder.find(r".*\.(txt|tsv)"), "simple tabulation of ICD-11")
    parents: dict[str, tuple[str, ...]] = {}
    open_: list[str] = []
    for row in folder.records(file, "\t"):
        code, depth, _ = _entity(row, file)
        del open_[depth:]
        if open_:
            parents[code] = (open_[-1],)
        open_.append(code)
    version = re.search(r"(20\d\d-?\d\d)", file)

    def concepts() -> Iterator[Concept]:
        for row in folder.records(file, "\t"):
            code, _, title = _entity(row, file)
            yield Concept(
                code,
                title,
                properties=texts(kind=row.get("ClassKind", ""), foundation=row.get("Foundation URI", "")),
                parents=parents.get(code, ()),
                abstract=row.get("ClassKind") in ("chapter", "block"),
            )

    described = head(options, ICD11, version[1] if version else "", "ICD11MMS", "ICD-11 for MMS")
    return Content((System(described, concepts, parents),))


def _entity(row: dict[str, str], file: str) -> tuple[str, int, str]:
    """Code, depth and title."""
    title = row.get("Title", "").strip()
    dashes = re.match(r"(?:-\s*)*", title)
    code = row.get("Code") or row.get("BlockId") or row.get("ChapterNo", "")
    if not code or not title or dashes is None:
        raise Unreadable(f"{file} is not the simple tabulation of ICD-11: a row has no code or no title")
    return code.strip(), dashes[0].count("-"), title[dashes.end() :]
