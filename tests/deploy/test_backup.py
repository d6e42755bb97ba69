"""Backup, wipe, restore, and work goes on: a real batch, on SQLite and on Postgres."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bench.postgres import NoPostgresError, Postgres
from bench.restore_world import RestoreWorld, unlike
from deploy.backup.restore import restore_backup
from deploy.backup.secret_settings import pack_settings, unpack_settings
from deploy.backup.shelf import BackupError, Shelf, blob_key
from deploy.backup.take import take_backup
from deploy.backup.upgrade import KEY, recorded, refuse_older, upgrade
from deploy.backup.verify import verify_backup
from resources.object_store import LocalStore
from resources.settings import Settings


@pytest.fixture(autouse=True)
def no_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        made = RestoreWorld(folder)
        made.begin()
        yield made
        return
    try:
        with Postgres() as server:
            made = RestoreWorld(folder, server.new_database())
            made.begin()
            yield made
    except NoPostgresError as error:
        pytest.skip(str(error))


def test_backup_wipe_restore_and_the_next_stage_goes_on(world):
    settings, shelf = world.settings(), world.shelf
    runs = world.runs()
    first = take_backup(settings, shelf)
    assert first.problems == []
    copied, shelf.copied = shelf.copied, 0
    second = take_backup(settings, shelf)
    pictures = [item for item in second.part("store").items if item.path.startswith("images/")]
    assert pictures
    assert shelf.copied < copied / 2, "what is kept already was copied again"
    assert verify_backup(shelf, second.name)[1] == []

    world.wipe()
    restored = restore_backup(world.given(), shelf, second.name)
    assert [line for line in restored.by_hand if line.startswith("set ")] == []
    again = take_backup(world.given(), shelf)
    assert unlike(second.parts, again.parts) == []
    assert world.runs() == runs
    assert world.go_on() == {"tasks": 2, "different": 2, "rectified": 1}


def test_a_backup_goes_only_into_an_empty_installation_that_stands_still(world):
    with pytest.raises(BackupError, match=r"not empty: the store .*the inbox.*Dagster.*only into an empty"):
        restore_backup(world.given(), world.shelf)
    with world.cvat(), pytest.raises(BackupError, match="stop it first"):
        restore_backup(world.given(), world.shelf)


def test_one_flipped_byte_is_found_and_named(world):
    kept = world.shelf.read()
    picture = next(item for item in kept.part("store").items if item.path.startswith("images/"))
    database = kept.part("dagster").items[0]
    for item, name in ((picture, f"store/{picture.path}"), (database, f"dagster/{database.path}")):
        path = world.shelf.store.path(blob_key(item.sha256))
        data = path.read_bytes()
        middle = len(data) // 2
        path.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
        _, problems = verify_backup(world.shelf)
        path.write_bytes(data)
        assert len([p for p in problems if p.startswith(name)]) == 1, problems
        assert all("damaged" in p for p in problems)
    assert verify_backup(world.shelf)[1] == []


def test_a_picture_that_is_damaged_on_disk_does_not_pass_for_whole(world, tmp_path):
    settings = world.settings()
    [picture] = [p for p in (world.home / "store" / "images" / "raw").rglob("*.jpg")]
    data = picture.read_bytes()
    picture.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        found = take_backup(settings, Shelf(LocalStore(tmp_path / "other")))
        assert [p for p in found.problems if picture.name in p]
    finally:
        picture.write_bytes(data)


def test_old_sets_are_pruned_and_the_newest_stays_whole(world):
    world.shelf.prune(1)
    assert len(world.shelf.names()) == 1
    assert verify_backup(world.shelf)[1] == []


def test_an_upgrade_makes_a_backup_first_and_older_software_is_refused(world):
    settings, store = world.settings(), LocalStore(world.home / "store")
    record = upgrade(settings, world.shelf)
    assert recorded(store) == record
    assert record.backup in world.shelf.names()
    refuse_older(store)
    with pytest.raises(BackupError, match=rf"moved to reefline .*restore {record.backup}"):
        refuse_older(store, "0.0.9")
    store.delete(KEY)


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


def test_the_command_line_says_what_is_missing(tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REEFLINE_", "DAGSTER_"))}
    command = [str(Path(sys.executable).with_name("reefline"))]
    for arguments, text in (
        (["backup"], "say where backups are"),
        (["backup", "verify", "--at", str(tmp_path)], "holds no backup"),
        (["restore", "--at", "ftp://somewhere"], "use file:///folder or s3://"),
    ):
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False
        )
        assert done.returncode == 2, done.stderr
        assert text in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_settings_that_come_back_are_for_their_owner_alone(world):
    for path in world.home.glob("*.env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
