"""The profiles that are known, by canonical url; each is compiled when it is first asked for."""

import threading
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from fhirserver.errors import Issue, Severity
from fhirserver.model import json
from fhirserver.model.definitions import Definitions, is_usable, trimmed
from fhirserver.validation import constraints
from fhirserver.validation.fhirpath import Model, Node
from fhirserver.validation.knowledge import Knowledge
from fhirserver.validation.profiles.building import Building, UnusableProfile
from fhirserver.validation.profiles.checking import Checking
from fhirserver.validation.profiles.elements import CANONICAL, MISSING, Constrained
from fhirserver.validation.profiles.placing import Item
from fhirserver.validation.report import Node as Place
from fhirserver.validation.report import Report, shown
from fhirserver.validation.rules import MAX_DEPTH, Scope


class Profile:
    """A profile or an extension's definition, compiled; ``contexts`` are (type, expression), ``conditions``
    what has to hold of the element around an extension."""

    __slots__ = (
        "_checking",
        "_parts",
        "_plain",
        "conditions",
        "contexts",
        "modifier",
        "most",
        "tree",
        "type",
        "url",
        "version",
    )

    def __init__(self, definition: Mapping[str, Any], tree: Constrained, checking: Checking) -> None:
        self.url = str(definition["url"])
        self.version = str(definition.get("version", ""))
        self.type = str(definition["type"])
        self.tree = tree
        self.contexts = tuple(
            (str(c.get("type")), str(c.get("expression"))) for c in definition.get("context", ())
        )
        self.conditions = tuple(map(str, definition.get("contextInvariant", ())))
        view = definition.get("snapshot") or definition.get("differential") or {}
        root = (view.get("element") or [{}])[0]
        self.modifier = bool(root.get("isModifier", False))
        most = root.get("max", "*")
        self.most = None if most == "*" else int(most)
        self._checking = checking
        inner = tree.children.get("extension")
        urls = (
            (s.children["url"].fixed for s in inner.slices.values() if "url" in s.children) if inner else ()
        )
        self._parts = tuple(str(url) for url in urls if url is not MISSING)
        self._plain = tree.plain_values(self.url) if self.type == "Extension" else frozenset()

    def check(self, item: dict[str, Any], node: Place, scope: Scope) -> None:
        """Report what it says against an element; of an extension, also the parts it does not have."""
        if len(item) == 2 and not self._plain.isdisjoint(item):
            return  # a url and a value, and no more than its type is defined
        for index, part in enumerate(item.get("extension", ()) if self._parts else ()):
            url = part.get("url", "")
            if url not in self._parts and "/" not in url and ":" not in url:
                values = {"url": shown(url), "extension": self.url, "wanted": ", ".join(self._parts)}
                place = ((node, ".extension"), index)
                severity: Severity = "error" if scope.report.advice else "warning"
                scope.report.note(severity, place, "extension", "extension-part", **values)
        self.check_item(Item(Node(item, self.type, self.type), node), scope)

    def check_item(self, item: Item, scope: Scope) -> None:
        self._checking.element(self.url.rpartition("/")[2], self.tree, item, scope)


class Profiles:
    """All profiles: those of the specification, of the operator's packages and files, of the store.

    A later one of the same url replaces an earlier one. Threads may share it.
    """

    def __init__(self, knowledge: Knowledge, more: Mapping[str, bytes] | None = None) -> None:
        self.definitions: Definitions = knowledge.definitions
        self.model: Model = knowledge.model
        self.is_member = knowledge.is_member
        self._knowledge = knowledge
        self._sources = {**knowledge.definitions.profiles, **(more or {})}
        self._shipped = dict(self._sources)
        self._versions: dict[str, dict[str, bytes]] = {}  # of what was put, by url and version
        self._compiled: dict[tuple[str, str, str], Profile | UnusableProfile] = {}
        self._building: set[str] = set()
        self._lock = threading.RLock()
        self._checking = Checking(knowledge, self)
        knowledge.conforms = self._conforms

    def find(self, canonical: str) -> Profile | None:
        """The profile with this canonical url, None where it is unknown.

        ``url|version`` names a version, or the first parts of one; ``url#id`` an element of a profile.

        Raises:
            UnusableProfile: it is known, but cannot be understood.
        """
        stated, _, part = canonical.partition("#")
        url, _, version = stated.partition("|")
        if url not in self._sources:
            return None
        version_there, source = self._source(url, version)
        key = url, version_there, part
        found = self._compiled.get(key)
        if found is None:
            found = self._compile(key, source)
        if isinstance(found, UnusableProfile):
            raise found
        return None if version and found.version and not _is_version(found.version, version) else found

    def _source(self, url: str, version: str) -> tuple[str, bytes]:
        """The source of a profile in this version, if there is one; else ("") the one that was put last."""
        known = self._versions.get(url) if version else None
        fitting = [one for one in known or () if _is_version(one, version)]
        if known and fitting:
            best = version if version in fitting else fitting[-1]
            return best, known[best]
        return "", self._sources[url]

    def extension(self, url: str) -> Profile | None:
        """The definition of an extension; None where it is unknown, or no extension, or unusable."""
        if url not in self._sources:
            return None
        try:
            found = self.find(url)
        except UnusableProfile:
            return None
        return found if found and found.type == "Extension" else None

    def added(self, types: Container[str]) -> list[str]:
        """The urls of the profiles of these types that are not the specification's."""
        own = [url for url in self._sources if url not in self.definitions.profiles]
        return sorted(url for url in own if self.type_of(url) in types)

    def by_type(self) -> dict[str, list[str]]:
        """The urls of the profiles that are not the specification's, by the type they constrain; extensions
        apart. Nothing is compiled for that."""
        found: dict[str, list[str]] = {}
        for url in sorted(self._sources.keys() - self.definitions.profiles.keys()):
            type = str(json.stored(self._sources[url]).get("type", ""))
            if type != "Extension":
                found.setdefault(type, []).append(url)
        return found

    def put(self, resource: Mapping[str, Any]) -> None:
        """Take in a StructureDefinition, in the place of one with the same url; what is no profile is not."""
        if is_usable(resource):
            url, version = str(resource["url"]), str(resource.get("version", ""))
            source = json.format(trimmed(resource))
            with self._lock:
                versions = self._versions.setdefault(url, {})
                versions.pop(version, None)  # The one that is put last is that of the url alone.
                versions[version] = source
                self._replace(url, source)

    def remove(self, url: str, version: str | None = None) -> None:
        """Let go of a StructureDefinition that was put (None: of all its versions): another version takes its
        place, or what was shipped with the server."""
        with self._lock:
            versions = self._versions.get(url, {})
            for gone in list(versions) if version is None else [version]:
                versions.pop(gone, None)
            self._replace(url, next(reversed(versions.values()), None) or self._shipped.get(url))

    def _replace(self, url: str, source: bytes | None) -> None:
        with self._lock:
            if source is None:
                self._sources.pop(url, None)
            else:
                self._sources[url] = source
            self._compiled.clear()  # Others may be derived from it.

    def _compile(self, key: tuple[str, str, str], source: bytes) -> Profile | UnusableProfile:
        url, _, part = key
        with self._lock:
            found: Profile | UnusableProfile
            try:
                if url in self._building:
                    raise UnusableProfile(f"{url} is derived from itself")
                self._building.add(url)
                definition = json.stored(source)
                tree = Building(self.definitions, self.tree).build(definition)
                found = Profile(definition, _part(tree, part) if part else tree, self._checking)
            except (UnusableProfile, msgspec.DecodeError, ValueError, AttributeError, TypeError) as error:
                found = UnusableProfile(str(error))
            finally:
                self._building.discard(url)
            if isinstance(found, Profile) or not part:  # What anybody may ask for is not kept for ever.
                self._compiled[key] = found
            return found

    def tree(self, url: str) -> Constrained | None:
        """What a profile says; None where it is unknown or unusable."""
        try:
            found = self.find(url)
        except UnusableProfile:
            return None
        return found.tree if found else None

    def type_of(self, canonical: str) -> str | None:
        """The type that a profile or a definition is about; None where it is unknown."""
        name = canonical.partition("|")[0].removeprefix(CANONICAL)
        if name in self.definitions.structures:
            return name
        try:
            found = self.find(canonical)
        except UnusableProfile:
            return None
        return found.type if found else None

    def resolved(self, literal: str, scope: Scope) -> Mapping[str, Any] | None:
        return constraints.resolved(literal, scope, self._knowledge)

    def check_any(self, urls: list[str], item: Item, scope: Scope) -> None:
        """Check an element that has to conform to one of the profiles; where it conforms to none of several,
        the first one's issues are told."""
        first: Profile | None = None
        for url in urls:
            if url.removeprefix(CANONICAL) in self.definitions.structures:
                return  # the definition of a type: checked already
            try:
                profile = self.find(url)
            except UnusableProfile as why:
                profile = None
                values = {"profile": url, "why": str(why)}
                scope.report.note("warning", item.place, "incomplete", "profile-unusable", **values)
            if profile is None:
                if item.node.type != "Extension":
                    scope.report.note("warning", item.place, "incomplete", "profile-unknown", profile=url)
                return
            if len(urls) > 1 and not _has_errors(self._quietly(profile, item, scope)):
                return
            first = first or profile
        if first is not None and item.node.type != "Extension":
            first.check_item(item, scope)  # an extension is checked where it stands, by its url

    def conforms(self, node: Node, url: str, scope: Scope) -> bool | None:
        """Whether an element or resource conforms to a profile; None where the profile is not known."""
        name = url.partition("|")[0].removeprefix(CANONICAL)
        if name in self.definitions.structures:
            return self.model.is_type(node, name)
        try:
            profile = self.find(url)
        except UnusableProfile:
            return None
        if profile is None:
            return None
        if not self.model.is_type(node, profile.type):
            return False
        return not _has_errors(self._quietly(profile, Item(node, scope.node), scope))

    def _conforms(self, node: Node, url: str) -> bool | None:
        """For conformsTo() of an expression."""
        value = node.value if type(node.value) is dict else {}
        return self.conforms(node, url, Scope(Report(), value, node.type, {}, {}, 0))

    def _quietly(self, profile: Profile, item: Item, scope: Scope) -> list[Issue]:
        """The issues of an element, told to nobody. Resources that refer to each other end at the depth."""
        value = item.node.value
        inner = Scope(Report(), scope.resource, scope.node, scope.contained, scope.bundle, scope.depth + 10)
        inner.root = scope.root
        if type(value) is dict and "resourceType" in value:
            inner.resource = value
        if inner.depth < MAX_DEPTH:
            profile.check_item(item, inner)
        return inner.report.issues


def _is_version(version: str, wanted: str) -> bool:
    """Whether it is the version, or begins with its parts: 0.2.1 is a 0.2."""
    return version == wanted or version.startswith(wanted + ".")


def _part(tree: Constrained, id: str) -> Constrained:
    """The element with this id (``Composition.section:labs``). Raises UnusableProfile."""
    for step in id.split(".")[1:]:
        name, _, slice = step.partition(":")
        child = tree.children.get(name.removesuffix("[x]"))
        found = child.slices.get(slice) if child and slice else child
        if found is None:
            raise UnusableProfile(f"it has no element {id[:100]}")
        tree = found
    return tree


def _has_errors(issues: list[Issue]) -> bool:
    return any(issue.severity in ("error", "fatal") for issue in issues)
