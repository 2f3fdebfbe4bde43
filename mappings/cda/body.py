"""The coded entries of a structured body: which of them happened to the patient, and what identifies them."""

from collections import Counter
from collections.abc import Iterator

from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ii_to_identifier
from mappings.cda.document import ClinicalDocument
from mappings.cda.xml import Node, local_name
from mappings.core.bundle import derived_identifier
from mappings.core.result import Element

COMMENT = "48767-8"
_STATEMENTS = {
    "act",
    "encounter",
    "observation",
    "observationMedia",
    "organizer",
    "procedure",
    "regionOfInterest",
    "substanceAdministration",
    "supply",
}
_PARTS = {*_STATEMENTS, "entryRelationship", "component"}
_SELF = {"SELF", "ONESELF"}
_HAPPENED = frozenset({"EVN"})


def has_template(node: Node, templates: frozenset[str]) -> bool:
    return any(child.get("root") in templates for child in node.findall("templateId"))


def statements(
    document: ClinicalDocument, tag: str, templates: frozenset[str], context: Context
) -> Iterator[Node]:
    """The statements with one of these templates that happened (EVN) to the patient, at any depth.

    A section's subject holds for its entries and sub-sections: the mother's height in her child's document is
    the mother's. Goals, plans and orders have another mood.
    """
    for node in document.root.iter(tag):
        if has_template(node, templates) and node not in context.read and happened(node, context):
            yield node


def happened(node: Node, context: Context, moods: frozenset[str] = _HAPPENED) -> bool:
    """Whether a statement is about the patient and happened (or has one of these moods); else a remark says
    why it is not mapped."""
    context.read.add(node)
    if (mood := _other_mood(node, moods)) is not None:
        context.inform(node, f"Not mapped: its mood is {mood}, so it did not happen", "not-supported")
    elif not _is_about_patient(node):
        context.inform(node, "Not mapped: its subject is not the patient", "not-supported")
    else:
        return True
    context.read.update(inner for inner in node.iter() if local_name(inner) in _STATEMENTS)
    return False


def related(node: Node, code: str, context: Context) -> list[Node]:
    """The observations and acts directly related to a statement that have this code; that reads them."""
    found = node.findall("entryRelationship/observation") + node.findall("entryRelationship/act")
    matching = [child for child in found if (c := child.find("code")) is not None and c.get("code") == code]
    context.read.update(matching)
    return matching


def reasons(node: Node, context: Context) -> list[Element]:
    """The acts and observations that a statement names as its reasons (RSON) -> CodeableConcepts."""
    found = []
    for relationship in node.findall("entryRelationship"):
        if relationship.get("typeCode") != "RSON":
            continue
        for act in (*relationship.findall("act"), *relationship.findall("observation")):
            context.read.add(act)
            said = act.find("value") if local_name(act) == "observation" else act.find("code")
            if concept := cd_to_codeable_concept(said, context):
                found.append(concept)
    return found


def section_codes(node: Node) -> list[str]:
    """The codes of the sections a statement is in, from the inside out."""
    codes = (section.find("code") for section in node.iterancestors("section"))
    return [code.get("code") or "" for code in codes if code is not None]


def notes(node: Node, context: Context) -> list[Element]:
    """The comments on a statement -> Annotations; a dash alone is a cell left empty."""
    texts = [context.text(act.find("text")) for act in related(node, COMMENT, context)]
    return [{"text": text} for text in texts if text.strip("-–. ")]


def is_negated(node: Node) -> bool:
    return (node.get("negationInd") or "").strip().lower() == "true"


class Identities:
    """Gives entries identifiers that the next version of the same document gives them too.

    Entry ids are reused for different entries (three vaccinations under one id, two allergies under one id in
    upper and lower case), so an entry is identified by the document's set, its patient, its id and its rank
    among the entries with that id. The patient is part of it because setIds are copied between documents.
    """

    def __init__(self, document: ClinicalDocument, patient: Element | None) -> None:
        of_set = document.set_id or document.unique_identifier
        self._scope = [of_set["system"], of_set["value"]]
        self._scope += [patient["system"], patient["value"]] if patient else []
        self._ranks: Counter[tuple[str, str]] = Counter()
        self._ids = Counter(_id_of(node) for tag in _STATEMENTS for node in document.root.iter(tag))

    def identify(self, kind: str, node: Node) -> list[Element]:
        """The derived identifier first; then the entry's own, unless other entries have it too."""
        own = _id_of(node) or _code_of(node)
        rank = self._ranks[kind, own]
        self._ranks[kind, own] += 1
        identifiers = [derived_identifier("", kind, *self._scope, own, str(rank))]
        id_node = node.find("id")
        if self._ids[own] == 1 and id_node is not None and (sent := ii_to_identifier(id_node)):
            identifiers.append(sent)
        return identifiers


def report_unread(document: ClinicalDocument, context: Context) -> list[str]:
    """Say, by template and with counts, which statements nobody read; return the same as names.

    Of statements inside each other only the outermost counts; what is around one that was read is no loss.
    """
    unread: Counter[str] = Counter()
    first: dict[str, Node] = {}
    for entry in document.root.iter("entry"):
        for node in _unread(entry, context.read):
            name = f"{local_name(node)} {_template(node)}"
            unread[name] += 1
            first.setdefault(name, node)
    for name, count in sorted(unread.items()):
        context.inform(first[name], f"Not mapped: {count} x {name}", "not-supported")
    return [f"{name} ({count})" for name, count in sorted(unread.items())]


def _unread(node: Node, read: set[Node]) -> Iterator[Node]:
    for child in node:
        if local_name(child) in _STATEMENTS and child not in read and read.isdisjoint(child.iter()):
            yield child
        elif local_name(child) in _PARTS:
            yield from _unread(child, read)


def _template(node: Node) -> str:
    """The French template when there is one (they are written last), else the last."""
    roots = [child.get("root") or "" for child in node.findall("templateId")]
    french = [root for root in roots if root.startswith("1.2.250.1.213.")]
    return (french or roots or ["without template"])[-1]


def _id_of(node: Node) -> str:
    """The first id as one string, its root compared without case as UUIDs are."""
    found = node.find("id")
    if found is None:
        return ""
    return "^".join(
        part for part in ((found.get("root") or "").lower(), found.get("extension") or "") if part
    )


def _code_of(node: Node) -> str:
    """What an entry without id is told by: its code, or that of its first translation."""
    code = node.find("code")
    if code is None:
        return ""
    codes = [code.get("code"), *(translation.get("code") for translation in code.findall("translation"))]
    return next((f"code:{each}" for each in codes if each), "")


def _other_mood(node: Node, moods: frozenset[str]) -> str | None:
    """The mood of the statement, or of one it is part of, when that is none of these."""
    for current in (node, *node.iterancestors()):
        if local_name(current) == "section":
            break
        mood = current.get("moodCode")
        if mood is not None and mood not in moods:
            return mood
    return None


def _is_about_patient(node: Node) -> bool:
    """The nearest subject decides, from the statement itself outwards."""
    for current in (node, *node.iterancestors()):
        if (subject := current.find("subject")) is not None:
            person = subject.find("relatedSubject")
            if person is None:
                return True
            code = person.find("code")
            return person.get("classCode") == "PAT" or (code is not None and code.get("code") in _SELF)
    return True
