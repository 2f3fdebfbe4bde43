"""Agreement with the official validator on the public FHIR/fhir-test-cases (folder ``validator``).

    FHIR_TEST_CASES=/path/to/fhir-test-cases make validator-cases

Compared is one thing: whether a resource is rejected, that is, whether there is an error. Left out are cases
of other FHIR versions and formats, about types that are not served, those that need packages, and those for
which the official (Java) validator's answer is not listed. The directory is not part of this project.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fhirserver.errors import FHIRError
from fhirserver.model import json as lossless
from fhirserver.model import xml
from fhirserver.model.definitions import PACKAGE, Definitions, load
from fhirserver.served_types import SERVED_TYPES
from fhirserver.terminology import AtOnce, Packages, Terminology
from fhirserver.validation import Validator

PACKAGES = Path(__file__).parents[1] / "profiles" / "packages"
R4 = ("4.0", "4.0.1")
VERDICTS = ("agreed", "accepted wrongly", "rejected wrongly")
TERMINOLOGY = ("ValueSet", "CodeSystem", "ConceptMap")

OPTIONS = {
    "allow-comments": False,
    "bundle-param": None,
    "crumb-trail": False,
    "examples": True,
    "fetch-canonicals": False,
    "for-publication": False,
    "noHtmlInMarkdown": False,
    "security-checks": False,
    "validateContains": "CHECK_VALID",
    "validateReference": "IGNORE",
}
"""What cases may ask of the official validator that it does not do by default, and its default."""

Case = Mapping[str, Any]


class LeftOut(Exception):
    """The case is not one for us; the text says why, in a few words."""


@dataclass(slots=True)
class Tally:
    """Verdicts by category, the names of those that differ, and why cases were left out."""

    verdicts: dict[str, Counter[str]] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, category: str, name: str, expected: bool, found: list[str]) -> None:
        """``expected`` and ``found``: whether the official validator rejects, and our errors."""
        rejected = bool(found)
        verdict = VERDICTS[0] if rejected is expected else VERDICTS[2] if rejected else VERDICTS[1]
        self.verdicts.setdefault(category, Counter())[verdict] += 1
        if rejected is not expected:
            self.differing.append(f"{verdict}: {name}" + (f": {found[0]}" if found else ""))


class Cases:
    """The cases of a copy of the repository."""

    def __init__(self, directory: Path, definitions: Definitions) -> None:
        self._folder = directory / "validator"
        self._definitions = definitions
        self._packages = Packages([PACKAGES / PACKAGE], PACKAGES / ".cache")

    def run(self) -> Tally:
        """Raises OSError, ValueError: the directory has no readable manifest."""
        manifest = json.loads((self._folder / "manifest.json").read_bytes())
        tally = Tally()
        for case in manifest["test-cases"]:
            try:
                for name, expected, found in self._outcomes(case):
                    tally.add(str(case.get("module", "general")), name, expected, found)
            except LeftOut as why:
                tally.left_out[str(why)] += 1
        return tally

    def _outcomes(self, case: Case) -> Iterator[tuple[str, bool, list[str]]]:
        if case.get("use-test") is False:
            raise LeftOut("switched off")
        if any(case.get(name, usual) != usual for name, usual in OPTIONS.items()):
            raise LeftOut("an option of the official validator")
        if str(case.get("version", "5.0")) not in R4:
            raise LeftOut("another FHIR version")
        if case.get("packages") or case.get("logical"):
            raise LeftOut("needs packages")
        name = str(case["name"])
        resource, errors = self._read(str(case["file"]))
        if resource.get("resourceType", "Patient") not in SERVED_TYPES:
            raise LeftOut("a type that is not served")
        validator, terms = self._validator(case)
        if "java" in case:
            yield name, self._rejects(case["java"]), errors or _errors(validator, resource)
        profile = case.get("profile")
        if profile and "java" in profile:
            url = self._profile(str(profile["source"]), validator, terms)
            for supporting in profile.get("supporting", ()):
                self._put(supporting, validator, terms)
            expected = self._rejects(profile["java"])
            yield f"{name} (profile)", expected, errors or _errors(validator, resource, url)
        if "java" not in case and "java" not in (profile or {}):
            raise LeftOut("no answer of the official validator")

    def _read(self, file: str) -> tuple[dict[str, Any], list[str]]:
        """The resource, or why it cannot be read: that rejects it, too."""
        if not file.endswith((".json", ".xml")):
            raise LeftOut("another format")
        try:
            body = (self._folder / file).read_bytes()
        except OSError:
            raise LeftOut("the file is missing") from None
        try:
            if file.endswith(".xml"):
                return xml.parse(body, self._definitions), []
            return lossless.parse_resource(body), []
        except FHIRError as error:
            return {}, [issue.text for issue in error.issues]

    def _validator(self, case: Case) -> tuple[Validator, Terminology]:
        terms = Terminology(self._packages)
        validator = Validator(self._definitions, codes=AtOnce(terms))
        for supporting in (*case.get("supporting", ()), *case.get("profiles", ())):
            self._put(str(supporting), validator, terms)
        return validator, terms

    def _put(self, file: str, validator: Validator, terms: Terminology) -> dict[str, Any]:
        resource, errors = self._read(file)
        if errors:
            raise LeftOut("a supporting file cannot be read")
        for one in (resource, *(e.get("resource", {}) for e in resource.get("entry", ()))):
            if one.get("resourceType") in TERMINOLOGY and "url" in one:
                terms.add(one)
            else:
                validator.profiles.put(one)
        return resource

    def _profile(self, source: str, validator: Validator, terms: Terminology) -> str:
        if source.startswith("http"):
            return source
        return str(self._put(source, validator, terms).get("url", ""))

    def _rejects(self, answer: Any) -> bool:
        """Whether the official validator finds an error: a count, an OperationOutcome or a file with one."""
        if isinstance(answer, str):
            answer = {"outcome": self._answer(answer)}
        outcome = answer.get("outcome")
        if isinstance(outcome, str):
            outcome = self._answer(outcome)
        if outcome is not None:
            return any(i["severity"] in ("error", "fatal") for i in outcome.get("issue", ()))
        return int(answer.get("errorCount", 0)) > 0

    def _answer(self, file: str) -> Any:
        """An OperationOutcome that the manifest names; it lies in ``outcomes``, or beside the manifest."""
        folders = (self._folder / "outcomes", self._folder)
        found = next((path for folder in folders if (path := folder / file).exists()), None)
        if found is None:
            raise LeftOut("the answer of the official validator is missing")
        return json.loads(found.read_bytes())


def _errors(validator: Validator, resource: dict[str, Any], *profiles: str) -> list[str]:
    issues = validator.validate(resource, profiles=profiles, advice=True)  # as $validate does
    return [f"{i.expression}: {i.text}" for i in issues if i.severity in ("error", "fatal")]


def show(tally: Tally, write: Callable[..., None], *, names: bool) -> None:
    table = Table("category", *VERDICTS, "of", title="Agreement with the official validator")
    total: Counter[str] = Counter()
    for category, verdicts in sorted(tally.verdicts.items()):
        table.add_row(category, *(str(verdicts[v]) for v in VERDICTS), str(verdicts.total()))
        total += verdicts
    table.add_row("all", *(str(total[v]) for v in VERDICTS), str(total.total()), style="bold")
    write(table)
    write("Left out: " + "; ".join(f"{why} {count}" for why, count in tally.left_out.most_common()))
    for line in tally.differing if names else ():
        write(line, markup=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make validator-cases", description=__doc__)
    parser.add_argument("directory", nargs="?", default=os.environ.get("FHIR_TEST_CASES", ""))
    parser.add_argument(
        "--names", action="store_true", help="name the cases that differ, with our first error"
    )
    options = parser.parse_args(arguments)
    if not options.directory:
        print("Say where FHIR/fhir-test-cases is: FHIR_TEST_CASES=DIR make validator-cases", file=sys.stderr)
        return 2
    definitions = load(PACKAGES / PACKAGE, PACKAGES / ".cache")
    try:
        tally = Cases(Path(options.directory), definitions).run()
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.directory} is no copy of FHIR/fhir-test-cases: {error}", file=sys.stderr)
        return 2
    show(tally, Console().print, names=options.names)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
