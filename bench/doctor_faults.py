"""Faults of an installation, each prepared for real, and what ``reefline doctor`` must say about it.

The world is small: a CVAT sandbox, a receiver, an inbox, a store and Dagster's storage as processes and files of their
own; where no real part is at hand (Grafana, Nuclio, a proxy that refuses) a plain HTTP server answers as it would.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from bench.receiver_process import Receiver
from deploy.local.dagster_home import make_storage, write_config
from deploy.local.loopback import HOST
from orchestration.cli.cvat import apply, declare
from orchestration.doctor.examine import examine
from orchestration.doctor.findings import Finding, Level
from orchestration.instance import dagster_instance
from resources.bundle import make_cvat
from resources.inbox import Delivery, Inbox
from resources.settings import Settings
from resources.surveys import SurveyCatalog
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess

SURVEY = "name: reef\nphotos: {folder: photos}\ntaxonomy: demo-reef\n"
NOWHERE = f"http://{HOST}:9"


@contextlib.contextmanager
def serving(status: int, body: Any, headers: dict[str, str] | None = None) -> Iterator[str]:
    """A server that answers everything alike; its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            data = json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(slots=True)
class World:
    """A healthy installation in a folder."""

    folder: Path
    sandbox: SandboxProcess = field(init=False)
    receiver: Receiver = field(init=False)

    def __enter__(self) -> World:
        """Start everything and declare the projects."""
        self.home.mkdir(parents=True)
        (self.folder / "surveys" / "photos").mkdir(parents=True)
        (self.folder / "surveys" / "reef.yaml").write_text(SURVEY, encoding="utf-8")
        write_config(self.home / "dagster", postgres=False)
        make_storage(self.home / "dagster", {})
        self.sandbox = SandboxProcess(self.folder / "sandbox").start()
        self.receiver = Receiver(self.folder, self.settings_without_receiver().inbox).start()
        self.apply()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        if self.receiver.process:
            self.receiver.process.kill()
            self.receiver.process.wait()
        self.sandbox.stop()

    @property
    def home(self) -> Path:
        """Its home."""
        return self.folder / "home"

    def settings_without_receiver(self, **other: Any) -> Settings:
        """Its settings before there is a receiver."""
        given = {
            "home": self.home,
            "surveys_dir": self.folder / "surveys",
            "cvat_url": self.sandbox.url,
            "cvat_username": ADMIN,
            "cvat_password": PASSWORD,
            "disk_reserve_gb": 0,
            "notify_url": "http://people.example.org",
        }
        return Settings(_env_file=None, **{**given, **other})

    def settings(self, **other: Any) -> Settings:
        """Its settings, some of them otherwise."""
        given = {"receiver_url": self.receiver.url, "webhook_secret": self.receiver.secret}
        return self.settings_without_receiver(**{**given, **other})

    def apply(self, **other: Any) -> None:
        """Let CVAT hold what the survey says."""
        settings = self.settings(**other)
        apply(make_cvat(settings), declare(settings, SurveyCatalog(settings.surveys_dir).all()[0]))

    def post(self, path: str, body: Any) -> None:
        """Ask the sandbox for something that only it has."""
        with self.sandbox.login() as client:
            client.post(path, json=body).raise_for_status()

    @contextlib.contextmanager
    def dagster(self) -> Iterator[dg.DagsterInstance]:
        """Its Dagster storage."""
        with dagster_instance(self.home / "dagster") as instance:
            yield instance


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong.

    Attributes:
        name: for people.
        area: where the doctor must find it.
        says: what the finding must say, and its next step.
        make: prepares it and yields the settings it shows with.
    """

    name: str
    area: str
    says: str
    next_step: str
    make: Callable[[World], contextlib.AbstractContextManager[Settings]]


def judge(world: World, fault: Fault) -> tuple[Finding | None, list[Finding]]:
    """The finding that names a fault, ``None`` when none does; and all that is not well in its area."""
    with fault.make(world) as settings:
        found = [f for f in examine(settings, areas=[fault.area])[fault.area] if f.level != Level.OK]
    named = [f for f in found if fault.says in f"{f.what}: {f.text}" and fault.next_step in f.fix]
    return (named[0] if named else None), found


FAULTS: list[Fault] = []
Make = Callable[[World], Iterator[Settings]]


def fault(name: str, area: str, says: str, next_step: str) -> Callable[[Make], Make]:
    """Register a fault."""

    def keep(make: Make) -> Make:
        FAULTS.append(Fault(name, area, says, next_step, contextlib.contextmanager(make)))
        return make

    return keep


@fault("no webhook secret", "settings", "no webhook secret", "REEFLINE_WEBHOOK_SECRET")
def _no_secret(world: World) -> Iterator[Settings]:
    yield world.settings(webhook_secret="")


@fault("an address of notices that is none", "settings", "REEFLINE_NOTIFY_ROUTES", "correct")
def _bad_route(world: World) -> Iterator[Settings]:
    yield world.settings(notify_routes="team:labelling=slack")


@fault("disk nearly full", "machine", "GB free", "make room")
def _disk(world: World) -> Iterator[Settings]:
    yield world.settings(disk_reserve_gb=10**6)


@fault("a port taken by another program", "machine", "port ", "stop it")
def _port(world: World) -> Iterator[Settings]:
    with serving(200, {}) as url:
        path = world.home / "ports.json"
        path.write_text(json.dumps({"receiver": int(url.rpartition(":")[2])}), encoding="utf-8")
        yield world.settings()
        path.unlink()


@fault("a clock that is off", "machine", "clock is", "NTP")
def _clock(world: World) -> Iterator[Settings]:
    late = format_datetime(datetime.now(UTC) - timedelta(minutes=20), usegmt=True)
    with serving(200, {}, {"Date": late}) as url:
        yield world.settings(cvat_url=url)


@fault("a graphics card that is not there", "machine", "REEFLINE_DEVICE=cuda:0", "driver")
def _gpu(world: World) -> Iterator[Settings]:
    before = os.environ["PATH"]
    os.environ["PATH"] = "/nonexistent"  # also where there is one
    try:
        yield world.settings(device="cuda:0")
    finally:
        os.environ["PATH"] = before


@fault("a store that cannot be written", "data", "object store", "REEFLINE_STORE_URL")
def _store(world: World) -> Iterator[Settings]:
    (world.folder / "a file").write_text("in the way", encoding="utf-8")
    yield world.settings(store_url=(world.folder / "a file" / "store").as_uri())


@fault("an inbox database that is down", "data", "inbox", "whether the database runs")
def _inbox(world: World) -> Iterator[Settings]:
    yield world.settings(inbox_url=f"postgresql://reefline:secret@{HOST}:9/reefline")


@fault("an inbox of an earlier version", "data", "deliveries.replays", "reefline upgrade")
def _old_inbox(world: World) -> Iterator[Settings]:
    path = world.folder / "old.db"
    Inbox(f"sqlite:///{path}").writable()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE deliveries DROP COLUMN replays")
    yield world.settings(inbox_url=f"sqlite:///{path}")


@fault("dead letters", "data", "need a person", "reefline inbox list")
def _dead_letters(world: World) -> Iterator[Settings]:
    inbox = Inbox(f"sqlite:///{world.folder / 'dead.db'}")
    body = {"event": "update:job", "job": {"id": "seven", "task_id": 3}, "before_update": {"state": "new"}}
    inbox.insert(Delivery("update:job", body))
    inbox.interpret_new()
    yield world.settings(inbox_url=inbox.url)


@fault("Dagster's database of an earlier version", "data", "is at revision", "reefline upgrade")
def _old_dagster(world: World) -> Iterator[Settings]:
    path = world.home / "dagster" / "history" / "runs.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        [(now,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.execute("UPDATE alembic_version SET version_num = '0da417ae1b81'")
        yield world.settings()
        connection.execute("UPDATE alembic_version SET version_num = ?", (now,))


@fault("ClickHouse is down", "data", "ClickHouse", "REEFLINE_CLICKHOUSE_URL")
def _clickhouse(world: World) -> Iterator[Settings]:
    yield world.settings(clickhouse_url=NOWHERE)


@fault("a survey file with a mistake", "surveys", "reef.yaml:4", "reefline survey check")
def _survey(world: World) -> Iterator[Settings]:
    folder = world.folder / "wrong"
    folder.mkdir(exist_ok=True)
    (folder / "reef.yaml").write_text(SURVEY + "batchsize: 12\n", encoding="utf-8")
    yield world.settings(surveys_dir=folder)


@fault("a photo folder that is not mounted", "surveys", "photos of reef", "mount")
def _photos(world: World) -> Iterator[Settings]:
    folder = world.folder / "unmounted"
    folder.mkdir(exist_ok=True)
    (folder / "reef.yaml").write_text(SURVEY, encoding="utf-8")
    (folder / "photos").write_text("not a folder", encoding="utf-8")
    yield world.settings(surveys_dir=folder)


@fault("a model that does not exist", "surveys", "no model 'demo-coral'", "survey file")
def _model(world: World) -> Iterator[Settings]:
    folder = world.folder / "modelless"
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    (folder / "reef.yaml").write_text(SURVEY + "models: {corals: demo-coral}\n", encoding="utf-8")
    yield world.settings(surveys_dir=folder)


@fault("something else on the receiver's port", "services", "is not the receiver", "port of its own")
def _another_receiver(world: World) -> Iterator[Settings]:
    with serving(200, {"hello": "world"}) as url:
        yield world.settings(receiver_url=url)


@fault("Grafana without its database", "services", "Grafana", "Grafana's own log")
def _grafana(world: World) -> Iterator[Settings]:
    with serving(503, {"database": "failing", "version": "11.1.0"}) as url:
        yield world.settings(grafana_url=url)


@fault("a Nuclio function that did not deploy", "services", "pth-lama is error", "nuctl")
def _nuclio(world: World) -> Iterator[Settings]:
    functions = {"pth-lama": {"status": {"state": "error"}}, "pth-corners": {"status": {"state": "ready"}}}
    with serving(200, functions) as url:
        yield world.settings(nuclio_url=url)


@fault("CVAT is down", "cvat", "does not answer", "REEFLINE_CVAT_URL")
def _cvat(world: World) -> Iterator[Settings]:
    yield world.settings(cvat_url=NOWHERE)


@fault("a wrong password", "cvat", "check user and password", "REEFLINE_CVAT_TOKEN")
def _password(world: World) -> Iterator[Settings]:
    yield world.settings(cvat_password="another")


@fault("a project that somebody deleted", "cvat", "CVAT holds", "reefline cvat apply")
def _project(world: World) -> Iterator[Settings]:
    cvat = make_cvat(world.settings())
    number = cvat.need_project("reefline corners")
    cvat.session.request("DELETE", f"/api/projects/{number}")
    yield world.settings()
    world.apply()


@fault("a receiver that CVAT does not reach", "cvat", "answered with 502", "as seen from CVAT")
def _unreachable(world: World) -> Iterator[Settings]:
    yield from _led_to(world, NOWHERE)


@fault("Smokescreen refuses the receiver's address", "cvat", "answered with 407", "SMOKESCREEN_OPTS")
def _smokescreen(world: World) -> Iterator[Settings]:
    with serving(407, {"error": "egress proxying is denied to host"}) as url:
        yield from _led_to(world, url)


@fault("CVAT signs with another secret", "cvat", "answered with 401", "reefline cvat apply")
def _secret(world: World) -> Iterator[Settings]:
    world.apply(webhook_secret="an old secret")
    yield world.settings()
    world.apply()


@fault("CVAT's webhook worker is down", "cvat", "webhook worker", "cvat_worker_webhooks")
def _worker(world: World) -> Iterator[Settings]:
    world.post("/sandbox/worker", {"stopped": True})
    yield world.settings()
    world.post("/sandbox/worker", {"stopped": False})


@fault("Dagster's daemon is dead", "dagster", "has never given a sign", "its log")
def _daemon(world: World) -> Iterator[Settings]:
    yield world.settings()


@fault("a pool without a limit", "dagster", "no limit for", "concurrency set")
def _pool(world: World) -> Iterator[Settings]:
    path = world.home / "dagster" / "dagster.yaml"
    text = path.read_text(encoding="utf-8")
    changed = yaml.safe_load(text)
    del changed["concurrency"]["pools"]["default_limit"]
    path.write_text(yaml.safe_dump(changed), encoding="utf-8")
    yield world.settings()
    path.write_text(text, encoding="utf-8")


@fault("a run that hangs", "dagster", "has been starting for", "terminate it")
def _run(world: World) -> Iterator[Settings]:
    run_id = str(uuid.uuid4())
    with world.dagster() as instance:
        instance.add_run(dg.DagsterRun("start_batch", run_id=run_id, status=dg.DagsterRunStatus.STARTING))
    long_ago = (datetime.now(UTC) - timedelta(hours=2)).replace(tzinfo=None)
    with contextlib.closing(sqlite3.connect(world.home / "dagster" / "history" / "runs.db")) as connection:
        connection.execute("UPDATE runs SET update_timestamp = ? WHERE run_id = ?", (str(long_ago), run_id))
        connection.commit()
    yield world.settings()
    with world.dagster() as instance:
        instance.delete_run(run_id)


def _led_to(world: World, url: str) -> Iterator[Settings]:
    """CVAT's webhooks lead to another address, as if the receiver were there."""
    for hook in make_cvat(world.settings()).webhooks(world.receiver.url):
        make_cvat(world.settings()).session.request("DELETE", f"/api/webhooks/{hook['id']}")
    world.apply(receiver_url=url)
    yield world.settings(receiver_url=url)
    for hook in make_cvat(world.settings()).webhooks(url):
        make_cvat(world.settings()).session.request("DELETE", f"/api/webhooks/{hook['id']}")
    world.apply()
