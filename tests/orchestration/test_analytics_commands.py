"""``reefline analytics`` and ``reefline worktime``, as a person runs them."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EVENTS = [
    {"scope": "click:element", "source": "client", "timestamp": f"2026-10-05T09:0{minute}:00Z", "user_id": 5,
     "user_name": "ann", "job_id": job, "task_id": 2, "project_id": 3, "payload": "{}"}
    for minute, job in ((0, 1), (1, 1), (2, 4), (8, 4))
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "REEFLINE_HOME": str(home)}

    def reefline(*arguments):
        code = "from orchestration.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], env=env, cwd=home, capture_output=True, text=True, check=False
        )

    reefline.home = home
    return reefline


def test_events_of_a_file_become_working_time_and_a_person_is_forgotten(run):
    file = Path(run.home) / "log.jsonl"
    file.write_text("\n".join(map(json.dumps, EVENTS)))
    done = run("analytics", "load", str(file))
    assert "4 received: 4 new, 0 known already, 0 rejected" in done.stdout, done.stderr
    assert "202610" in done.stdout

    as_json = json.loads(run("worktime", "--by", "user,job", "--format", "json").stdout)
    told = {row["job"]: (row["cvat_ms"], row["thinking_ms"], row["ours_ms"]) for row in as_json}
    assert told == {1: (120_000, 0, 120_000), 4: (0, 100_000, 100_000)}
    assert {row["user"] for row in as_json} == {"ann"}

    rows = list(csv.DictReader(io.StringIO(run("worktime", "--by", "day", "--format", "csv", "--pseudonyms").stdout)))
    assert [(row["day"], row["ours_ms"]) for row in rows] == [("2026-10-05", "220000")]

    gone = run("analytics", "forget", "ann", "--yes")
    assert "ann is forgotten" in gone.stdout
    assert "No working time" in run("worktime").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("worktime", "--by", "usr"), "use user, day"),
        (("worktime", "--from", "yesterday"), "is no day"),
        (("analytics", "load", "nothing.csv"), "is no file"),
    ],
)
def test_mistakes_are_one_line(run, arguments, said):
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
