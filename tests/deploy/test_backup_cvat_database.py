"""CVAT's own database in a backup: kept, tried, put back into a new CVAT, and never over the work of one that lives."""

import gzip
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa

from deploy.backup.cvat_database import PART, VARIABLE, dump_cvat_database, load_cvat_database
from deploy.backup.restore import restore_backup
from deploy.backup.shelf import BackupError, Shelf
from deploy.backup.take import take_backup
from deploy.backup.verify import verify_backup
from orchestration.cli.main import main
from orchestration.doctor.data import check_cvat_database
from resources.audit import Audit
from resources.inbox import Inbox
from resources.object_store import LocalStore
from resources.settings import Settings
from tests.deploy.small_cvat import MIGRATIONS, NEXT, new_cvat, next_ids, rows, run


@pytest.fixture(autouse=True)
def no_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture(scope="module")
def worked(postgres):
    """A CVAT with work in it, which tests only read."""
    return new_cvat(postgres, work=True)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(LocalStore(tmp_path / "shelf"))


@pytest.fixture
def kept(shelf, worked, tmp_path):
    return dump_cvat_database(shelf, worked, tmp_path)


def installation(folder, url):
    return Settings(_env_file=None, home=folder, surveys_dir=folder / "surveys", cvat_database_url=url)


def test_a_lost_cvat_comes_back_with_every_row_and_new_rows_get_the_next_ids(postgres, worked, shelf, tmp_path):
    before = rows(worked)
    made = take_backup(installation(tmp_path / "old", worked), shelf)
    assert made.problems == []
    verdict = verify_backup(shelf, settings=installation(tmp_path / "old", worked))
    assert (verdict.damaged, verdict.untried, verdict.remarks) == ([], [], [])

    lost = new_cvat(postgres)
    restored = restore_backup(installation(tmp_path / "new", lost), shelf)
    assert any("/home/django/data" in line for line in restored.by_hand)
    assert rows(lost) == before
    assert run(lost, "SELECT count(*) FROM done_jobs") == [(8,)]
    assert next_ids(lost) == NEXT
    [(stamped,)] = run(
        lost, "SELECT created_date > now() - interval '1 hour' FROM engine_task ORDER BY id DESC LIMIT 1"
    )
    assert stamped, "the database's own trigger works again"


def test_what_has_not_changed_is_not_copied_again(worked, shelf, tmp_path):
    dump_cvat_database(shelf, worked, tmp_path)
    copied = shelf.copied
    dump_cvat_database(shelf, worked, tmp_path)
    assert shelf.copied == copied > 0


def test_a_cvat_that_lives_on_keeps_its_work_and_the_rest_is_restored(postgres, worked, shelf, tmp_path):
    take_backup(installation(tmp_path / "old", worked), shelf)
    living = new_cvat(postgres, work=True)
    run(living, "INSERT INTO engine_task (name) VALUES ('made since')")
    before = rows(living)
    restored = restore_backup(installation(tmp_path / "new", living), shelf)
    assert rows(living) == before
    assert any("left as it is" in line and "--cvat-database" in line for line in restored.by_hand)


def test_rows_go_only_into_a_new_cvat_of_the_same_version_that_stands_still(postgres, shelf, kept):
    empty, newer = postgres.new_database(), new_cvat(postgres, migrations=[*MIGRATIONS, ("engine", "0094_more")])
    older, full = new_cvat(postgres, migrations=MIGRATIONS[:-1]), new_cvat(postgres, work=True)
    for url, said in (
        (empty, "no tables yet: start CVAT"),
        (newer, r"another version of CVAT: the one here has engine\.0094_more"),
        (older, r"the one here lacks engine\.0093_quality"),
        (full, "holds 4 tasks, 1 projects: a backup goes back only into a new CVAT"),
    ):
        with pytest.raises(BackupError, match=said):
            load_cvat_database(shelf, kept, url)
    busy = new_cvat(postgres)
    engine = sa.create_engine(busy)
    with engine.connect(), pytest.raises(BackupError, match=r"at work on its database \(1 connections\): stop"):
        load_cvat_database(shelf, kept, busy)
    engine.dispose()


def test_rows_that_do_not_fit_together_change_nothing(postgres, shelf, kept, tmp_path):
    [projects] = [item for item in kept.items if item.path == "engine_project.copy.gz"]
    (tmp_path / "none").write_bytes(gzip.compress(b""))
    others = [item for item in kept.items if item != projects]
    part = replace(kept, items=[*others, shelf.keep_file(projects.path, tmp_path / "none")])
    part.facts["rows"]["engine_project"] = 0
    url = new_cvat(postgres)
    before = rows(url)
    with pytest.raises(BackupError, match=r"nothing in it was changed: .*violates foreign key"):
        load_cvat_database(shelf, part, url)
    assert rows(url) == before


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://nobody@127.0.0.1:1/cvat", "cannot be used: .*refused"),
        ("postgresql://127.0.0.1:1", "no address of a Postgres database"),
        ("sqlite:///cvat.db", "no address of a Postgres database"),
        ("not an address", "no address of a Postgres database"),
    ],
)
def test_a_backup_without_cvats_database_says_so_and_keeps_the_rest(shelf, tmp_path, address, said):
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text("name: reef\n", encoding="utf-8")
    made = take_backup(installation(tmp_path, address), shelf)
    [problem] = made.problems
    assert problem.startswith("cvat_database: not in this set: ")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(problem)
    assert [item.path for item in made.part("surveys").items] == ["reef.yaml"]


def test_another_database_is_not_taken_for_cvats(postgres, shelf, tmp_path):
    url = postgres.new_database()
    with pytest.raises(BackupError, match="leads to an empty database"):
        dump_cvat_database(shelf, url, tmp_path)
    run(url, "CREATE TABLE runs (id serial)")
    with pytest.raises(BackupError, match="not CVAT's: it has no table django_migrations"):
        dump_cvat_database(shelf, url, tmp_path)


def test_the_doctor_says_by_day_what_a_backup_would_say_at_night(postgres, worked):
    places = [worked, postgres.new_database(), "postgresql+psycopg2://nobody@127.0.0.1:1/cvat", "sqlite://", "nowhere"]
    found = [[finding.level for finding in check_cvat_database(place)] for place in ["", *places]]
    assert found == [[], ["ok"], ["fail"], ["fail"], ["fail"], ["fail"]]


def test_the_command_line_keeps_tries_and_restores_it(postgres, worked, tmp_path, monkeypatch, capsys):
    def reefline(*arguments):
        monkeypatch.setattr(sys, "argv", ["reefline", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        said = capsys.readouterr()
        return done.value.code or 0, " ".join((said.out + said.err).split())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REEFLINE_BACKUP_URL", str(tmp_path / "backups"))
    monkeypatch.setenv("REEFLINE_CVAT_URL", "https://cvat.example.org")
    code, said = reefline("backup")
    assert (code, "CVAT's own database is not in it: REEFLINE_CVAT_DATABASE_URL is not set" in said) == (0, True)
    assert reefline("restore", "--cvat-database")[0] == 2
    monkeypatch.setenv(VARIABLE, worked)
    code, said = reefline("restore", "--cvat-database")
    assert (code, "holds no database of CVAT's" in said) == (2, True)
    assert reefline("backup")[0] == 0
    assert reefline("backup", "verify", "--part", PART) == (0, f"{said_name(tmp_path)}: 9 files, all as they were kept")
    lost = new_cvat(postgres)
    monkeypatch.setenv(VARIABLE, lost)
    inbox = Inbox(Settings().inbox)
    inbox.register_review("reef.0009", "corners", 60, "https://cvat.example.org/tasks/60", [])
    assert reefline("restore", "--cvat-database")[0] == 0
    assert rows(lost) == rows(worked)
    assert next_ids(lost) == NEXT | {"engine_task": 61}, "number 60 is known as that of a task that was lost"
    assert [act.action for act in Audit(inbox).acts()] == ["database restored"]
    code, said = reefline("restore", "--cvat-database")
    assert (code, "holds 5 tasks" in said) == (2, True)


def said_name(folder):
    return Shelf(LocalStore(folder / "backups")).names()[-1]
