"""What was done to CVAT and why, written down beside the inbox; by a client against a real CVAT sandbox."""

import json

import pytest

from resources.audit import Audit, AuditError, meaning
from resources.bundle import make_cvat
from resources.cvat import CvatRefused
from resources.inbox import Inbox
from resources.logs import about
from resources.settings import Settings
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess
from tests.resources.test_cvat import nothing, pictures


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    made = SandboxProcess(tmp_path_factory.mktemp("cvat")).start()
    yield made
    made.stop()


@pytest.fixture
def audit(tmp_path):
    return Audit(Inbox(f"sqlite:///{tmp_path / 'inbox.db'}"))


def client(sandbox, audit):
    given = {"cvat_url": sandbox.url, "cvat_username": ADMIN, "cvat_password": PASSWORD}
    return make_cvat(Settings(_env_file=None, **given), audit)


def test_every_act_on_cvat_is_written_down_with_its_cause_and_without_what_it_must_not_hold(sandbox, audit):
    cvat = client(sandbox, audit)
    project = cvat.create_project("reefline corners", [{"name": "a", "attributes": []}])
    with about(batch="reef.0001", gate="corners", run="r1", event=17):
        cvat.ensure_task(project, "reef.0001.corners", pictures(2), nothing)
    acts = audit.acts(batch="reef.0001")
    done = [act.action for act in reversed(acts)]
    assert done[0] == "create task"
    assert {"write annotations", "change task"} <= set(done)
    assert all(act.about == {"batch": "reef.0001", "gate": "corners", "run": "r1", "event": "17"} for act in acts)
    made = next(act for act in acts if act.action == "create task")
    assert made.details["name"].startswith("reef.0001.corners")
    assert made.target.startswith("/api/tasks/")
    assert [act.action for act in audit.acts(action="create project")] == ["create project"]
    assert PASSWORD not in json.dumps([a.details for a in audit.acts()])


def test_looking_and_what_cvat_refuses_is_not_written_down(sandbox, audit):
    cvat = client(sandbox, audit)
    cvat.check()
    cvat.task_names()
    with pytest.raises(CvatRefused):
        cvat.session.request("DELETE", "/api/tasks/99999")
    assert audit.acts() == []


def test_an_act_that_cannot_be_written_down_is_an_error_that_says_so(tmp_path):
    (tmp_path / "file").write_text("x")
    broken = Audit(Inbox("postgresql+psycopg2://reefline:secret@127.0.0.1:9/x"))
    with pytest.raises(AuditError, match="create task /api/tasks/7 was done") as error:
        broken.record("create task", "/api/tasks/7")
    assert "secret" not in str(error.value)


def test_requests_have_names_for_people():
    assert meaning("PUT", "/api/jobs/12/annotations") == "write annotations"
    assert meaning("POST", "/api/invitations/5") == "POST /api/invitations/N"
