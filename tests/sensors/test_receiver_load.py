"""The receiver under load and in need: whatever it answers 2xx is in the inbox, whatever happens to it."""

import asyncio
import hashlib
import hmac
import json
import resource
import sqlite3
import threading
import time
from contextlib import closing, contextmanager

import httpx
import pytest

from bench.bench_receiver import kept_keys
from bench.deliveries import Sender, nth_delivery
from bench.receiver_process import Receiver
from resources.inbox import Delivery, Inbox
from resources.inbox.interpret import dedupe_key
from sensors.receiver.writer import GroupWriter

RATE, SECONDS = 200, 2.0


@pytest.fixture
def receiver(tmp_path):
    made = Receiver(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    try:
        yield made.start()
    finally:
        made.end()


def post(receiver, body, **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    signature = "sha256=" + hmac.new(receiver.secret.encode(), raw, hashlib.sha256).hexdigest()
    sent = {"Content-Type": "application/json", "X-Signature-256": signature, **headers}
    return httpx.post(receiver.url + "/cvat/webhook", content=raw, headers=sent, timeout=30).status_code


@contextmanager
def load(receiver):
    """Deliveries come in at a fixed rate while the body runs; afterwards the sender knows every answer."""
    sender = Sender(receiver.port, receiver.secret, RATE, SECONDS, connections=32)
    thread = threading.Thread(target=lambda: asyncio.run(sender.send_all()))
    thread.start()
    try:
        yield sender
    finally:
        thread.join(60)


def numbers_answered(sender, *statuses):
    return {number for number, status in sender.answered.items() if status in statuses}


def assert_every_answered_one_is_kept(receiver, sender):
    kept = kept_keys(receiver.inbox_url)
    answered = {dedupe_key(nth_delivery(number)) for number in numbers_answered(sender, 200)}
    assert answered <= set(kept), f"{len(answered - set(kept))} deliveries were answered 200 and are not in the inbox"
    assert len(kept) == len(set(kept))


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("after_s", [0.3, 1.1])
def test_killed_under_a_steady_load_it_keeps_every_delivery_it_answered(receiver, after_s):
    with load(receiver) as sender:
        wait_until(lambda: sender.answered)
        time.sleep(after_s)
        receiver.end()
    assert len(numbers_answered(sender, 200)) > 20
    assert numbers_answered(sender, 0), "the kill came while deliveries were on their way"
    assert_every_answered_one_is_kept(receiver, sender)


def test_killed_and_started_again_it_goes_on_and_tells_what_it_had_kept_already(receiver):
    with load(receiver) as sender:
        wait_until(lambda: len(sender.answered) > 50)
        receiver.end()
    receiver.start()
    with load(receiver) as again:
        pass
    assert numbers_answered(again, 200) == set(range(int(RATE * SECONDS)))
    assert_every_answered_one_is_kept(receiver, again)
    assert len(kept_keys(receiver.inbox_url)) == RATE * SECONDS, "sent twice, kept once"


def test_an_inbox_locked_under_load_is_answered_503_within_cvats_patience_and_loses_nothing(receiver, tmp_path):
    with load(receiver) as sender:
        wait_until(lambda: len(sender.answered) > 20)
        with closing(sqlite3.connect(tmp_path / "inbox.db", isolation_level=None, timeout=5)) as other:
            other.execute("begin immediate")
            time.sleep(6.5)  # longer than the receiver waits for the lock
            other.execute("rollback")
    assert numbers_answered(sender, 503), "the sender is told to send again"
    assert numbers_answered(sender, 200, 503) == set(sender.answered), "and never a 4xx or silence for 10 s"
    assert_every_answered_one_is_kept(receiver, sender)
    assert post(receiver, nth_delivery(100_000)) == 200, "it works on when the lock is gone"


def test_a_full_disk_is_answered_503_and_what_was_answered_200_stays(receiver, tmp_path):
    assert [post(receiver, nth_delivery(number)) for number in range(20)] == [200] * 20
    with full_disk(receiver.process.pid, tmp_path):
        answers = [post(receiver, nth_delivery(number)) for number in range(20, 60)]
        assert httpx.get(receiver.url + "/health").status_code == 200
    assert set(answers) == {200, 503}
    kept = set(kept_keys(receiver.inbox_url))
    good = [*range(20), *(20 + n for n, answer in enumerate(answers) if answer == 200)]
    assert {dedupe_key(nth_delivery(number)) for number in good} <= kept
    again = [post(receiver, nth_delivery(number)) for number in range(20, 60)]
    assert again == [200] * 40, "with room again, what is sent again is kept"
    assert len(kept_keys(receiver.inbox_url)) == 60


@contextmanager
def full_disk(pid, folder):
    """The operating system lets no file of the process grow by more than a few rows."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size for path in folder.iterdir())
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 60_000, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def test_three_megabytes_with_a_label_that_is_not_ascii_are_kept_as_they_were_sent(receiver):
    body = nth_delivery(1)
    body["job"]["labels"] = [{"name": f"Pocillopora méandrina 珊瑚 {n}", "color": "#33ddff"} for n in range(45_000)]
    raw = json.dumps(body, ensure_ascii=False).encode()
    assert 3_000_000 < len(raw) < 8_000_000
    assert post(receiver, raw) == 200
    assert post(receiver, json.dumps(body).encode()) == 200, "escaped, as CVAT writes it: the same event"
    with closing(sqlite3.connect(receiver.folder / "inbox.db")) as database:
        [(kept,)] = database.execute("select body from deliveries").fetchall()
    assert json.loads(kept) == body


def test_a_body_over_the_limit_is_refused_with_413_and_the_next_one_is_taken(receiver):
    body = nth_delivery(2)
    body["job"]["bug_tracker"] = "x" * (8 * 1024 * 1024)
    assert post(receiver, body) == 413
    assert kept_keys(receiver.inbox_url) == []
    assert post(receiver, nth_delivery(2)) == 200


# The group commit of the receiver


def delivery(number):
    return Delivery("update:job", nth_delivery(number))


def test_deliveries_that_wait_together_are_stored_in_one_transaction_in_their_order():
    stored = []

    def store(several):
        time.sleep(0.02)
        stored.append([one.body["job"]["updated_date"] for one in several])
        return [True] * len(several)

    async def act():
        writer = GroupWriter(store, batch=40)
        return await asyncio.gather(*(writer.insert(delivery(number)) for number in range(100)))

    assert asyncio.run(act()) == [True] * 100
    dates = [date for group in stored for date in group]
    assert dates == sorted(dates)
    assert [len(group) for group in stored] == [40, 40, 20]


def test_a_row_the_database_does_not_take_costs_the_others_nothing(tmp_path):
    from sqlalchemy.exc import DataError

    def store(several):
        if any(one.event == "bad" for one in several):
            raise DataError("insert", {}, ValueError("bad row"))
        return [True] * len(several)

    async def act():
        writer = GroupWriter(store)
        bad = Delivery("bad", {})
        asked = (writer.insert(one) for one in (delivery(1), bad, delivery(2)))
        return await asyncio.gather(*asked, return_exceptions=True)

    first, bad, second = asyncio.run(act())
    assert (first, second) == (True, True)
    assert isinstance(bad, DataError)


def test_what_waits_behind_a_locked_database_fails_with_it_and_the_writer_goes_on():
    from sqlalchemy.exc import OperationalError

    calls = []

    def store(several):
        calls.append(len(several))
        time.sleep(0.02)
        if len(calls) == 1:
            raise OperationalError("insert", {}, sqlite3.OperationalError("database is locked"))
        return [True] * len(several)

    async def act():
        writer = GroupWriter(store, batch=2)
        first = await asyncio.gather(*(writer.insert(delivery(n)) for n in range(5)), return_exceptions=True)
        return first, await writer.insert(delivery(9))

    failed, after = asyncio.run(act())
    assert all(isinstance(error, OperationalError) for error in failed)
    assert after is True
    assert calls == [2, 1]


def test_a_sender_that_gives_up_does_not_stop_the_writer(tmp_path):
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")

    def store(several):
        time.sleep(0.05)
        return [inbox.insert(one) for one in several]

    async def act():
        writer = GroupWriter(store)
        gone = asyncio.create_task(writer.insert(delivery(1)))
        await asyncio.sleep(0.01)
        gone.cancel()
        return await writer.insert(delivery(2)), await writer.insert(delivery(2))

    assert asyncio.run(act()) == (True, False)
    assert sum(inbox.counts().values()) == 2
