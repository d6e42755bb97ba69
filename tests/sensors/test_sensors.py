"""Dagster's sensors over a real inbox and a real folder: what they ask for, and that asking again is harmless."""

import dagster as dg
import pytest

from assets.common.names import TAG_BATCH, TAG_GATE, TAG_INBOX_ID, Gate
from labels.manifest import ManifestRow, Status
from orchestration.jobs import AFTER, make_release, start_batch
from resources.inbox import Inbox
from resources.inbox.letters import letters
from resources.notifier import Notifier
from resources.object_store import LocalStore
from resources.offers import offers_of
from resources.releases import ask_for_release, release_key
from resources.surveys import READY_MARKER, SurveyCatalog
from resources.tables import BatchTables
from sensors.failures import failures_sensor
from sensors.releases import releases_sensor
from sensors.reviews import reviews_sensor
from sensors.surveys import surveys_sensor


@pytest.fixture
def home(tmp_path):
    (tmp_path / "surveys").mkdir()
    photos = tmp_path / "photos"
    photos.mkdir()
    for n in range(5):
        (photos / f"Temae_2021_{n:02d}.jpg").write_bytes(b"x")
    text = f"name: reef\nphotos: {{folder: '{photos}', ready: marker}}\ntaxonomy: demo-reef\nbatch_size: 3\n"
    (tmp_path / "surveys" / "reef.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def tables(home):
    return BatchTables(LocalStore(home / "store"))


def surveys_tick(home, tables):
    with dg.build_sensor_context(resources={"tables": tables, "surveys": SurveyCatalog(home / "surveys")}) as context:
        return surveys_sensor(start_batch, 5)(context)


def test_photos_wait_until_the_upload_is_complete(home, tables):
    assert isinstance(surveys_tick(home, tables), dg.SkipReason)
    (home / "photos" / READY_MARKER).touch()
    result = surveys_tick(home, tables)
    assert [r.partition_key for r in result.run_requests] == ["reef.0001", "reef.0002"]
    assert result.dynamic_partitions_requests[0].partition_keys == ["reef.0001", "reef.0002"]


def test_a_batch_is_asked_for_with_the_same_key_until_it_is_made(home, tables):
    (home / "photos" / READY_MARKER).touch()
    keys = [[r.run_key for r in surveys_tick(home, tables).run_requests] for _ in range(2)]
    assert keys[0] == keys[1] == ["start:reef.0001", "start:reef.0002"]
    assert len(offers_of(tables.store, "reef")) == 2
    tables.write_manifest("images/raw", "reef.0001", [ManifestRow("a", "s", Status.OK, "1")])
    assert [r.run_key for r in surveys_tick(home, tables).run_requests] == ["start:reef.0002"]


def test_a_broken_survey_file_is_told_and_does_not_stop_the_others(home, tables):
    (home / "photos" / READY_MARKER).touch()
    (home / "surveys" / "broken.yaml").write_text("name: [")
    assert len(surveys_tick(home, tables).run_requests) == 2
    for path in (home / "photos").iterdir():
        path.unlink()
    for batch in ("reef.0001", "reef.0002"):
        tables.write_manifest("images/raw", batch, [])
    skipped = surveys_tick(home, tables)
    assert "broken.yaml" in skipped.skip_message


def reviews_tick(inbox):
    with dg.build_sensor_context(resources={"inbox": inbox}) as context:
        return reviews_sensor(AFTER, 5)(context)


def test_a_finished_review_starts_the_job_after_its_gate_once(tmp_path):
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    assert isinstance(reviews_tick(inbox), dg.SkipReason)
    inbox.register_review("reef.0001", Gate.LATTICE, None, None, [])
    [request] = reviews_tick(inbox).run_requests
    assert request.job_name == "after_lattice"
    assert request.partition_key == "reef.0001"
    assert [r.run_key for r in reviews_tick(inbox).run_requests] == [request.run_key]
    inbox.mark_done("reef.0001", Gate.LATTICE, int(request.tags[TAG_INBOX_ID]), "run")
    assert isinstance(reviews_tick(inbox), dg.SkipReason)


def test_a_release_is_asked_for_until_it_is_made(tables):
    def tick():
        with dg.build_sensor_context(resources={"tables": tables}) as context:
            return releases_sensor(make_release, 5)(context)

    assert isinstance(tick(), dg.SkipReason)
    ask_for_release(tables.store, "reef-1.0.0", ["reef.0001"])
    result = tick()
    [first] = result.run_requests
    assert first.partition_key == "reef-1.0.0"
    assert [r.run_key for r in tick().run_requests] == [first.run_key]
    assert result.dynamic_partitions_requests[0].partition_keys == ["reef-1.0.0"]
    ask_for_release(tables.store, "reef-1.0.0", ["reef.0001"])
    assert [r.run_key for r in tick().run_requests] != [first.run_key], "asked again, it is not tried again"
    tables.store.put(release_key("reef-1.0.0", "release.json"), b"{}")
    assert isinstance(tick(), dg.SkipReason)


@dg.op
def breaks():
    """Stands for a stage that cannot be done."""
    raise RuntimeError("CVAT does not answer")


@dg.job
def broken_job():
    """A run that fails."""
    breaks()


@pytest.mark.parametrize("retried", [False, True])
def test_what_a_failed_run_should_have_answered_becomes_a_dead_letter(tmp_path, retried):
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    inbox.register_review("reef.0001", "lattice", None, None, [])
    inbox.interpret_new()
    [due] = inbox.due()
    tags = {TAG_BATCH: due.batch, TAG_GATE: due.gate, TAG_INBOX_ID: str(due.last_id)}
    with dg.DagsterInstance.ephemeral() as instance:
        more = {"dagster/will_retry": "true"} if retried else {}
        done = broken_job.execute_in_process(instance=instance, tags={**tags, **more}, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failures",
            dagster_event=done.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=done.dagster_run,
        ).for_run_failure()
        failures_sensor(5)(context, notifier=Notifier(""), inbox=inbox)
    dead = letters(inbox)
    if retried:
        assert dead == []
        assert inbox.due() == [due]
    else:
        assert [row.run_id for row in dead] == [done.dagster_run.run_id]
        assert "failed" in dead[0].reason
        assert inbox.due() == []
