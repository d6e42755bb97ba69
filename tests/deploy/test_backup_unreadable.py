"""A place of backups that is away, or cannot be read: said as that, and never as damage of a backup."""

import sys

import pytest

from deploy.backup.shelf import BackupError, Shelf
from deploy.backup.take import take_backup
from deploy.backup.verify import verify_backup
from orchestration.cli.main import main
from resources.object_store import LocalStore, MissingObjectError
from resources.settings import Settings


@pytest.fixture(autouse=True)
def no_home(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


def test_a_bucket_that_is_away_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["reefline", "backup", "verify", "--at", "s3://reef/backups"])
    with pytest.raises(SystemExit) as done:
        main()
    said = capsys.readouterr().err
    assert (done.value.code, len(said.strip().splitlines())) == (2, 1)
    assert "S3: Could not connect to the endpoint URL" in said


class Unreadable(LocalStore):
    """A disk on which some bytes cannot be read, or that is gone all at once."""

    def get(self, key):
        if key.startswith("blobs/") and self.error is not None:
            raise self.error
        if key.startswith("blobs/"):
            self.root.rename(self.root.with_name("unmounted"))
            self.root.mkdir()
            raise MissingObjectError(key)
        return super().get(key)


def test_what_cannot_be_read_is_not_called_damaged(tmp_path):
    settings = Settings(_env_file=None, home=tmp_path / "home", surveys_dir=tmp_path)
    (tmp_path / "reef.yaml").write_text("name: reef\n", encoding="utf-8")
    store = Unreadable(tmp_path / "shelf")
    take_backup(settings, Shelf(store))
    store.error = OSError(5, "Input/output error")
    verdict = verify_backup(Shelf(store))
    assert verdict.damaged == []
    assert verdict.untried[0].startswith("surveys/reef.yaml: could not be read: Input/output error (")
    store.error = None
    with pytest.raises(BackupError, match="went away while it was read"):
        verify_backup(Shelf(store))
