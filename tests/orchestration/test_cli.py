"""The command line as a user meets it: one line and exit code 2 for a mistake, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SURVEY = "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"


def reefline(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REEFLINE_", "DAGSTER_"))}
    command = [str(Path(sys.executable).with_name("reefline")), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**clean, **env}, timeout=120, check=False
    )


def says(done: subprocess.CompletedProcess, text: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert text in done.stderr, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.fixture
def home(tmp_path):
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text(SURVEY)
    (tmp_path / "surveys" / "photos").mkdir()
    return tmp_path


def test_a_good_survey_file_is_confirmed(home):
    done = reefline(home, "survey", "check")
    assert done.returncode == 0, done.stderr
    assert "ok (reef, three_stage" in done.stdout


def test_a_typo_in_a_survey_file_is_named_with_its_line(home):
    (home / "surveys" / "reef.yaml").write_text(SURVEY + "batchsize: 12\n")
    says(reefline(home, "survey", "check"), "reef.yaml:4")


def test_an_empty_photo_folder_is_said(home):
    says(reefline(home, "ingest", "reef"), "is empty: put the photos there")


def test_a_folder_without_pictures_is_said(home):
    (home / "surveys" / "photos" / "notes.txt").write_text("calm sea")
    says(reefline(home, "ingest", "reef"), "no pictures")


def test_a_photo_folder_that_does_not_exist_is_said(home):
    (home / "surveys" / "photos").rmdir()
    says(reefline(home, "ingest", "reef"), "is not a folder")


def test_an_unknown_survey_names_the_known_ones(home):
    says(reefline(home, "ingest", "moorea"), "found: reef")


def test_photos_are_cut_into_batches_once(home):
    (home / "surveys" / "photos" / "a.jpg").write_bytes(b"x")
    assert "1 new of 1 files in 1 batches: reef.0001" in reefline(home, "ingest", "reef").stdout
    assert "nothing new" in reefline(home, "ingest", "reef").stdout
    assert "reef.0001" in reefline(home, "status").stdout


def test_a_misspelt_setting_is_refused(home):
    says(reefline(home, "status", REEFLINE_HOEM="x"), "did you mean REEFLINE_HOME")


def test_applying_without_a_cvat_says_which_settings_are_missing(home):
    says(reefline(home, "cvat", "apply"), "set REEFLINE_CVAT_URL")


def test_a_cvat_that_does_not_answer_is_one_line(home):
    env = {"REEFLINE_CVAT_URL": "http://127.0.0.1:9", "REEFLINE_CVAT_TOKEN": "t", "REEFLINE_WEBHOOK_SECRET": "s"}
    done = reefline(home, "cvat", "apply", **env)
    says(done, "does not answer")


def test_a_release_of_nothing_is_refused(home):
    says(reefline(home, "release", "reef-1.0.0"), "at least one finished batch")


def test_a_release_name_that_cannot_be_used_is_refused(home):
    says(reefline(home, "release", "Reef 1", "--batch", "reef.0001"), "reef.0001")


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_the_demo_on_a_folder_without_pictures_is_refused_before_anything_starts(tmp_path, content):
    folder = tmp_path / "mine"
    folder.mkdir()
    if content:
        (folder / content).write_text("x")
    says(reefline(tmp_path, "demo", "--images", str(folder)), str(folder))
    assert not (tmp_path / "demo").exists()


def test_fresh_never_removes_a_folder_the_demo_has_not_made(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("x")
    says(reefline(tmp_path, "demo", "--fresh", "--folder", "precious"), "was not made by reefline demo")
    assert (tmp_path / "precious" / "thesis.txt").exists()
