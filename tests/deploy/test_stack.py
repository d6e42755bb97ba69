"""The whole installation as processes, as ``reefline up`` runs it, on SQLite and on Postgres."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import httpx
import psutil
import pytest

from deploy.local.runtime import prepare, write_env
from deploy.local.supervisor import RuntimeProblem
from orchestration.instance import dagster_instance
from resources.inbox import Inbox
from resources.settings import Settings, load_settings, with_driver


def wait_for(condition, process, log, seconds=150):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert process.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.3)
    return value


@pytest.mark.slow
def test_the_stack_runs_on_postgres_and_stops_clean(postgres, tmp_path):
    url = postgres.new_database().replace("+psycopg2", "")  # as people write it
    home = tmp_path / "home"
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REEFLINE_", "DAGSTER_"))}
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("reefline")), "up", "--home", str(home)],
            env={**clean, "REEFLINE_DAGSTER_URL": url, "REEFLINE_INBOX_URL": url},
            cwd=tmp_path, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        wait_for(lambda: "Ctrl-C stops everything" in log.read_text(), process, log)
        pids = {p.stem: json.loads(p.read_text())["pid"] for p in (home / "pids").glob("*.json")}
        assert set(pids) == {"sandbox", "receiver", "code", "daemon", "watch", "web"}
        ports = json.loads((home / "ports.json").read_text())
        prepare(home, tmp_path / "surveys", given=Settings(_env_file=None, dagster_url=url, inbox_url=url))
        assert json.loads((home / "ports.json").read_text()) == ports, "a running installation keeps its ports"
        assert httpx.get(f"http://127.0.0.1:{ports['web']}/server_info").status_code == 200
        with dagster_instance(home / "dagster", with_driver(url)) as instance:
            wait_for(lambda: len(instance.get_daemon_heartbeats()) >= 4, process, log)
            assert "postgresql" in instance.run_storage.__class__.__module__ or instance.get_runs_count() == 0
        assert not (home / "dagster" / "history").exists(), "no SQLite beside Postgres"
        assert not (home / "inbox.db").exists()
        assert Inbox(with_driver(url)).counts() == {}
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    assert all((home / "logs" / f"{name}.log").exists() for name in pids)


def test_a_database_that_does_not_answer_is_one_line(tmp_path):
    given = Settings(_env_file=None, dagster_url="postgresql://reefline:hidden@127.0.0.1:9/reefline")
    with pytest.raises(RuntimeProblem, match=r"Dagster's database .* cannot be used") as refused:
        prepare(tmp_path / "home", tmp_path, given=given)
    assert "hidden" not in str(refused.value)


def test_the_databases_password_is_not_in_dagsters_settings(postgres, tmp_path):
    url = postgres.new_database().replace("reefline@", "reefline:secret@")
    made = prepare(tmp_path / "home", tmp_path, given=Settings(_env_file=None, dagster_url=url))
    assert "secret" not in (made.home / "dagster" / "dagster.yaml").read_text()
    with dagster_instance(made.home / "dagster", made.settings.dagster) as instance:
        assert instance.get_runs_count() == 0
    assert "REEFLINE_DAGSTER_URL" not in os.environ


@pytest.mark.parametrize(
    "value", ["plain", "with space", "ha#sh", "do$llar", "quo'te", 'dou"ble', "back\\slash", "a=b"]
)
def test_a_secret_survives_the_env_file(tmp_path, value):
    write_env(tmp_path / "reefline.env", {"REEFLINE_WEBHOOK_SECRET": value})
    assert load_settings(tmp_path / "reefline.env", {}).webhook_secret.get_secret_value() == value


def test_dagster_keeps_its_limits_whatever_the_database(postgres, tmp_path):
    for url in ("", postgres.new_database()):
        made = prepare(tmp_path / f"home{bool(url)}", tmp_path, given=Settings(_env_file=None, dagster_url=url))
        with dagster_instance(made.home / "dagster", made.settings.dagster) as instance:
            assert instance.run_retries_enabled
            assert instance.get_settings("concurrency")["pools"]["default_limit"] == 1
            assert isinstance(instance, dg.DagsterInstance)
