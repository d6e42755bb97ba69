"""Parquet: equal tables give equal bytes, and a foreign table is refused with what differs."""

import pyarrow as pa
import pytest

from labels.formats.parquet import TableError, bytes_to_table, table_to_bytes
from labels.manifest import MANIFEST_SCHEMA, ManifestRow, rows_to_table
from labels.schema import LABEL_SCHEMA, Kind, Shape, shapes_to_table, table_to_shapes

SHAPE = Shape(
    "a", "a:1", Kind.POLYGON, "Porites", [0, 0, 9, 0, 9, 9], holes=[[1, 1, 2, 1, 2, 2]], attributes={"k": "v"}
)


def test_tables_come_back_with_their_schema():
    table = shapes_to_table([SHAPE])
    again = bytes_to_table(table_to_bytes(table), LABEL_SCHEMA)
    assert again.schema.equals(LABEL_SCHEMA, check_metadata=True)
    assert table_to_shapes(again) == [SHAPE]


def test_equal_tables_give_equal_bytes_however_they_were_put_together():
    rows = [ManifestRow(f"{n:016d}", "s", "ok", "1") for n in range(20)]
    whole = rows_to_table(rows)
    pieces = pa.concat_tables([rows_to_table(rows[:7]), rows_to_table(rows[7:])])
    assert table_to_bytes(whole) == table_to_bytes(pieces)


def test_an_empty_table_survives():
    assert bytes_to_table(table_to_bytes(shapes_to_table([])), LABEL_SCHEMA).num_rows == 0


@pytest.mark.parametrize("data", [b"", b"PAR1", b"hello" * 100])
def test_other_bytes_are_refused(data):
    with pytest.raises(TableError, match="not a Parquet file"):
        bytes_to_table(data, LABEL_SCHEMA, "labels.parquet")


def test_a_table_of_another_kind_or_version_is_refused_with_what_differs():
    with pytest.raises(TableError, match="no column 'shape_id'"):
        bytes_to_table(table_to_bytes(rows_to_table([])), LABEL_SCHEMA)
    wrong = pa.table({f.name: pa.array([], f.type if f.name != "width" else pa.string()) for f in MANIFEST_SCHEMA})
    with pytest.raises(TableError, match="'width' is string, not int32"):
        bytes_to_table(table_to_bytes(wrong), MANIFEST_SCHEMA)
    later = LABEL_SCHEMA.with_metadata({"reefline.version": "2"}).empty_table()
    with pytest.raises(TableError, match="version 2 where 1"):
        bytes_to_table(table_to_bytes(later), LABEL_SCHEMA)


def test_further_columns_are_left_out():
    table = shapes_to_table([SHAPE]).append_column("note", pa.array(["x"]))
    assert bytes_to_table(table_to_bytes(table), LABEL_SCHEMA).column_names == LABEL_SCHEMA.names
