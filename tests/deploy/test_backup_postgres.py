"""What a verification does with rows of Postgres: they go into temporary tables of a real server and come out again."""

import gzip
import io
import signal
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from deploy.backup.postgres import SUFFIX, copying, dump_postgres, first_line, load_postgres
from deploy.backup.shelf import BackupError, Shelf
from deploy.backup.take import take_backup
from deploy.backup.trial import Trial, try_postgres
from orchestration.cli.main import main
from resources.object_store import LocalStore
from resources.settings import Settings
from tests.deploy.small_cvat import new_cvat, run

TABLE = (
    "CREATE TABLE dives (id serial PRIMARY KEY, site text NOT NULL, at timestamptz, depth_m float8, kept jsonb,"
    " CHECK (depth_m < 100))"
)
ROWS = (
    "INSERT INTO dives (site, at, depth_m, kept) SELECT 'Temae ' || n || chr(9) || chr(10), now(), n / 7.0,"
    " jsonb_build_object('é', n) FROM generate_series(1, 50) n"
)


@pytest.fixture
def kept(postgres, tmp_path):
    """A shelf, a part with one table of it, and the database's address."""
    url = postgres.new_database()
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
    assert try_postgres(shelf, part, url) == Trial()
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
    trial = try_postgres(shelf, other(shelf, part, tmp_path, change), url)
    assert trial.untried == {}
    [problem] = trial.damaged
    assert problem.startswith("dives.copy.gz: ")
    assert said in problem


def test_a_set_of_another_version_is_not_called_damaged(kept):
    shelf, part, url = kept
    run(url, "ALTER TABLE dives RENAME COLUMN site TO place")
    assert try_postgres(shelf, part, url) == Trial(
        untried={'column "site" of relation "reefline_verify" does not exist': ["dives"]}
    )
    with pytest.raises(BackupError, match=r"the database has no dives\.site: restore with the version"):
        load_postgres(shelf, part, url)
    run(url, "ALTER TABLE dives RENAME TO old_dives")
    said = "the database in use has no such table, another version made the set"
    assert try_postgres(shelf, part, url) == Trial(untried={said: ["dives"]})


class Interrupted(Shelf):
    """A shelf that does something when a file is fetched from it, or kept."""

    def at(self, path, act):
        self.path, self.act = path, act
        return self

    def file(self, item):
        if item.path == self.path:
            self.act()
        return super().file(item)

    def keep_file(self, path, file):
        if path == self.path:
            self.act()
        return super().keep_file(path, file)


def test_a_server_that_goes_away_in_the_middle_is_not_damage_of_the_backup(postgres, tmp_path):
    shelf = Interrupted(LocalStore(tmp_path / "shelf")).at("", None)
    part = dump_postgres(shelf, url := new_cvat(postgres, work=True), tmp_path)
    shelf.at("engine_job.copy.gz", lambda: postgres.stop(signal.SIGQUIT))
    try:
        trial = try_postgres(shelf, part, url)
    finally:
        postgres.start()
    assert trial.damaged == []
    [(reason, tables)] = trial.untried.items()
    assert tables == ["engine_job", "engine_labeledshape", "engine_project", "engine_task"], "those after it, too"
    assert "connection" in reason or "terminat" in reason


def test_a_server_that_goes_away_while_a_backup_is_made_is_one_line_with_the_part(postgres, tmp_path):
    shelf = Interrupted(LocalStore(tmp_path / "shelf")).at("auth_user.copy.gz", lambda: postgres.stop(signal.SIGQUIT))
    settings = Settings(_env_file=None, home=tmp_path, surveys_dir=tmp_path, dagster_url=new_cvat(postgres))
    try:
        with pytest.raises(BackupError, match=r"^dagster cannot be read: [^\n]*(connection|terminat)[^\n]*$"):
            take_backup(settings, shelf)
    finally:
        postgres.start()
    assert shelf.names() == []


def test_what_copy_says_is_heard_when_the_connection_breaks_within_it(postgres):
    engine = sa.create_engine(postgres.new_database())
    end = "SELECT pg_terminate_backend(pg_backend_pid())"
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as connection, copying(connection) as cursor:
        cursor.copy_expert(f"COPY ({end}) TO STDOUT", io.BytesIO())
    said = first_line(caught.value)
    assert "closed the connection" in said or "terminating connection" in said, "and not what comes of it afterwards"
    engine.dispose()


def test_verify_tells_damage_from_what_the_server_does_not_let_it_try(postgres, tmp_path, monkeypatch, capsys):
    url = new_cvat(postgres, work=True)
    name = sa.engine.make_url(url).database
    run(
        url,
        f"CREATE ROLE reads_{name} LOGIN",
        f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reads_{name}",
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reads_{name}",
    )
    shelf = Shelf(LocalStore(tmp_path / "shelf"))
    reader = sa.engine.make_url(url).set(username=f"reads_{name}").render_as_string()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("REEFLINE_CVAT_DATABASE_URL", reader)
    part = take_backup(Settings(_env_file=None), shelf).part("cvat_database")

    def verified():
        monkeypatch.setattr(sys, "argv", ["reefline", "backup", "verify", "--at", str(tmp_path / "shelf")])
        with pytest.raises(SystemExit) as done:
            main()
        return done.value.code, " ".join(capsys.readouterr().out.split())

    code, said = verified()
    assert code == 3
    assert "cvat_database: 9 tables (auth_group, auth_user, auth_user_groups, ...) could not be tried: perm" in said
    assert said.endswith("no damage found, but not all could be tried")

    [item] = [item for item in part.items if item.path == "engine_task.copy.gz"]
    blob = next((tmp_path / "shelf").rglob(item.sha256))
    blob.write_bytes(blob.read_bytes()[:-1])
    code, said = verified()
    assert code == 1
    assert "cvat_database/engine_task.copy.gz: damaged" in said
    assert said.endswith("files, damaged")
