"""Files of a release out of what its batches gave, without ever holding a file in memory.

Every batch gives named sections of bytes. A file says which sections it is made of and what stands between them.
"""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pyarrow.parquet as pq

from labels.formats.common import LEVEL, zip_entry


@dataclass(frozen=True, slots=True)
class Join:
    """All batches' bytes of a section, one after the other; batches without any leave no separator behind."""

    section: str
    separator: bytes = b""


Piece = bytes | Join


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that is its pieces, one after the other."""

    path: str
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class TableFile:
    """A Parquet file with a row group per batch; the section holds the batch's own Parquet."""

    path: str
    section: str


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A zip: members made of pieces, and all members of the batches' own zips (sections ``bundles``)."""

    path: str
    members: Mapping[str, Sequence[Piece]] = field(default_factory=dict)
    bundles: Sequence[str] = ()


FileSpec = TextFile | TableFile | ArchiveFile


class Assembly:
    """Puts the files of a release together in a folder."""

    def __init__(self, folder: Path, specs: Sequence[FileSpec]) -> None:
        """Work in ``folder`` (must exist)."""
        self._folder = folder
        self._specs = specs
        (folder / "sections").mkdir()
        (folder / "files").mkdir()
        self._separators = {
            piece.section: piece.separator for spec in specs for piece in _pieces(spec) if isinstance(piece, Join)
        }
        self._tables: dict[str, pq.ParquetWriter] = {}
        self._archives: dict[str, zipfile.ZipFile] = {}

    def add(self, sections: Mapping[str, bytes]) -> None:
        """What the next batch gives."""
        for name, separator in self._separators.items():
            data = sections.get(name, b"")
            if not data:
                continue
            with self._section(name).open("ab") as file:
                if file.tell():
                    file.write(separator)
                file.write(data)
        for spec in self._specs:
            if isinstance(spec, TableFile):
                self._add_table(spec, sections[spec.section])
            elif isinstance(spec, ArchiveFile):
                self._add_members(spec, sections)

    def _add_table(self, spec: TableFile, data: bytes) -> None:
        table = pq.read_table(io.BytesIO(data))
        if spec.path not in self._tables:
            self._tables[spec.path] = pq.ParquetWriter(self._file(spec.path), table.schema, compression="zstd")
        if table.num_rows:
            self._tables[spec.path].write_table(table, row_group_size=table.num_rows)

    def _add_members(self, spec: ArchiveFile, sections: Mapping[str, bytes]) -> None:
        for bundle in spec.bundles:
            if not sections.get(bundle):
                continue
            with zipfile.ZipFile(io.BytesIO(sections[bundle])) as batch:
                for name in batch.namelist():
                    entry = zip_entry(name, packed=not name.endswith((".png", ".jpg")))
                    self._archive(spec).writestr(entry, batch.read(name), compresslevel=LEVEL)

    def finish(self) -> dict[str, Path]:
        """The files by their path in the release."""
        for spec in self._specs:
            if isinstance(spec, TableFile) and spec.path in self._tables:
                self._tables.pop(spec.path).close()
            elif isinstance(spec, TextFile):
                with self._file(spec.path).open("wb") as file:
                    self._write(file, spec.pieces)
            elif isinstance(spec, ArchiveFile):
                archive = self._archive(spec)
                for name, pieces in spec.members.items():
                    with archive.open(zip_entry(name), "w", force_zip64=True) as member:
                        self._write(member, pieces)
                self._archives.pop(spec.path).close()
        return {spec.path: self._file(spec.path) for spec in self._specs if self._file(spec.path).exists()}

    def close(self) -> None:
        """Let go of what is open; for a release that is given up."""
        for writer in (*self._tables.values(), *self._archives.values()):
            writer.close()
        self._tables, self._archives = {}, {}

    def _write(self, file: IO[bytes], pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
            elif self._section(piece.section).exists():
                with self._section(piece.section).open("rb") as section:
                    shutil.copyfileobj(section, file, 1 << 20)

    def _archive(self, spec: ArchiveFile) -> zipfile.ZipFile:
        if spec.path not in self._archives:
            self._archives[spec.path] = zipfile.ZipFile(self._file(spec.path), "w")
        return self._archives[spec.path]

    def _section(self, name: str) -> Path:
        return self._folder / "sections" / name.replace("/", "~")

    def _file(self, path: str) -> Path:
        return self._folder / "files" / path.replace("/", "~")


def _pieces(spec: FileSpec) -> list[Piece]:
    if isinstance(spec, TextFile):
        return list(spec.pieces)
    return [piece for pieces in spec.members.values() for piece in pieces] if isinstance(spec, ArchiveFile) else []
