"""What a verification does with rows of Postgres: they go into temporary tables of a real server and come out again."""

import gzip
from dataclasses import replace

import pytest
import sqlalchemy as sa

from bench.postgres import NoPostgresError, Postgres
from deploy.backup.databases import SUFFIX, dump_postgres, try_postgres
from deploy.backup.shelf import Shelf
from resources.object_store import LocalStore

TABLE = (
    "CREATE TABLE dives (id serial PRIMARY KEY, site text NOT NULL, at timestamptz, depth_m float8, kept jsonb,"
    " CHECK (depth_m < 100))"
)
ROWS = (
    "INSERT INTO dives (site, at, depth_m, kept) SELECT 'Temae ' || n || chr(9) || chr(10), now(), n / 7.0,"
    " jsonb_build_object('é', n) FROM generate_series(1, 50) n"
)


@pytest.fixture(scope="module")
def server():
    try:
        with Postgres() as running:
            yield running
    except NoPostgresError as error:
        pytest.skip(str(error))


@pytest.fixture
def kept(server, tmp_path):
    """A shelf, a part with one table of it, and the database's address."""
    url = server.new_database()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(TABLE)
        connection.exec_driver_sql(ROWS)
    engine.dispose()
    shelf = Shelf(LocalStore(tmp_path / "shelf"))
    return shelf, dump_postgres(shelf, url, tmp_path), url


def other(shelf, part, tmp_path, change):
    """The part with changed rows, whose hash is right: as if they had been kept so."""
    with shelf.file(part.items[0]) as copy, gzip.open(copy) as rows:
        text = change(rows.read())
    changed = tmp_path / "changed"
    changed.write_bytes(gzip.compress(text))
    return replace(part, items=[shelf.keep_file("dives" + SUFFIX, changed)])


def test_rows_come_back_as_they_were_and_nothing_stays_in_the_database(kept):
    shelf, part, url = kept
    assert part.facts["rows"] == {"dives": 50}
    assert list(try_postgres(shelf, part, url)) == []
    engine = sa.create_engine(url)
    assert sa.inspect(engine).get_table_names() == ["dives"]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*), max(id) FROM dives").one() == (50, 50)
        assert connection.exec_driver_sql("SELECT nextval('dives_id_seq')").scalar() == 51
    engine.dispose()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace(b"7\t", b"seven\t", 1), "does not go back into dives: invalid input syntax"),
        (lambda text: text + text.splitlines(keepends=True)[0], "does not go back into dives: duplicate key"),
        (lambda text: text[: text.rindex(b"\t")], "does not go back into dives"),
        (lambda text: text.replace(b"1\t", b"01\t", 1), "other rows came back than were kept"),
    ],
    ids=["not-a-number", "row-twice", "cut-off", "written-otherwise"],
)
def test_rows_that_do_not_come_back_are_named(kept, tmp_path, change, said):
    shelf, part, url = kept
    [problem] = try_postgres(shelf, other(shelf, part, tmp_path, change), url)
    assert problem.startswith("dives.copy.gz: ")
    assert said in problem


def test_a_set_of_another_version_is_told_by_its_tables(kept):
    shelf, part, url = kept
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE dives RENAME TO old_dives")
    engine.dispose()
    assert list(try_postgres(shelf, part, url)) == [
        "dives.copy.gz: the database in use has no such table, another version made the set"
    ]
