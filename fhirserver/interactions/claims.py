"""What documents and lists claim of IHE MHD and PDSm: a claim that does not hold is not stored.

The profiles are those of the packages that the operator has, else our own (profiles/mhd). IHE MHD 4.2
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fhirserver.errors import Issue, Unprocessable
from fhirserver.model.json import Resource
from fhirserver.validation import language_of
from fhirserver.validation.messages import Language

if TYPE_CHECKING:
    from fhirserver.server import Server

MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD."
PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
OWN: Final = "urn:x-fhirserver:profile:"
MINIMAL_DOCUMENT: Final = MHD + "Minimal.DocumentReference"
MINIMAL_SUBMISSION: Final = MHD + "Minimal.SubmissionSet"
SIMPLIFIED: Final = frozenset((MHD + "SimplifiedPublish.DocumentReference", PDSM + "pdsm-simplified-publish"))

PROFILES: Final = {
    MINIMAL_DOCUMENT: "mhd-minimal-document",
    MHD + "UnContained.Comprehensive.DocumentReference": "mhd-comprehensive-document",
    MHD + "Comprehensive.DocumentReference": "mhd-contained-document",
    MHD + "SimplifiedPublish.DocumentReference": "mhd-simplified-document",
    PDSM + "pdsm-comprehensive-document-reference": "pdsm-document",
    PDSM + "pdsm-simplified-publish": "pdsm-simplified-document",
    MINIMAL_SUBMISSION: "mhd-minimal-submission",
    MHD + "UnContained.Comprehensive.SubmissionSet": "mhd-comprehensive-submission",
    MHD + "Comprehensive.SubmissionSet": "mhd-contained-submission",
    PDSM + "pdsm-submissionset-comprehensive": "pdsm-submission",
    MHD + "Minimal.Folder": "mhd-folder",
    MHD + "Comprehensive.Folder": "mhd-comprehensive-folder",
    PDSM + "pdsm-folder-comprehensive": "mhd-comprehensive-folder",
}
"""A profile that is claimed -> ours, which says the same of a resource."""


@dataclass(frozen=True, slots=True)
class Level:
    """What a Provide Document Bundle promises of what is in it: the profiles of each."""

    document: str
    submission: str
    folder: str


BUNDLES: Final = {
    MHD + "Minimal.ProvideBundle": Level(MINIMAL_DOCUMENT, MINIMAL_SUBMISSION, MHD + "Minimal.Folder"),
    MHD + "UnContained.Comprehensive.ProvideBundle": Level(
        MHD + "UnContained.Comprehensive.DocumentReference",
        MHD + "UnContained.Comprehensive.SubmissionSet",
        MHD + "Comprehensive.Folder",
    ),
    MHD + "Comprehensive.ProvideBundle": Level(
        MHD + "Comprehensive.DocumentReference",
        MHD + "Comprehensive.SubmissionSet",
        MHD + "Comprehensive.Folder",
    ),
    PDSM + "pdsm-comprehensive-provide-document-bundle": Level(
        PDSM + "pdsm-comprehensive-document-reference",
        PDSM + "pdsm-submissionset-comprehensive",
        PDSM + "pdsm-folder-comprehensive",
    ),
}
"""Bundle.meta.profile -> what it promises."""


def of_type(type: str) -> list[str]:
    """The profiles of a resource type that are known here whether or not their package is."""
    endings = {"DocumentReference": ("document",), "List": ("submission", "folder")}.get(type, ())
    return [url for url, own in PROFILES.items() if own.endswith(endings)]


def known(url: str, server: "Server") -> str:
    """The url of the profile that says what this one says: its own, or that of ours."""
    plain = url.partition("|")[0]
    if plain not in PROFILES or server.validator.profiles.type_of(url) is not None:
        return url
    return OWN + PROFILES[plain]


def level_of(bundle: Resource) -> Level | None:
    """What a Bundle promises; None where it claims no profile of a submission."""
    return next((BUNDLES[url] for url in claimed(bundle) if url in BUNDLES), None)


def claimed(resource: Resource) -> list[str]:
    """The profiles of ``meta.profile``, without their versions."""
    meta = resource.get("meta")
    listed: Any = meta.get("profile") if isinstance(meta, dict) else None
    urls = listed if isinstance(listed, list) else []
    return [url.partition("|")[0] for url in urls if isinstance(url, str)]


def checked(
    resource: Resource,
    server: "Server",
    *,
    place: str = "",
    promised: str = "",
    language: Language = "en",
) -> tuple[Resource, list[Issue]]:
    """The resource with the claims that hold, and what is wrong with the others, as warnings.

    ``promised`` is what its Bundle claims of it; where that holds, it is claimed by the resource, too.
    ``place`` is where it stands in what was sent. With the setting ``mhd_profiles`` off nothing changes.

    Raises:
        Unprocessable: a claim does not hold, and the setting is ``refuse``.
    """
    stance = server.settings.mhd_profiles
    urls = [url for url in claimed(resource) if url in PROFILES]
    if resource.get("status") == "entered-in-error":  # it has no place in XDS, so nothing to claim
        return with_claims(resource, add=set(), without=set(urls)), []
    if promised and promised not in urls:
        urls.append(promised)
    if stance == "off" or not urls:
        return resource, []
    place = place or str(resource["resourceType"])
    found = {url: _against(url, resource, place, language, server) for url in urls}
    failed = {url for url, issues in found.items() if any(i.severity == "error" for i in issues)}
    issues = list(dict.fromkeys(issue for each in found.values() for issue in each))
    if failed and stance == "refuse":
        raise Unprocessable("A claimed profile does not hold", issues=issues)
    names = ", ".join(sorted(url.rpartition("/")[2] for url in failed))
    told = [Issue("warning", i.code, i.text, i.expression, i.rule, i.url) for i in issues]
    if failed:
        told.append(Issue("warning", "business-rule", f"Not claimed, as it does not hold: {names}", place))
    return with_claims(resource, add=set(urls) - failed, without=failed), told


def with_claims(resource: Resource, *, add: set[str], without: set[str] | frozenset[str]) -> Resource:
    """The resource claiming these profiles, and not those."""
    meta = resource.get("meta", {})
    if not isinstance(meta, dict) or not (add or without):
        return resource  # what is not valid is refused for that
    meta = dict(meta)
    kept = [url for url in meta.get("profile", ()) if str(url).partition("|")[0] not in without]
    kept += sorted(add - {str(url).partition("|")[0] for url in kept} - without)
    if kept == meta.get("profile", []):
        return resource
    if kept:
        meta["profile"] = kept
    else:
        meta.pop("profile")
    changed = {**resource, "meta": meta}
    return changed if meta else {name: value for name, value in changed.items() if name != "meta"}


def of_write(resource: Resource, method: str, accept_language: str, server: "Server") -> Resource:
    """As ``checked``, of what is written by itself: a claim of what is created may be refused, one that a
    change has made untrue is let go.

    Raises:
        Unprocessable: see ``checked``.
    """
    if resource.get("resourceType") not in ("DocumentReference", "List"):
        return resource
    try:
        return checked(resource, server, language=language_of(accept_language))[0]
    except Unprocessable:
        if method == "POST":
            raise
        untrue = {u for u in claimed(resource) if u in PROFILES and not holds(resource, u, server)}
        return with_claims(resource, add=set(), without=untrue)


def holds(resource: Resource, url: str, server: "Server") -> bool:
    """Whether a resource is as a profile says."""
    return not any(i.severity == "error" for i in _against(url, resource, "", "en", server))


def _against(url: str, resource: Resource, place: str, language: Language, server: "Server") -> list[Issue]:
    return server.validator.against(resource, known(url, server), location=place, language=language)
