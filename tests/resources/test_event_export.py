"""Pulling CVAT's event log over real HTTP: the sandbox serves it, a proxy in between cuts it off."""

from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from resources.cvat import CvatClient
from resources.events.export import MARK, pull_export
from resources.inbox import Inbox
from tests.analytics.chdb_worker import Worker, WorkerError
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess
from tests.resources.test_events import ask, in_session, migrate


class Between:
    """A proxy before the sandbox. ``spoil`` changes the body of a download; ``promised``: the length that is said."""

    def __init__(self, url):
        self.spoil = lambda body: body
        self.promise = len
        self.downloads = 0
        between = self

        class Handler(BaseHTTPRequestHandler):
            def forward(self):
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kept = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length")}
                answer = httpx.request(self.command, url + self.path, headers=kept, content=sent, timeout=30)
                body, length = answer.content, len(answer.content)
                if self.path.startswith("/api/events/download"):
                    between.downloads += 1
                    body, length = between.spoil(body), between.promise(body)
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("content-type", "text/plain"))
                for cookie in answer.headers.get_list("set-cookie"):
                    self.send_header("Set-Cookie", cookie)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    made = SandboxProcess(tmp_path_factory.mktemp("sandbox")).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("pulled") / "ch") as made:
        made.ask(in_session, migrate)
        yield made


@pytest.fixture
def cvat(sandbox):
    made = Between(sandbox.url)
    yield made
    made.stop()


@pytest.fixture
def marks(tmp_path):
    return f"sqlite:///{tmp_path / 'inbox.db'}"


def click(sandbox, name, *minutes):
    """What a browser tells CVAT: clicks some minutes ago."""
    now = datetime.now(UTC)
    events = [{"scope": "click:element", "obj_name": name, "timestamp": (now - timedelta(minutes=m)).isoformat()}
              for m in minutes]  # fmt: skip
    with sandbox.login() as client:
        body = {"events": events, "previous_event": None, "timestamp": now.isoformat()}
        client.post("/api/events", json=body).raise_for_status()


# These run in the process that has the database.


def pull(session, url, marks, overlap_s=3600.0):
    client = CvatClient(url, username=ADMIN, password=PASSWORD)
    return pull_export(client, Inbox(marks), session, overlap=timedelta(seconds=overlap_s))


def named(database, name):
    sql = f"SELECT count() AS n, uniqExact(timestamp) AS times FROM events WHERE obj_name = '{name}'"
    [row] = database.ask(in_session, ask, sql)
    return row["n"], row["times"]


def mark(marks):
    return Inbox(marks).watermark(MARK)


def test_what_browsers_told_cvat_is_pulled_with_the_time_cvat_booked(sandbox, database, cvat, marks):
    click(sandbox, "first", 4, 3, 2)
    before = datetime.now(UTC)
    loaded = database.ask(in_session, pull, cvat.url, marks)
    assert (loaded.inserted, loaded.rejected) == (loaded.received, 0)
    assert named(database, "first") == (3, 3)
    assert database.ask(
        in_session, ask, "SELECT sum(working_ms) AS ms FROM events WHERE scope = 'send:working_time'"
    ) == [{"ms": 120_000}]
    assert before <= datetime.fromisoformat(mark(marks)) <= datetime.now(UTC)


def test_the_next_pull_reads_the_overlap_again_and_doubles_nothing(sandbox, database, cvat, marks):
    click(sandbox, "second", 3, 2)
    database.ask(in_session, pull, cvat.url, marks)
    first = mark(marks)
    click(sandbox, "late", 30, 1)  # a browser that was offline tells it half an hour later
    again = database.ask(in_session, pull, cvat.url, marks)
    assert again.duplicates >= 2
    assert named(database, "second") == (2, 2)
    assert named(database, "late") == (2, 2)
    assert mark(marks) > first
    [load] = database.ask(
        in_session, ask, "SELECT * FROM event_loads WHERE way = 'export' ORDER BY started_at DESC LIMIT 1"
    )
    assert load["received"] == load["inserted"] + load["duplicates"] + load["rejected"] + load["forgotten"]


def test_a_pull_asks_only_from_the_last_one_on(sandbox, database, cvat, marks):
    click(sandbox, "old", 50)
    database.ask(in_session, pull, cvat.url, marks)
    nothing = database.ask(in_session, pull, cvat.url, marks, 1.0)
    assert nothing.received == 0


def test_a_csv_that_ends_inside_a_row_keeps_what_is_whole_and_comes_again(sandbox, database, cvat, marks):
    click(sandbox, "cut", 5, 4, 3, 2, 1)
    cvat.spoil = lambda body: body[: body.rindex(b",cut,") + 9]
    cvat.promise = lambda body: len(cvat.spoil(body))
    with pytest.raises(WorkerError, match=r"^CvatUnavailable: CVAT's export of events is not whole: .*pulled again"):
        database.ask(in_session, pull, cvat.url, marks)
    assert mark(marks) is None
    assert named(database, "cut") == (4, 4)
    cvat.spoil, cvat.promise = (lambda body: body), len
    assert database.ask(in_session, pull, cvat.url, marks).inserted >= 1
    assert named(database, "cut") == (5, 5)


def test_a_connection_that_breaks_in_the_middle_is_tried_again(sandbox, database, cvat, marks):
    click(sandbox, "broken", 2, 1)
    cvat.spoil = lambda body: body if cvat.downloads > 1 else body[: len(body) // 2]
    assert database.ask(in_session, pull, cvat.url, marks).inserted >= 2
    assert cvat.downloads == 2
    assert named(database, "broken") == (2, 2)


def test_who_may_not_export_is_told_so_and_the_mark_stays(sandbox, database, cvat, marks):
    with pytest.raises(WorkerError, match=r"^CvatRefused: CVAT refused login with 400"):
        database.ask(in_session, pull_as_nobody, cvat.url, marks)
    assert mark(marks) is None


def pull_as_nobody(session, url, marks):
    return pull_export(CvatClient(url, username=ADMIN, password="wrong"), Inbox(marks), session)
