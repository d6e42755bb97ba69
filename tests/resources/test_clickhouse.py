"""The analytics database on a real embedded chDB. A process may use one chDB folder, so each test is a process."""

import subprocess
import sys
import textwrap

import pytest

from analytics.migrate import MigrationError, migrations, missing
from resources.clickhouse import ClickHouse, ClickHouseUnavailable


def run(tmp_path, code, wait=True):
    head = (
        "import pyarrow as pa\nfrom datetime import UTC, datetime\nfrom resources.clickhouse import ClickHouse\n"
        f"db = ClickHouse('chdb://{tmp_path / 'ch'}')\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if not wait:
        return process
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-2000:]
    return out


LOAD = """
with db.session({"run_id": "r1", "asset": "analytics/images"}) as session:
    print(session.migrate())
    row = {"batch": "reef.0001", "survey": "reef", "stage": "images/raw", "image_id": "a", "status": "ok",
           "reason": "", "model": "", "duration_ms": 12.5, "loaded_at": datetime.now(UTC)}
    bad = {**row, "image_id": "b", "status": "failed", "reason": "no frame"}
    session.insert("images", pa.Table.from_pylist([row, bad]))
    print(session.query("SELECT count() AS n FROM images FINAL")["n"][0].as_py())
    print(session.query("SELECT survey, stage, pictures, failed FROM stage_summary").to_pylist())
    print(session.query("SELECT count() AS n FROM cover_by_year")["n"][0].as_py())
"""


def test_loading_twice_migrates_once_and_doubles_nothing(tmp_path):
    first = run(tmp_path, LOAD).splitlines()
    second = run(tmp_path, LOAD).splitlines()
    assert first[0] == str([m.name for m in migrations()])
    assert second[0] == "[]"
    assert first[1] == second[1] == "2"
    assert second[2] == "[{'survey': 'reef', 'stage': 'images/raw', 'pictures': 2, 'failed': 1}]"
    assert second[3] == "0"


def test_two_processes_take_turns_on_one_folder(tmp_path):
    run(tmp_path, "with db.session() as s: s.migrate()")
    hold = (
        "import time\nwith db.session() as s:\n    time.sleep(1)\n    print(s.query('SELECT 1 AS x')['x'][0].as_py())\n"
    )
    both = [run(tmp_path, hold, wait=False) for _ in range(2)]
    outs = [process.communicate(timeout=120) for process in both]
    assert [out for out, _ in outs] == ["1\n", "1\n"], outs


def test_a_migration_that_was_changed_later_is_refused():
    with pytest.raises(MigrationError, match="add a new file instead"):
        missing({1: "another hash"})


def test_a_database_from_a_newer_version_is_refused():
    known = {m.number: m.sha256 for m in migrations()}
    with pytest.raises(MigrationError, match="upgrade reefline"):
        missing({**known, 999: "x"})
    assert missing(known) == []


def test_an_address_that_is_none_says_what_is_possible():
    with pytest.raises(ClickHouseUnavailable, match="chdb:///folder"), ClickHouse("mysql://x").session():
        pass


def test_a_server_that_is_not_there_is_one_line():
    with pytest.raises(ClickHouseUnavailable, match="does not answer"), ClickHouse("http://127.0.0.1:9").session():
        pass
