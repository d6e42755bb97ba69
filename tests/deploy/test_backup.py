"""Backup, wipe, restore, and work goes on: a real batch, on SQLite and on Postgres."""

import json
import shutil
import stat
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from dagster._daemon.types import DaemonHeartbeat

from bench.postgres import NoPostgresError, Postgres
from bench.restore_world import RestoreWorld, unlike
from deploy.backup.restore import restore_backup
from deploy.backup.secret_settings import pack_settings, unpack_settings
from deploy.backup.shelf import BackupError, Shelf, blob_key
from deploy.backup.standing import refuse_running
from deploy.backup.take import take_backup
from deploy.backup.upgrade import upgrade
from deploy.backup.verify import verify_backup
from deploy.local.dagster_home import make_storage
from deploy.local.runtime import prepare, write_env
from orchestration import definitions
from orchestration.cli.main import main
from orchestration.doctor.data import check_dagster_database
from orchestration.instance import dagster_database, dagster_instance
from resources import version_record
from resources.object_store import LocalStore
from resources.settings import Settings
from resources.version_record import KEY, WrongVersionError, own_record, record, recorded, refuse_older


@pytest.fixture(autouse=True)
def no_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = RestoreWorld(tmp_path_factory.mktemp("sqlite"))
    made.begin(clickhouse=False)  # that of Postgres, below, has one
    return made


def goes_and_comes_back(world):
    settings, shelf = world.settings(), world.shelf
    runs = world.runs()
    first = take_backup(settings, shelf)
    assert first.problems == []
    copied, shelf.copied = shelf.copied, 0
    second = take_backup(settings, shelf)
    pictures = [item for item in second.part("store").items if item.path.startswith("images/")]
    assert pictures
    assert shelf.copied < copied / 2, "what is kept already was copied again"
    verdict = verify_backup(shelf, second.name, settings=settings)
    assert (verdict.damaged, verdict.untried, verdict.remarks) == ([], [], [])

    world.wipe()
    restored = restore_backup(world.given(), shelf, second.name)
    assert [line for line in restored.by_hand if line.startswith("set ")] == []
    again = take_backup(world.given(), shelf)
    assert unlike(second.parts, again.parts) == []
    assert world.runs() == runs
    assert world.go_on() == {"tasks": 2, "different": 2, "rectified": 1}


def test_backup_wipe_restore_and_the_next_stage_goes_on(world):
    goes_and_comes_back(world)


@pytest.mark.slow
@pytest.mark.long
def test_the_same_on_postgres_and_with_clickhouse(tmp_path):
    try:
        with Postgres() as server:
            made = RestoreWorld(tmp_path, server.new_database())
            made.begin()
            goes_and_comes_back(made)
            with pytest.raises(BackupError, match=r"not empty: the store .*the inbox.*Dagster"):
                restore_backup(made.given(), made.shelf)
    except NoPostgresError as error:
        pytest.skip(str(error))


def test_a_backup_goes_only_into_an_empty_installation_that_stands_still(world):
    with pytest.raises(BackupError, match=r"not empty: the store .*the inbox.*Dagster.*only into an empty"):
        restore_backup(world.given(), world.shelf)
    with world.cvat(), pytest.raises(BackupError, match="stop it first"):
        restore_backup(world.given(), world.shelf)


def test_cvats_own_backups_are_kept_and_asked_for_only_when_a_task_has_changed(world, tmp_path):
    shelf = Shelf(LocalStore(tmp_path / "other"))
    with world.cvat() as made:
        first = take_backup(made.settings, shelf, with_cvat=True).part("cvat")
        time.sleep(1)  # a set is named by its second
        calls = made.settings.home / "sandbox" / "exports"
        for path in calls.iterdir():
            path.unlink()
        again = take_backup(made.settings, shelf, with_cvat=True).part("cvat")
        assert list(calls.iterdir()) == []
    assert again.items == first.items
    assert [item.path for item in first.items] == ["reef.0001.corners.zip", "reef.0001.lattice.zip"]
    with shelf.file(first.items[0]) as path, zipfile.ZipFile(path) as file:
        names = set(file.namelist())
        task, annotations = json.loads(file.read("task.json")), json.loads(file.read("annotations.json"))
    assert {"task.json", "annotations.json", "data/manifest.jsonl"} < names
    assert len([n for n in names if n.endswith(".jpg")]) == 1
    assert (task["name"], task["version"], task["jobs"][0]["type"]) == ("reef.0001.corners", "1.0", "annotation")
    assert [shape["label"] for shape in annotations[0]["shapes"]] == ["quadrat_corner"]
    assert len(annotations[0]["shapes"][0]["elements"]) == 4


def test_one_flipped_byte_is_found_and_named(world):
    kept = world.shelf.read()
    picture = next(item for item in kept.part("store").items if item.path.startswith("images/"))
    database = kept.part("dagster").items[0]
    for item, name in ((picture, f"store/{picture.path}"), (database, f"dagster/{database.path}")):
        path = world.shelf.store.path(blob_key(item.sha256))
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        problems = verify_backup(world.shelf, parts=["store", "dagster"]).damaged
        path.write_bytes(data)
        assert len([p for p in problems if p.startswith(name)]) == 1, problems
        assert all("damaged" in p for p in problems)
    assert verify_backup(world.shelf, parts=["store", "dagster"]).damaged == []


def test_a_picture_that_is_damaged_on_disk_does_not_pass_for_whole(world, tmp_path):
    settings = world.settings()
    [picture] = [p for p in (world.home / "store" / "images" / "raw").rglob("*.jpg")]
    data = picture.read_bytes()
    picture.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        found = take_backup(settings, Shelf(LocalStore(tmp_path / "other")))
        assert [p for p in found.problems if picture.name in p]
        assert take_backup(settings, world.shelf, read_all=True).problems == found.problems
    finally:
        picture.write_bytes(data)


def test_old_sets_are_pruned_and_the_newest_stays_whole(world):
    world.shelf.prune(1)
    assert len(world.shelf.names()) == 1
    assert verify_backup(world.shelf, parts=["store", "inbox", "surveys"]).damaged == []


def test_a_restore_that_breaks_off_may_be_repeated(world, tmp_path, monkeypatch):
    given = Settings(_env_file=None, home=tmp_path / "home", surveys_dir=tmp_path / "surveys")
    name = take_backup(world.settings(), world.shelf).name
    with monkeypatch.context() as patch:
        patch.setattr("deploy.backup.restore.load_sqlite", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(BackupError, match=rf"{name} could not be put back: disk full.*restore it again"):
            restore_backup(given, world.shelf, name)
    with pytest.raises(BackupError, match="not empty"):
        restore_backup(given, world.shelf, world.shelf.names()[0])
    told = []
    restored = restore_backup(given, world.shelf, name, told.append)
    assert f"going on with {name}" in told[0]
    assert any("restored.env" in line for line in restored.by_hand)
    again = take_backup(given, Shelf(LocalStore(tmp_path / "again")))
    assert unlike(world.shelf.read(name).parts, again.parts) == []
    assert not given.home.joinpath("store", "platform", "restoring.json").exists()


def test_an_upgrade_makes_a_backup_first_and_older_software_is_refused(world, monkeypatch):
    settings, store = world.settings(), LocalStore(world.home / "store")
    first = replace(own_record(), version="0.0.9")
    record(store, first)
    done = upgrade(settings, world.shelf)
    assert recorded(store) == done
    assert done.backup in world.shelf.names()
    assert world.shelf.read(done.backup).versions["reefline"] == "0.0.9", "its software takes it back"
    refuse_older(store)
    with pytest.raises(WrongVersionError, match=rf"moved to reefline .*restore {done.backup}"):
        refuse_older(store, "0.0.9")
    monkeypatch.setattr(version_record, "version", lambda _: "0.0.9")
    monkeypatch.setattr(definitions, "load_settings", lambda: settings)
    for start in (world.prepare, definitions.defs.load_fn):
        with pytest.raises(WrongVersionError, match="moved to reefline"):
            start()
    store.delete(KEY)


def test_an_upgrade_that_breaks_off_is_gone_on_with_and_keeps_the_way_back(world, monkeypatch):
    settings, store = world.settings(), LocalStore(world.home / "store")
    done = []

    def full(*_):
        raise OSError("no space left on device")

    steps = {"inbox": lambda *_: done.append("inbox"), "dagster": full, "clickhouse": full}
    monkeypatch.setattr("deploy.backup.upgrade.STEPS", steps)
    with pytest.raises(BackupError, match=r"broke off at dagster: no space left.*upgrade' again.*restore \d{8}T\d{6}Z"):
        upgrade(settings, world.shelf)
    stands = recorded(store)
    assert (stands.unfinished, stands.backup) == ("dagster", world.shelf.names()[-1])
    with pytest.raises(WrongVersionError, match="broke off at dagster: run 'reefline upgrade' again"):
        world.prepare()
    monkeypatch.undo()
    told = []
    finished = upgrade(settings, world.shelf, told.append)
    assert finished.backup == stands.backup, "the half-moved state is no way back"
    assert (finished.unfinished, world.shelf.names()[-1]) == ("", stands.backup)
    assert "going on with the upgrade that broke off at dagster" in told[0]
    store.delete(KEY)


def test_settings_that_came_back_are_in_force_until_somebody_sets_others(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    kept = {"REEFLINE_CVAT_URL": "https://cvat.example.org", "REEFLINE_NOTIFY_URL": "https://hooks.example.org/x"}
    write_env(home / "restored.env", {**kept, "REEFLINE_WEBHOOK_SECRET": "hush"})
    made = prepare(home, tmp_path, given=Settings(_env_file=None, notify_url="https://other.example.org"))
    assert not made.sandbox
    settings = made.settings
    assert settings.cvat_url == "https://cvat.example.org"
    assert settings.webhook_secret.get_secret_value() == "hush"
    assert settings.notify_url == "https://other.example.org"


def test_a_database_that_only_dagsters_own_file_names_is_backed_up_too(monkeypatch, tmp_path):
    """As in containers: REEFLINE_DAGSTER_URL is empty, the variables are Compose's and the chart's."""
    compose = Path(__file__).resolve().parents[2] / "deploy" / "compose" / "dagster.yaml"
    try:
        with Postgres() as server:
            url = sa.engine.make_url(server.new_database())
            parts = {
                "HOST": url.host,
                "PORT": url.port,
                "DB": url.database,
                "USER": url.username,
                "PASSWORD": "any w@y",
            }
            for name, value in parts.items():
                monkeypatch.setenv(f"DAGSTER_PG_{name}", str(value))
            monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
            (tmp_path / "dagster").mkdir()
            shutil.copyfile(compose, tmp_path / "dagster" / "dagster.yaml")
            settings = Settings(_env_file=None, home=tmp_path / "home", surveys_dir=tmp_path)
            make_storage(tmp_path / "dagster", {"REEFLINE_DAGSTER_URL": dagster_database(settings)})
            made = take_backup(settings, Shelf(LocalStore(tmp_path / "backups")))
            assert made.part("dagster").facts["kind"] == "postgres"
            assert {"runs.copy.gz", "event_logs.copy.gz"} <= {item.path for item in made.part("dagster").items}
            assert [f.level for f in check_dagster_database(tmp_path / "dagster", dagster_database(settings))] == ["ok"]
            refuse_running(settings)
            with dagster_instance(tmp_path / "dagster") as instance:
                instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 20, "SENSOR", "1", []))
            with pytest.raises(BackupError, match=r"sign of life 2\d s ago: stop daemon"):
                upgrade(settings, None)
    except NoPostgresError as error:
        pytest.skip(str(error))


def test_nothing_is_pruned_while_a_backup_is_made(tmp_path):
    shelf = Shelf(LocalStore(tmp_path))
    with shelf.making("20261121T140301Z"):
        item = shelf.keep_bytes("x", b"not in a set yet")
        with pytest.raises(BackupError, match="being made since"):
            shelf.prune(1)
        assert shelf.has(item.sha256)
    assert shelf.prune(1) == (0, 1)


def test_secrets_come_back_only_with_the_passphrase():
    given = {"webhook_secret": "hush", "notify_url": "https://hooks.example.org/T0/B0/x", "threads": 2}
    settings = Settings(_env_file=None, **given, backup_passphrase="right")
    packed = pack_settings(settings)
    assert "hush" not in str(packed)
    assert "hooks" not in str(packed)
    assert "right" not in str(packed)
    found, by_hand = unpack_settings(packed, "right")
    assert found["REEFLINE_WEBHOOK_SECRET"] == "hush"
    assert by_hand == []
    with pytest.raises(BackupError, match="is not the one"):
        unpack_settings(packed, "wrong")
    bare = pack_settings(Settings(_env_file=None, **given))
    assert bare["left_out"] == ["REEFLINE_NOTIFY_URL", "REEFLINE_WEBHOOK_SECRET"]
    assert "hush" not in str(bare)
    assert bare["plain"] == {"REEFLINE_THREADS": "2"}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["backup"], "say where backups are"),
        (["backup", "verify", "--at", "nothing"], "holds no backup"),
        (["restore", "--at", "ftp://somewhere"], "use file:///folder or s3://"),
        (["backup", "verify", "--at", "nothing", "--part", "picture"], "no part 'picture': there are dagster, inbox"),
        (["restore", "--at", "nothing", "--cvat", "--cvat-database"], "give one of them"),
        (["restore", "--at", "nothing", "--cvat-database"], "say where CVAT's database is"),
    ],
)
def test_the_command_line_says_what_is_missing(tmp_path, monkeypatch, capsys, arguments, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reefline", *arguments])
    with pytest.raises(SystemExit) as done:
        main()
    said = capsys.readouterr().err
    assert done.value.code == 2
    assert text in " ".join(said.split())
    assert len(said.strip().splitlines()) == 1


def test_settings_that_come_back_are_for_their_owner_alone(world):
    for path in world.home.glob("*.env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
