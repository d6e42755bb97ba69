"""Manifests: rows survive Arrow, equal work gives equal tables, and what has to be redone is told apart."""

from hypothesis import given
from hypothesis import strategies as st

from labels.formats.parquet import table_to_bytes
from labels.manifest import MANIFEST_SCHEMA, ManifestRow, Status, canonical_params, rows_to_table, table_to_rows

_text = st.text(max_size=12)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.floats(allow_nan=False, allow_infinity=False) | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=6,
)
rows = st.builds(
    ManifestRow,
    image_id=_text,
    source_sha256=_text,
    status=st.sampled_from(Status),
    code_version=_text,
    sha256=st.none() | _text,
    uri=st.none() | _text,
    width=st.none() | st.integers(0, 2**31 - 1),
    height=st.none() | st.integers(0, 2**31 - 1),
    reason=st.none() | _text,
    model=st.none() | _text,
    params=_text,
    duration_ms=st.none() | st.floats(0, 1e9, width=32),
    extra=st.dictionaries(_text, _json, max_size=3),
)


@given(st.lists(rows, max_size=4, unique_by=lambda row: row.image_id))
def test_rows_survive_the_table_sorted_by_picture(some):
    table = rows_to_table(some)
    assert table.schema.equals(MANIFEST_SCHEMA, check_metadata=True)
    assert table_to_rows(table) == sorted(some, key=lambda row: row.image_id)


@given(st.lists(rows, max_size=4, unique_by=lambda row: row.image_id), st.randoms())
def test_the_order_of_work_does_not_change_the_bytes(some, random):
    shuffled = list(some)
    random.shuffle(shuffled)
    assert table_to_bytes(rows_to_table(some)) == table_to_bytes(rows_to_table(shuffled))


@given(st.dictionaries(_text, _json, max_size=4))
def test_equal_settings_have_equal_text(settings):
    assert canonical_params(settings) == canonical_params(dict(reversed(settings.items())))


def test_what_decides_over_redoing_is_source_code_model_and_settings():
    row = ManifestRow("a", "s", Status.OK, "1", model="m", params="{}")
    same = ManifestRow("a", "s", Status.FAILED, "1", model="m", params="{}", duration_ms=5, reason="x")
    assert row.work_key() == same.work_key()
    for change in ({"source_sha256": "t"}, {"code_version": "2"}, {"model": None}, {"params": '{"a":1}'}):
        fields = {"image_id": "a", "source_sha256": "s", "status": "ok", "code_version": "1", "model": "m"}
        assert ManifestRow(**(fields | change)).work_key() != row.work_key()


def test_failed_pictures_are_not_used_and_skipped_ones_are():
    usable = {status: ManifestRow("a", "s", status, "1").usable for status in Status}
    assert usable == {Status.OK: True, Status.SKIPPED: True, Status.FAILED: False}
