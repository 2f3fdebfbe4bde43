"""A file, a folder or a zip of files, read as text row by row."""

import codecs
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

CHUNK = 1024 * 1024
LARGEST_FIELD = 16 * 1024 * 1024
LARGEST_FILE = 8 * 1024**3
"""A file of a zip that says it is larger unpacked is refused."""


class Unreadable(Exception):
    """The file is not what it should be; the text says why, for an operator."""


class Folder:
    """The files of a path by name, with ``/`` between folders."""

    def __init__(self, path: Path) -> None:
        """Raises Unreadable: there is no such path, or the zip is broken."""
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self.names = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())
        elif path.is_file() and zipfile.is_zipfile(path):
            try:
                self._zip = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise Unreadable(f"{path} is not a zip: {error}") from None
            files = [info for info in self._zip.infolist() if not info.is_dir()]
            if too_large := next((info for info in files if info.file_size > LARGEST_FILE), None):
                raise Unreadable(f"{too_large.filename} of {path} is larger than {LARGEST_FILE} bytes")
            self.names = sorted(info.filename for info in files)
        elif path.is_file():
            self.names = [path.name]
        else:
            raise Unreadable(f"There is no {path}")
        csv.field_size_limit(LARGEST_FIELD)

    def find_all(self, pattern: str) -> list[str]:
        """The files whose own name matches the whole of a regular expression, without case."""
        matches = re.compile(pattern, re.IGNORECASE).fullmatch
        return [name for name in self.names if matches(name.rpartition("/")[2])]

    def find(self, pattern: str) -> str:
        """As ``find_all``, the first of them, "" where there is none."""
        return next(iter(self.find_all(pattern)), "")

    def open(self, name: str) -> IO[bytes]:
        """Raises Unreadable."""
        try:
            if self._zip:
                return self._zip.open(name)
            return (self.path / name if self.path.is_dir() else self.path).open("rb")
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:
            raise Unreadable(f"{name} of {self.path} cannot be read: {error}") from None

    def lines(self, name: str, encoding: str = "") -> Iterator[str]:
        """The lines of a text, without their ends; in UTF-8 or, what is not, in Windows-1252.

        Raises:
            Unreadable.
        """
        encoding = encoding or self._encoding(name)
        with self.open(name) as file:
            text = io.TextIOWrapper(file, encoding, newline="")
            try:
                for line in text:
                    yield line.rstrip("\r\n")
            except (UnicodeDecodeError, OSError, zipfile.BadZipFile) as error:
                raise Unreadable(f"{name} cannot be read: {type(error).__name__}") from None

    def rows(self, name: str, delimiter: str, *, quoted: bool = True) -> Iterator[list[str]]:
        """The rows of a table. Raises Unreadable."""
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        try:
            # With their ends, so that a quoted field can have several lines.
            lines = (f"{line}\n" for line in self.lines(name))
            for row in csv.reader(lines, delimiter=delimiter, quoting=quoting):
                if row:
                    yield row
        except csv.Error as error:
            raise Unreadable(f"{name} is not a table: {error}") from None

    def records(self, name: str, delimiter: str, *, quoted: bool = True) -> Iterator[dict[str, str]]:
        """The rows after the first, by the column names of the first. Raises Unreadable."""
        rows = self.rows(name, delimiter, quoted=quoted)
        header = [column.strip() for column in next(rows, [])]
        for row in rows:
            yield dict(zip(header, row, strict=False))

    def digest(self) -> str:
        """Of all names and contents. Raises Unreadable."""
        sha = hashlib.sha256()
        for name in self.names:
            sha.update(f"{name.rpartition('/')[2]}\0".encode())
            with self.open(name) as file:
                while chunk := file.read(CHUNK):
                    sha.update(chunk)
        return sha.hexdigest()

    def _encoding(self, name: str) -> str:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.open(name) as file:
                while chunk := file.read(CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
        return "utf-8-sig"
