"""A zip from outside, opened without trusting it. IHE XDM: https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html"""

import io
import re
import stat
import zipfile
import zlib
from dataclasses import dataclass, field

from mappings.core.result import Unreadable


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may have: members, bytes of one and of all of them once expanded, and the ratio of
    expanded to packed bytes of a member of more than ``ratio_from`` bytes."""

    members: int = 2000
    member_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    ratio: int = 150
    ratio_from: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Archive:
    """The files of a zip by path (``/`` between folders, as written); lookups ignore case."""

    files: dict[str, bytes] = field(repr=False)

    def find(self, path: str) -> str | None:
        """The path as written of the file with this path in any case; None when there is none."""
        wanted = _folded(path)
        return next((name for name in self.files if _folded(name) == wanted), None)

    def find_short(self, path: str) -> str | None:
        """As ``find``, for a file whose name was cut to ISO 9660's 8.3 characters when it was written."""
        folder, _, name = _folded(path).rpartition("/")
        stem, _, suffix = name.rpartition(".") if "." in name else (name, "", "")
        short = f"{stem[:8]}.{suffix[:3]}" if suffix else stem[:8]
        return self.find(f"{folder}/{short}" if folder else short)


def open_archive(raw: bytes, limits: Limits) -> Archive:
    """Expand a zip in memory, or refuse it whole.

    Raises:
        Unreadable: not a zip, damaged, encrypted, too big or too well packed, with a path that leaves the
            archive, a link, the same path twice (in any case), or an archive inside.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [info for info in archive.infolist() if not info.is_dir()]
            _check(members, limits)
            return Archive({_path(info): archive.read(info) for info in members})
    # zipfile raises NotImplementedError for a compression or version that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise Unreadable(f"The zip cannot be read: {type(error).__name__}") from None


def _check(members: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(members) > limits.members:
        raise Unreadable(f"The zip has {len(members)} files; at most {limits.members} are read")
    if sum(info.file_size for info in members) > limits.total_bytes:
        raise Unreadable(f"The zip expands to more than {limits.total_bytes} bytes")
    seen: set[str] = set()
    for info in members:
        path = _path(info)
        if info.flag_bits & 0x1:
            raise Unreadable(f"{path} is encrypted")
        if info.file_size > limits.member_bytes:
            raise Unreadable(f"{path} expands to more than {limits.member_bytes} bytes")
        if info.file_size > max(limits.ratio_from, info.compress_size * limits.ratio):
            raise Unreadable(f"{path} expands {limits.ratio} times or more")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(f"{path} is packed in a way that XDM does not allow")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Unreadable(f"{path} is a link")
        if path.lower().endswith(".zip"):
            raise Unreadable(f"{path} is an archive inside the archive")
        if _folded(path) in seen:
            raise Unreadable(f"{path} is there twice")
        seen.add(_folded(path))


def _path(info: zipfile.ZipInfo) -> str:
    """The member's path. Raises Unreadable when it could lead out of the archive."""
    path = info.filename.replace("\\", "/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in path.split("/") or "\x00" in path:
        raise Unreadable(f"The zip has a path that leads out of it: {info.filename!r}")
    return path


def _folded(path: str) -> str:
    return "/".join(part for part in path.casefold().split("/") if part not in ("", "."))
