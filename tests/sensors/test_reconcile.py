"""Reconciliation against a CVAT sandbox whose webhooks do not arrive."""

from contextlib import contextmanager
from datetime import timedelta
from threading import Thread

import pytest
import uvicorn

from deploy.local.loopback import free_port
from resources.cvat import CvatClient, CvatUnavailable
from resources.cvat.declared import Declared, DeclaredProject, differences
from resources.inbox import Delivery, Inbox
from sensors.receiver.app import ReceiverSettings, create_app
from sensors.reconcile import reconcile
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess, wait_until
from tests.resources.inbox_history import collected_before, work_of
from tests.resources.test_cvat import LABELS, nothing, pictures

EVENTS = ("create:job", "update:job", "update:task", "delete:task")


class House:
    """A CVAT with one project and webhook, an inbox, and nobody at the receiver's address."""

    def __init__(self, folder, dialect="2.54"):
        self.sandbox = SandboxProcess(folder / "sandbox").start()
        self.cvat = CvatClient(self.sandbox.url, username=ADMIN, password=PASSWORD)
        self.cvat.session.request("POST", "/sandbox/dialect", {"dialect": dialect, "retries": []})
        self.receiver = f"http://127.0.0.1:{free_port()}"
        project = DeclaredProject("gate", LABELS, "a guide")
        self.declared = Declared([project], f"{self.receiver}/cvat/webhook", "a secret of the test", EVENTS)
        for difference in differences(self.cvat, self.declared):
            difference.act()
        self.project = self.cvat.need_project("gate")
        self.inbox = Inbox(f"sqlite:///{folder / 'inbox.db'}")

    def task(self, batch):
        task = self.cvat.ensure_task(self.project, f"{batch}.corners", pictures(2), nothing)
        self.inbox.register_review(batch, "corners", task.task_id, task.url, task.jobs)
        return task.jobs[0].job_id

    def work(self, job, state):
        self.cvat.session.request("PATCH", f"/api/jobs/{job}", {"state": state})

    def lose_events(self):
        """From now on no event is queued; those of before may still be on their way."""
        self.cvat.session.request("POST", "/sandbox/faults", {"drop": 1.0})

    def reconcile(self, grace_s=0.0):
        return reconcile(self.cvat, self.inbox, self.receiver, timedelta(seconds=grace_s))

    def collect(self):
        """What the sensor and its runs do."""
        self.inbox.interpret_new()
        due = self.inbox.due()
        for review in due:
            self.inbox.mark_done(review.batch, review.gate, review.last_id, "run")
        return [review.batch for review in due]

    def sent(self, state="completed"):
        """Wait until CVAT has tried to tell that a job is in a state: its worker is a little later than the change."""

        def told():
            [webhook] = self.cvat.webhooks(self.receiver)
            jobs = [d["request"].get("job") or {} for d in self.cvat.deliveries(webhook["id"], 0)]
            return any(job.get("state") == state for job in jobs)

        wait_until(told, what="CVAT has not tried to deliver")


@pytest.fixture(params=["2.54", "2026"])
def house(tmp_path, request):
    made = House(tmp_path, request.param)
    yield made
    made.sandbox.stop()


def test_what_was_sent_while_the_receiver_was_down_is_found_in_cvats_deliveries(house):
    job = house.task("reef.0001")
    house.work(job, "in progress")
    house.work(job, "completed")
    house.sent()
    assert house.collect() == []
    found = house.reconcile()
    assert found.undelivered == found.deliveries > 2
    assert found.healed == 0, "the deliveries have told it all"
    assert house.collect() == ["reef.0001"]
    again = house.reconcile()
    assert (again.lost, again.deliveries) == (0, 0)
    assert house.collect() == []


def test_what_was_never_queued_is_found_in_the_jobs(house):
    house.lose_events()
    job = house.task("reef.0001")
    house.work(job, "completed")
    found = house.reconcile()
    assert found.healed == 1
    assert house.collect() == ["reef.0001"]
    assert house.reconcile().lost == 0


def test_a_job_reopened_long_after_its_collection_is_seen(house):
    house.lose_events()
    job = house.task("reef.0001")
    house.work(job, "completed")
    house.reconcile()
    assert house.collect() == ["reef.0001"]
    house.work(job, "in progress")
    assert house.reconcile().healed == 1
    assert house.collect() == []
    assert house.inbox.reviews()[0].state == "open"
    house.work(job, "completed")
    assert house.reconcile().healed == 1
    assert house.collect() == ["reef.0001"]


def test_a_deleted_task_is_named_and_the_others_are_healed(house):
    house.lose_events()
    first, second = house.task("reef.0001"), house.task("reef.0002")
    house.work(second, "completed")
    house.cvat.delete_task(house.cvat.session.request("GET", f"/api/jobs/{first}")["task_id"])
    found = house.reconcile()
    assert len(found.problems) == 1
    assert "reef.0001" in found.problems[0]
    assert house.collect() == ["reef.0002"]


def test_deliveries_that_arrived_are_not_counted_as_lost(house):
    job = house.task("reef.0001")
    house.work(job, "completed")
    house.sent()
    [webhook] = house.cvat.webhooks(house.receiver)
    for delivery in house.cvat.deliveries(webhook["id"], 0):
        house.inbox.insert(Delivery(delivery["event"], delivery["request"]))
    assert house.reconcile().lost == 0


@contextmanager
def listening(house):
    """A receiver at the address that CVAT knows, with the inbox of the house."""
    secrets = ReceiverSettings(("a secret of the test",))
    port = int(house.receiver.rpartition(":")[2])
    server = uvicorn.Server(uvicorn.Config(create_app(house.inbox, secrets), port=port, log_level="error"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    yield
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize("house", ["2026"], indirect=True)
def test_an_event_on_its_way_is_not_lost_and_acts_once_when_it_comes(house):
    job = house.task("reef.0001")
    house.work(job, "in progress")
    house.sent("in progress")
    house.reconcile()  # what was sent before anybody listened
    house.cvat.session.request("POST", "/sandbox/faults", {"delay_s": 4})
    with listening(house):
        house.work(job, "completed")
        assert house.reconcile(grace_s=30).lost == 0
        assert house.collect() == [], "the event has come, though it is delayed"
        collected = wait_until(house.collect, what="the event has not come")
    assert collected == ["reef.0001"]
    assert house.reconcile().lost == 0
    assert house.collect() == []


@pytest.mark.parametrize("house", ["2.54"], indirect=True)
def test_a_lost_event_is_healed_once_it_can_be_no_more_on_its_way(house):
    house.lose_events()
    job = house.task("reef.0001")
    house.work(job, "completed")
    assert house.reconcile(grace_s=30).lost == 0
    assert house.collect() == []
    found = wait_until(lambda: house.reconcile(grace_s=0.5).healed, what="it is never healed")
    assert (found, house.collect()) == (1, ["reef.0001"])


@pytest.mark.parametrize("house", ["2.54"], indirect=True)
def test_a_delivery_too_young_to_be_judged_is_read_the_next_time(house):
    job = house.task("reef.0001")
    house.work(job, "completed")
    house.sent()
    assert (house.reconcile(grace_s=30).deliveries, house.collect()) == (0, [])
    assert house.reconcile().undelivered > 0
    assert house.collect() == ["reef.0001"]


@pytest.mark.parametrize("house", ["2.54"], indirect=True)
def test_collected_reviews_cost_a_reconciliation_nothing(house):
    house.lose_events()
    open_job = house.task("reef.9999")
    house.reconcile()
    calls = house.cvat.calls
    first = work_of(house.inbox, house.reconcile)
    asked = house.cvat.calls - calls
    collected_before(house.inbox, 3000)
    second = work_of(house.inbox, house.reconcile)
    assert house.cvat.calls - calls == 2 * asked
    assert second < 1.5 * first
    house.work(open_job, "completed")
    house.reconcile()
    assert house.collect() == ["reef.9999"]


def test_from_a_cvat_that_does_not_answer_nothing_is_concluded(house, monkeypatch):
    monkeypatch.setattr("resources.cvat.session.ATTEMPTS", 1)
    house.task("reef.0001")
    house.sandbox.kill()
    with pytest.raises(CvatUnavailable):
        house.reconcile()
    assert house.inbox.counts() == {}
