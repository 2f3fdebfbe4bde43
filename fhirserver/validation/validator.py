"""Validation against the FHIR R4 specification and profiles."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fhirserver.errors import Issue
from fhirserver.model.definitions import Definitions, Operators
from fhirserver.validation.acceptance import acceptances
from fhirserver.validation.compilation import compile_rules
from fhirserver.validation.fhirpath import Node as Value
from fhirserver.validation.knowledge import Codes, Knowledge
from fhirserver.validation.messages import Language
from fhirserver.validation.policy import Policy, Stance
from fhirserver.validation.profiles import Profiles, UnusableProfile
from fhirserver.validation.profiles.elements import CANONICAL
from fhirserver.validation.profiles.placing import Item
from fhirserver.validation.report import Node, Report, shown
from fhirserver.validation.rules import Scope, contained_types
from fhirserver.validation.vital_signs import implied


class Validator:
    """Checks resources against the R4 definitions and profiles. Compiled once; safe to share between threads.

    Checked are names, cardinality, JSON types, formats, choices, bindings, the targets of references,
    contained resources, extensions, narratives and all invariants; of Bundles and Parameters the resources
    inside, too; then the profiles that a resource claims (``meta.profile``) or ``policy`` requires.
    docs/validation.md tells what is not checked. ``more`` are profiles beyond the specification's, as
    ``definitions.operators`` reads them; ``codes`` knows value sets and code systems that are
    not in the package.
    """

    def __init__(
        self,
        definitions: Definitions,
        more: Operators | None = None,
        policy: Policy | None = None,
        codes: Codes | None = None,
    ) -> None:
        more = more or Operators()
        knowledge = Knowledge(definitions, codes, more.value_sets)
        self.profiles = Profiles(knowledge, more.profiles)
        self._definitions = definitions
        self._policy = policy or Policy()
        rules = compile_rules(knowledge, self.profiles, self._resource)
        self._rules = {type: rules[type] for type in definitions.resource_types}
        accepting = acceptances(rules, self._accepts_contained)
        self._accepting = {type: accepting[type] for type in definitions.resource_types}

    def validate(
        self,
        resource: Any,
        *,
        location: str | None = None,
        language: Language = "en",
        advice: bool = False,
        practices: bool = False,
        profiles: Iterable[str] = (),
    ) -> list[Issue]:
        """What is wrong with a resource, at most 100 issues and one that counts the rest; [] when nothing is.

        ``location`` is the FHIRPath of the resource where it is a part of something, by default its type:
        ``Bundle.entry[2].resource``. ``advice`` asks for extensible bindings and extensions that are not
        known as well, ``practices`` for best practices; with advice, profiles that it claims count as errors
        whatever the policy. ``profiles`` are checked in addition.
        """
        report = Report(language, advice, practices)
        if location is None:
            type = resource.get("resourceType") if isinstance(resource, dict) else None
            location = type if isinstance(type, str) and type in self._rules else "Resource"
        scope = self._resource(resource, location, Scope(report, {}, location, {}, {}, 0), False)
        if scope is not None and profiles:
            self._conform(profiles, "refuse", resource, location, scope)
        return report.result()

    def against(
        self, resource: dict[str, Any], profile: str, *, location: str, language: Language = "en"
    ) -> list[Issue]:
        """What a resource, valid by itself, has against one profile, whatever the policy."""
        report = Report(language, False, False)
        scope = Scope(report, resource, location, contained_types(resource), {}, 0)
        self._profile(profile, resource, location, scope)
        return report.result()

    def _resource(self, resource: Any, node: Node, scope: Scope, contained: bool) -> Scope | None:
        """Check a resource and what it claims; the scope of its elements, None where it is none."""
        type = resource.get("resourceType") if isinstance(resource, dict) else None
        if type is None:
            scope.report.add(node, "structure", "no-resource")
            return None
        rules = self._rules.get(type) if isinstance(type, str) else None
        if rules is None:
            scope.report.add(node, "structure", "unknown-type", type=shown(type))
            return None
        bundle = _by_full_url(resource) if type == "Bundle" else scope.bundle
        inner = Scope(scope.report, resource, node, scope.contained, bundle, scope.depth)
        if contained:
            inner.root = scope.root
        elif "contained" in resource:
            inner.contained = contained_types(resource)
            _check_ids(resource["contained"], node, scope.report)
        else:
            inner.contained = {}
        report = scope.report
        if report.advice or report.practices or not self._accepts(type, resource, inner):
            rules.check(resource, node, inner)
        if inner.report.advice and type == "Observation":
            self._conform(implied(resource), "refuse", resource, node, inner)
        stance = self._policy.stance(type)
        if stance != "off" or scope.report.advice:
            if claimed := _claimed(resource):
                self._conform(claimed, stance, resource, node, inner)
            required = self._policy.required.get(type) if not contained else None
            if required:
                self._conform(required, stance, resource, node, inner)
        return inner

    def _accepts(self, type: str, resource: dict[str, Any], scope: Scope) -> bool:
        """Whether there is nothing to say about a resource, apart from profiles."""
        told, scope.report = scope.report, Report()
        accepted = self._accepting[type](resource, scope, scope.depth) and not scope.report.count
        scope.report = told
        return accepted

    def _accepts_contained(self, resource: Any, scope: Scope, depth: int) -> bool:
        """Whether there is nothing to say about a contained resource; of one that claims profiles there may
        be."""
        type = resource.get("resourceType") if isinstance(resource, dict) else None
        accepting = self._accepting.get(type) if isinstance(type, str) else None
        if accepting is None or _claimed(resource):
            return False
        inner = Scope(scope.report, resource, scope.node, scope.contained, scope.bundle, depth)
        inner.root = scope.root
        return accepting(resource, inner, depth)

    def _conform(
        self, urls: Iterable[str], stance: Stance, resource: dict[str, Any], node: Node, scope: Scope
    ) -> None:
        """Check against profiles; with the stance ``warn`` what is wrong is a warning."""
        for url in dict.fromkeys(urls):
            report = Report(scope.report.language, scope.report.advice, scope.report.practices)
            inner = Scope(report, resource, node, scope.contained, scope.bundle, scope.depth)
            inner.root = scope.root
            self._profile(url, resource, node, inner)
            if stance == "warn" and not scope.report.advice:
                report.errors = 0
                report.issues = [
                    replace(issue, severity="warning") if issue.severity == "error" else issue
                    for issue in report.issues
                ]
            scope.report.take(report)

    def _profile(self, url: str, resource: dict[str, Any], node: Node, scope: Scope) -> None:
        type, report = str(resource.get("resourceType")), scope.report
        name = url.partition("|")[0].removeprefix(CANONICAL)
        if name in (type, "Resource") or (
            name == "DomainResource" and self._definitions.is_domain_resource(type)
        ):
            return
        try:
            profile = self.profiles.find(url)
        except UnusableProfile as why:
            report.note("warning", node, "incomplete", "profile-unusable", profile=url[:200], why=str(why))
            return
        about = profile.type if profile else name if name in self._definitions.structures else None
        if about is None:
            report.note("warning", node, "not-supported", "profile-unknown", profile=url[:200])
        elif about not in (type, "Resource", "DomainResource"):
            report.add(node, "invalid", "profile-type", profile=url[:200], type=about, found=type)
        elif profile is not None:
            profile.check_item(Item(Value(resource, type, type), node), scope)


def _claimed(resource: dict[str, Any]) -> list[str]:
    meta = resource.get("meta")
    listed = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in listed if isinstance(url, str)] if isinstance(listed, list) else []


def _by_full_url(bundle: dict[str, Any]) -> dict[str, Any]:
    """The resources of a Bundle, as far as it is well-formed."""
    entries = bundle.get("entry")
    return {
        entry["fullUrl"]: entry["resource"]
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
        and isinstance(entry.get("fullUrl"), str)
        and isinstance(entry.get("resource"), dict)
    }


def _check_ids(contained: Any, node: Node, report: Report) -> None:
    """Contained resources are told apart by their ids."""
    seen = set()
    for index, one in enumerate(contained if isinstance(contained, list) else ()):
        id = one.get("id") if isinstance(one, dict) else None
        if isinstance(id, str) and id in seen:
            place = ((node, ".contained"), index)
            report.add((place, ".id"), "duplicate", "contained-duplicate", id=shown(id))
        seen.add(id if isinstance(id, str) else None)
