"""Arrow tables to and from Parquet bytes. Equal tables give equal bytes; a foreign table is refused by name."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq


class TableError(ValueError):
    """The bytes are no Parquet table of the expected schema; the message says what differs."""


def table_to_bytes(table: pa.Table) -> bytes:
    """An Arrow table as Parquet.

    The bytes depend on content and schema alone: no time stamps are written, and chunks (which depend on how the table
    was put together) are joined first.
    """
    sink = io.BytesIO()
    pq.write_table(table.combine_chunks(), sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()


def bytes_to_table(data: bytes, schema: pa.Schema | None = None, origin: str = "table") -> pa.Table:
    """Parquet bytes as an Arrow table.

    Args:
        data: the file.
        schema: what is expected. Its columns are returned in its order and types; others are left out.
        origin: what to call the file in messages.

    Raises:
        TableError: the bytes are not Parquet, or a column is missing or of another type.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{origin}: not a Parquet file ({str(error).splitlines()[0][:120]}): make it anew") from error
    if schema is None:
        return table
    problems = schema_problems(table.schema, schema)
    if problems:
        raise TableError(f"{origin}: not a table of this version: {'; '.join(problems)}: rerun the stage that wrote it")
    return pa.Table.from_arrays([table.column(f.name).cast(f.type) for f in schema], schema=schema)


def schema_problems(found: pa.Schema, expected: pa.Schema) -> list[str]:
    """How a schema falls short of the one expected; empty when it holds all columns in the same types."""
    problems = []
    key = b"reefline.version"
    mine, theirs = (expected.metadata or {}).get(key), (found.metadata or {}).get(key)
    if mine and theirs and mine != theirs:
        problems.append(f"version {theirs.decode()} where {mine.decode()} is expected")
    for field in expected:
        index = found.get_field_index(field.name)
        if index < 0:
            problems.append(f"no column {field.name!r}")
        elif not _same_type(found.field(index).type, field.type):
            problems.append(f"column {field.name!r} is {found.field(index).type}, not {field.type}")
    return problems


def _same_type(a: pa.DataType, b: pa.DataType) -> bool:
    # Parquet renames the items of lists and maps; what they hold is what counts.
    if pa.types.is_list(a) and pa.types.is_list(b):
        return _same_type(a.value_type, b.value_type)
    if pa.types.is_map(a) and pa.types.is_map(b):
        return _same_type(a.key_type, b.key_type) and _same_type(a.item_type, b.item_type)
    return bool(a.equals(b))
