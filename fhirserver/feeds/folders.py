"""An XDM submission that was unpacked into a folder: packed again, so that it comes in as one.

The same files give the same bytes, whenever they are packed.
IHE XDM: https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html
"""

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

METADATA: Final = "METADATA.XML"
_CONTENT: Final = "IHE_XDM"
_GUIDES: Final = ("INDEX.HTM", "INDEX.HTML", "README.TXT")
"""What XDM puts beside the content, for people; nothing is taken in of it."""
_SUBSET: Final = re.compile(r"(?:SUBSET|SS)\d+", re.IGNORECASE)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Folder:
    """A submission: ``content`` is the folder IHE_XDM (else the one with the metadata), ``top`` the one that
    paths in its zip begin at."""

    content: Path
    top: Path
    files: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Raises OSError."""
        return sum(file.stat().st_size for file in self.files)

    def pack(self) -> bytes:
        """The XDM zip. Raises OSError."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for file in self.files:
                name = file.relative_to(self.top).as_posix()
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), file.read_bytes())
        return packed.getvalue()


def submissions(files: Iterable[Path]) -> dict[Path, Folder]:
    """Which of the files are of unpacked submissions, their guides included, and the folder of each."""
    files = sorted(files)
    metadata = (file for file in files if file.name.upper() == METADATA)
    found: dict[Path, Folder] = {}
    for top, inner in sorted({place for file in metadata if (place := _place(file)) is not None}):
        members = [file for file in files if inner in file.parents]
        guides = [file for file in files if file.parent == top and file.name.upper() in _GUIDES]
        found |= dict.fromkeys((*members, *guides), Folder(inner, top, tuple(members)))
    return found


def _place(metadata: Path) -> tuple[Path, Path] | None:
    """The folder of the submission, and the one its content is in; None for metadata that lie anywhere."""
    for parent in metadata.parents:
        if parent.name.upper() == _CONTENT:
            return parent.parent, parent
    return (metadata.parent, metadata.parent) if _SUBSET.fullmatch(metadata.parent.name) else None
