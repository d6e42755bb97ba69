"""The look from outside: people are told once that something is down, and once that it is back."""

import threading

from bench.doctor_faults import serving
from deploy.docker import health
from deploy.local import watch as local
from deploy.local.dagster_home import make_storage, write_config
from deploy.local.watch import Watch, answers, look_at, watch
from resources.settings import Settings
from tests.contract.server import wait_until


class Told:
    def __init__(self):
        self.subjects = []

    def send(self, subject, facts, owner=""):
        self.subjects.append((subject, owner))
        return True


def test_people_are_told_once_when_it_lasts_and_once_when_it_is_over():
    now, told = [0.0], Told()
    watch = Watch(told, clock=lambda: now[0], patience_s=60)
    for second, wrong in [(0, "gone"), (30, "gone"), (61, "gone"), (90, "gone"), (100, ""), (110, "")]:
        now[0] = float(second)
        watch.look({"receiver": wrong, "daemon sensor": ""})
    assert told.subjects == [
        ("reefline: receiver is down", "team:platform"),
        ("reefline: receiver is back", "team:platform"),
    ]


def test_a_restart_tells_nobody():
    now, told = [0.0], Told()
    watch = Watch(told, clock=lambda: now[0], patience_s=60)
    for second, wrong in [(0, "gone"), (10, ""), (200, "gone"), (210, "")]:
        now[0] = float(second)
        watch.look({"receiver": wrong})
    assert told.subjects == []


def test_dead_daemons_and_services_are_found(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = tmp_path / "home"
    write_config(home / "dagster", postgres=False)
    make_storage(home / "dagster", {})
    settings = Settings(_env_file=None, home=home)
    with serving(200, {"status": "ready"}) as url:
        found = look_at(settings, {"receiver": url, "UI": "http://127.0.0.1:9"}, local_runs=True)
    assert found["receiver"] == found["database"] == ""
    assert "does not answer" in found["UI"]
    assert "never" in found["daemon sensor"]


def test_a_database_that_is_down_does_not_end_the_watch(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    write_config(tmp_path / "dagster", postgres=True)
    settings = Settings(_env_file=None, home=tmp_path, dagster_url="postgresql://reefline:secret@127.0.0.1:9/x")
    found = look_at(settings, {}, local_runs=True)
    assert "cannot be used" in found["database"]
    assert "secret@" not in found["database"]


def test_an_answer_that_is_an_error_is_one():
    with serving(503, {}) as url:
        assert "503" in answers(url)


def test_people_read_which_log_to_look_at_where_there_is_one():
    told = []

    class Telling:
        def send(self, subject, facts, owner=""):
            told.append(facts)
            return True

    for logs in (True, False):
        watch = Watch(Telling(), logs=logs, patience_s=0)
        watch.look({"daemon sensor": "gone", "page": "gone", "database": "gone"})
    assert [facts.get("log") for facts in told] == ["logs/daemon.log", "logs/web.log", None, None, None, None]


def test_a_watch_leaves_a_sign_of_life_for_its_container(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(local, "WATCH_SIGN", tmp_path / "sign")
    monkeypatch.setattr(health, "WATCH_SIGN", tmp_path / "sign")
    assert not health.healthy("watch")
    stop = threading.Event()
    thread = threading.Thread(
        target=watch,
        args=(Settings(_env_file=None, home=tmp_path / "home"), stop),
        kwargs={"local_runs": False, "every_s": 0.1},
    )
    thread.start()
    try:
        wait_until(lambda: health.healthy("watch"), 60)
    finally:
        stop.set()
        thread.join(30)
    monkeypatch.setattr(health, "WATCH_S", -1)
    assert not health.healthy("watch")
