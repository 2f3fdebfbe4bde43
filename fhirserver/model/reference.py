"""Literal references: what ``Reference.reference`` says. https://hl7.org/fhir/R4/references.html#literal"""

import re
from dataclasses import dataclass
from functools import lru_cache

_ID = r"[A-Za-z0-9\-.]{1,64}"
_id = re.compile(_ID).fullmatch
_rest = re.compile(
    rf"(?:(?P<base>https?://[^\s?#|]+?)/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>{_ID})"
    rf"(?:/_history/(?P<version>{_ID}))?(?:#(?P<fragment>.*))?"
).fullmatch


@dataclass(frozen=True, slots=True)
class Reference:
    """A literal reference in its parts; a part that is not there is "".

    ``base`` is the service base URL, "" for this server (relative references); ``fragment`` names a contained
    resource. Where the text is not the address of a resource on a FHIR server (``urn:uuid:...``, a canonical
    url) there is only ``url``.
    """

    base: str = ""
    type: str = ""
    id: str = ""
    version: str = ""
    fragment: str = ""
    url: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it names a resource of this server (not one contained in the referring resource)."""
        return bool(self.id) and not self.base

    @property
    def is_contained(self) -> bool:
        """Whether it points into the resource that holds it (``#p1``, and ``#`` for the container itself)."""
        return not self.id and not self.url

    @property
    def address(self) -> str:
        """The resource whatever its version: ``Patient/1``, ``https://b/fhir/Patient/1``, or the url."""
        if not self.id:
            return self.url
        return f"{self.base}/{self.type}/{self.id}" if self.base else f"{self.type}/{self.id}"

    def __str__(self) -> str:
        version = f"/_history/{self.version}" if self.version else ""
        fragment = f"#{self.fragment}" if self.fragment or self.is_contained else ""
        return f"{self.address}{version}{fragment}"


@lru_cache(maxsize=4096)  # a write asks several times about each of its references
def parse(text: str, own_base: str | None = None) -> Reference:
    """Take a literal reference apart; an absolute one to ``own_base`` becomes relative.

    Nothing is refused here: what is no address of a FHIR resource is kept whole in ``url``.
    """
    if text.startswith("#"):
        return Reference(fragment=text[1:])
    found = _rest(text)
    if found is None:
        return Reference(url=text)
    base, type, id, version, fragment = found.groups("")
    if own_base is not None and base == own_base.rstrip("/"):
        base = ""
    return Reference(base, type, id, version, fragment)


def is_id(text: str) -> bool:
    """Whether the text may be a logical id: 1 to 64 of ``A-Z a-z 0-9 - .``"""
    return _id(text) is not None
