"""Manifests, label tables and pictures of batches, as objects in the store.

``manifests/<stage>/<thing>/<batch>.parquet``, ``labels/<stage>/<thing>/<batch>.parquet`` and content-addressed
pictures ``images/<stage>/<sha256>.<ext>``. Pictures and labels are written before the manifest: it is the commit point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pyarrow as pa

from labels.formats.parquet import bytes_to_table, table_to_bytes
from labels.manifest import ManifestRow, rows_to_table, table_to_rows
from labels.schema import Shape, shapes_to_table, table_to_shapes
from resources.object_store import MissingObjectError, ObjectStore


class NotMadeYetError(MissingObjectError):
    """A stage of this batch has not been made; the message names the asset to materialize."""


class BatchTables:
    """Reads and writes what stages make. Stages are named by their asset key, e.g. ``corners/proposed``."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep everything in ``store``."""
        self.store = store

    def manifest_uri(self, stage: str, batch: str) -> str:
        """Address of a manifest."""
        return self.store.uri(_manifest_key(stage, batch))

    def has(self, stage: str, batch: str) -> bool:
        """Whether the stage of this batch has been committed."""
        return self.store.exists(_manifest_key(stage, batch))

    def manifest(self, stage: str, batch: str) -> list[ManifestRow]:
        """The manifest of a stage.

        Raises:
            NotMadeYetError: the stage has not been made for this batch.
        """
        return table_to_rows(self._table(_manifest_key(stage, batch), stage, batch))

    def previous(self, stage: str, batch: str) -> list[ManifestRow]:
        """The manifest of an earlier run of the same stage, empty when there is none."""
        return self.manifest(stage, batch) if self.has(stage, batch) else []

    def write_manifest(self, stage: str, batch: str, rows: Sequence[ManifestRow]) -> str:
        """Commit a stage; the address of its manifest."""
        return self._put_table(_manifest_key(stage, batch), rows_to_table(rows))

    def labels(self, stage: str, batch: str) -> list[Shape]:
        """The label table of a stage.

        Raises:
            NotMadeYetError: the stage has not been made for this batch.
        """
        return table_to_shapes(self._table(_labels_key(stage, batch), stage, batch))

    def write_labels(self, stage: str, batch: str, shapes: Sequence[Shape]) -> str:
        """Write a label table, sorted by picture and shape so that equal labels give equal bytes."""
        ordered = sorted(shapes, key=lambda s: (s.image_id, s.shape_id))
        return self._put_table(_labels_key(stage, batch), shapes_to_table(ordered))

    def table(self, stage: str, batch: str) -> pa.Table:
        """A stage's own result table (quality, cover).

        Raises:
            NotMadeYetError: the stage has not been made for this batch.
        """
        return self._table(_result_key(stage, batch), stage, batch)

    def write_table(self, stage: str, batch: str, table: pa.Table) -> str:
        """Write a stage's own result table; its address."""
        return self._put_table(_result_key(stage, batch), table)

    def put_image(self, stage: str, data: bytes, extension: str) -> tuple[str, str]:
        """Store a picture by its content; its sha256 and its key. Never overwritten."""
        digest = hashlib.sha256(data).hexdigest()
        key = f"images/{stage}/{digest}.{extension}"
        self.store.put_if_absent(key, data)
        return digest, key

    def image(self, row: ManifestRow) -> bytes:
        """The encoded picture of a manifest row.

        Raises:
            MissingObjectError: the row has no picture, or the picture is gone.
        """
        if row.uri is None:
            raise MissingObjectError(f"{row.image_id} has no picture in this stage: {row.reason}")
        return self.store.get(row.uri)

    def batches(self, stage: str) -> list[str]:
        """Keys of the batches for which a stage has been committed, sorted."""
        prefix = f"manifests/{stage}/"
        return [key.removeprefix(prefix).removesuffix(".parquet") for key in self.store.keys(prefix)]

    def _table(self, key: str, stage: str, batch: str) -> pa.Table:
        try:
            data = self.store.get(key)
        except MissingObjectError as error:
            raise NotMadeYetError(f"{stage} of batch {batch} has not been made: materialize {stage} first") from error
        return bytes_to_table(data, origin=self.store.uri(key))

    def _put_table(self, key: str, table: pa.Table) -> str:
        self.store.put(key, table_to_bytes(table))
        return self.store.uri(key)


def _manifest_key(stage: str, batch: str) -> str:
    return f"manifests/{stage}/{batch}.parquet"


def _labels_key(stage: str, batch: str) -> str:
    return f"labels/{stage}/{batch}.parquet"


def _result_key(stage: str, batch: str) -> str:
    return f"tables/{stage}/{batch}.parquet"
