"""Who is told what: failures by their owner, reviews that wait too long, each once a day."""

import smtplib
import socket
import socketserver
import threading
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy as sa

from orchestration.definitions import MODULES, step_owners
from resources.bundle import make_notifier
from resources.inbox import Inbox, JobState
from resources.inbox.tables import reviews
from resources.notifier import Notifier, parse_routes
from resources.settings import Settings, SettingsError
from sensors.failures import failures_sensor
from sensors.overdue import overdue_sensor


class Told:
    def __init__(self, reaches=True):
        self.sent, self.reaches = [], reaches

    def send(self, subject, facts, owner=""):
        self.sent.append((subject, facts, owner))
        return self.reaches


@pytest.fixture
def inbox(tmp_path):
    made = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    job = JobState(1, 7, "annotation", "new", "annotation", "ana", datetime(2026, 5, 1, tzinfo=UTC))
    made.register_review("reef.0001", "corners", 7, "http://cvat/tasks/7", [job])
    return made


def aged(inbox, days):
    when = datetime.now(UTC) - timedelta(days=days)
    with inbox.engine.begin() as connection:
        connection.execute(sa.update(reviews).values(created_at=when))


def tick(inbox, told, days=7.0):
    with dg.build_sensor_context() as context:
        return overdue_sensor(days)(context, inbox=inbox, notifier=told)


def test_a_review_that_waits_too_long_is_told_once_a_day_with_whom_it_waits_for(inbox):
    told = Told()
    aged(inbox, 6)
    tick(inbox, told)
    assert told.sent == []
    aged(inbox, 8)
    tick(inbox, told)
    tick(inbox, told)
    [(subject, facts, owner)] = told.sent
    assert "reef.0001 waits at corners" in subject
    assert (facts["waiting for"], facts["task"], owner) == ("ana", "http://cvat/tasks/7", "team:labelling")
    inbox.set_watermark("overdue/reef.0001/corners", "2020-01-01")
    tick(inbox, told)
    assert len(told.sent) == 2


def test_a_notice_that_did_not_arrive_is_sent_again(inbox):
    aged(inbox, 8)
    lost, told = Told(reaches=False), Told()
    tick(inbox, lost)
    tick(inbox, told)
    assert (len(lost.sent), len(told.sent)) == (1, 1)


@dg.asset(key=["corners", "review"])
def corners_review():
    """Stands for the real one."""
    raise RuntimeError("CVAT does not answer")


def test_a_failed_step_is_its_owners_matter(inbox):
    owners = step_owners(dg.load_assets_from_modules(MODULES))
    assert owners["corners__review"] == "team:labelling"
    assert owners["analytics__images"] == "team:platform"
    told = Told()
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([corners_review], instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failures",
            dagster_event=done.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=done.dagster_run,
        ).for_run_failure()
        failures_sensor(5, owners)(context, notifier=told, inbox=inbox)
    [(_, facts, owner)] = told.sent
    assert owner == "team:labelling"
    assert facts["step"] == "corners__review"


class Mailbox(socketserver.StreamRequestHandler):
    """As much of a mail server as it takes to take a letter."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        letter = None
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if letter is not None:
                if line == ".":
                    self.server.letters.append("\n".join(letter))
                    letter = None
                    self.wfile.write(b"250 kept\r\n")
                else:
                    letter.append(line)
            elif line.upper() == "DATA":
                letter = []
                self.wfile.write(b"354 go on\r\n")
            elif line.upper() == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def mailbox():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mailbox)
    server.letters = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_notices_go_by_mail_to_the_owner_and_to_those_who_get_all(mailbox):
    smtp = f"smtp://127.0.0.1:{mailbox.server_address[1]}"
    notifier = Notifier(routes={"team:vision": "mailto:vision@reef.org"}, emails=["ops@reef.org"], smtp_url=smtp)
    assert notifier.send("a run\nfailed", {"batch": "reef.0001", "task": ""}, "team:vision")
    assert sorted(line for text in mailbox.letters for line in text.splitlines() if line.startswith("To:")) == [
        "To: ops@reef.org",
        "To: vision@reef.org",
    ]
    assert all("Subject: a run failed" in text and "batch: reef.0001" in text for text in mailbox.letters)
    assert notifier.send("another", {}, "team:field")
    assert len(mailbox.letters) == 3


def test_a_mail_server_that_is_gone_stops_nobody(caplog):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    notifier = Notifier(emails=["ops@reef.org"], smtp_url=f"smtp://me:geheim@127.0.0.1:{port}")
    assert not notifier.send("a run failed", {})
    assert "did not reach" in caplog.text
    assert "geheim" not in caplog.text
    assert issubclass(smtplib.SMTPException, OSError)


def test_routes_are_read_and_mistakes_are_named():
    assert parse_routes("team:vision=https://a.org/x=1, team:field=mailto:f@r.org") == {
        "team:vision": "https://a.org/x=1",
        "team:field": "mailto:f@r.org",
    }
    for given, text in (
        ({"notify_routes": "team:vision"}, "has no address"),
        ({"notify_routes": "team:vision=slack"}, "expected an http"),
        ({"notify_email": "ops@reef.org"}, "REEFLINE_SMTP_URL"),
    ):
        with pytest.raises(SettingsError, match=text):
            make_notifier(Settings(_env_file=None, **given))
