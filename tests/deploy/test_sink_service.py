"""The event sink as a service of ``reefline up``: started, killed and read back for real."""

import json
import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.local.runtime import prepare
from deploy.local.services import script, services
from deploy.local.supervisor import Supervisor
from resources.clickhouse import ClickHouse
from resources.settings import Settings
from tests.analytics.chdb_worker import Worker
from tests.contract.server import wait_until

SECRET = "a secret of the test"
NOW = int(datetime.now(UTC).timestamp())


@pytest.fixture
def installation(tmp_path):
    """As ``reefline up`` makes it where CVAT was given the secret of the sink."""
    return prepare(tmp_path / "home", tmp_path, given=Settings(_env_file=None, events_secret=SECRET))


def send(url, *numbers):
    lines = [
        json.dumps({"scope": "click:element", "source": "client", "timestamp": str(NOW - 600 + n), "user_id": 1})
        for n in numbers
    ]
    answer = httpx.post(url, content="\n".join(lines), headers={"Authorization": f"Bearer {SECRET}"}, timeout=30)
    assert answer.json() == {"accepted": len(numbers), "rejected": 0}


def stored(clickhouse: ClickHouse, start: int):
    """How often which second is in the database; runs in a process of its own."""
    with clickhouse.session() as session:
        sql = f"SELECT toUnixTimestamp(timestamp) - {start} AS n FROM events ORDER BY n"
        return session.query(sql)["n"].to_pylist()


def test_what_is_sent_to_the_sink_of_reefline_up_is_in_its_database_also_after_a_kill(installation):
    [sink] = [service for service in services(installation, web=False) if service.name == "sink"]
    url = f"http://127.0.0.1:{installation.ports['sink']}"
    assert url + "/health" == sink.ready_url
    with Supervisor(installation.home) as supervisor:
        supervisor.start(sink)
        supervisor.wait_ready("sink")
        send(url, 1, 2, 3)  # there are no tables yet: they wait
        os.kill(supervisor.pid("sink"), signal.SIGKILL)
        wait_until(lambda: supervisor.check() == ["sink"])
        supervisor.wait_ready("sink")
        assert httpx.get(f"{url}/ready").json()["waiting"] == 3
        migrate = [script("reefline"), "--env", str(installation.home / "reefline.env"), "analytics", "migrate"]
        subprocess.run(migrate, check=True, capture_output=True)
        send(url, 3, 4)  # 3 once more
        wait_until(lambda: httpx.get(f"{url}/ready").json()["waiting"] == 0, 60, "the sink does not empty its buffer")
        assert httpx.get(f"{url}/ready").json()["clickhouse"] == "fine"
    folder = Path(installation.settings.clickhouse.removeprefix("chdb://"))
    with Worker(folder) as worker:
        assert worker.ask(stored, NOW - 600) == [1, 2, 3, 4]


def test_without_a_secret_there_is_no_sink(tmp_path):
    made = prepare(tmp_path / "home", tmp_path, given=Settings(_env_file=None))
    assert "sink" not in {service.name for service in services(made, web=False)}
