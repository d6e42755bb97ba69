"""``reefline cvat plan | apply | drift`` and ``reefline doctor`` against a CVAT sandbox, a real server process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labels.survey import parse_survey
from orchestration.cli.cvat import EVENTS, apply, declare
from resources.bundle import make_cvat
from resources.cvat import CvatClient, CvatRefused, Picture
from resources.cvat.declared import Sign, differences
from resources.inbox import Delivery, Inbox
from resources.object_store import LocalStore
from resources.settings import Settings
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess
from tests.resources.test_cvat import nothing, pictures

SURVEY = "name: {name}\nphotos: {{folder: photos}}\ntaxonomy: {taxonomy}\nworkflow: {workflow}\ncvat: {{{cvat}}}\n"
SECRET = "a secret of the test"


@pytest.fixture
def sandbox(tmp_path):
    """A CVAT with nothing in it."""
    made = SandboxProcess(tmp_path / "sandbox").start()
    yield made
    made.stop()


@pytest.fixture
def cvat(sandbox):
    return CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)


def settings(sandbox, **more):
    given = {"cvat_url": sandbox.url, "cvat_username": ADMIN, "cvat_password": PASSWORD, "webhook_secret": SECRET}
    return Settings(_env_file=None, **{**given, **more})


def survey(name="reef", taxonomy="demo-reef", workflow="three_stage", cvat=""):
    return parse_survey(SURVEY.format(name=name, taxonomy=taxonomy, workflow=workflow, cvat=cvat), "reef.yaml")


def signs(found):
    return sorted(difference.sign.value for difference in found)


def test_an_empty_cvat_gets_projects_labels_webhooks_and_guides_and_a_second_time_nothing(sandbox, cvat):
    wanted = declare(settings(sandbox), [survey()])
    planned = differences(cvat, wanted)
    assert {d.where.split("'")[1] for d in planned} == {
        "reefline corners",
        "reefline lattice criobe-117",
        "reefline corals demo-reef",
    }
    assert set(signs(planned)) == {"+"}
    assert differences(cvat, wanted) and cvat.find_project("reefline corners") is None, "a plan changes nothing"
    assert apply(cvat, wanted) == []
    assert differences(cvat, wanted) == []
    project = cvat.need_project("reefline lattice criobe-117")
    assert len(cvat.labels(project)["lattice"]["sublabels"]) == 117
    [webhook] = cvat.session.listed("/api/webhooks", project_id=project)
    assert webhook["target_url"] == "http://127.0.0.1:8765/cvat/webhook"
    assert set(webhook["events"]) == set(EVENTS)
    guide = cvat.session.request("GET", f"/api/projects/{project}")["guide_id"]
    assert "Crossings of the strings" in cvat.session.request("GET", f"/api/guides/{guide}")["markdown"]
    assert apply(cvat, wanted) == []
    assert len(cvat.session.listed("/api/webhooks")) == 3


def test_what_a_person_changed_is_named_and_mended(sandbox, cvat):
    wanted = declare(settings(sandbox), [survey()])
    apply(cvat, wanted)
    corals = cvat.need_project("reefline corals demo-reef")
    porites = cvat.labels(corals)["Porites"]["id"]
    cvat.session.request("PATCH", f"/api/labels/{porites}", {"color": "#000000"})
    [webhook] = cvat.session.listed("/api/webhooks", project_id=corals)
    cvat.session.request("PATCH", f"/api/webhooks/{webhook['id']}", {"is_active": False, "events": ["update:job"]})
    guide = cvat.session.request("GET", f"/api/projects/{corals}")["guide_id"]
    cvat.session.request("PATCH", f"/api/guides/{guide}", {"markdown": "do as you like"})
    text = "\n".join(d.text for d in differences(cvat, wanted))
    assert "label 'Porites': color #000000 ->" in text
    assert "webhook is_active: False -> True" in text
    assert "guide" in text
    assert apply(cvat, wanted) == []
    assert cvat.labels(corals)["Porites"]["id"] == porites, "shapes keep their label"


def test_a_new_taxon_is_added_and_an_old_label_is_left_alone(sandbox, cvat):
    wanted = declare(settings(sandbox), [survey()])
    name = wanted.projects[-1].name
    project = cvat.create_project(name, [*wanted.projects[-1].labels[:2], {"name": "Old", "type": "polygon"}])
    found = differences(cvat, wanted)
    assert any(d.sign == Sign.KEEP and "'Old'" in d.text for d in found)
    assert apply(cvat, wanted) == []
    assert {"Old", *(label["name"] for label in wanted.projects[-1].labels)} == set(cvat.labels(project))


def test_pruning_deletes_an_unused_label_and_refuses_one_that_carries_annotations(sandbox, cvat):
    wanted = declare(settings(sandbox), [survey()])
    more = [{"name": n, "type": "polygon", "attributes": []} for n in ("Used", "Unused")]
    project = cvat.create_project(wanted.projects[-1].name, [*wanted.projects[-1].labels, *more])
    draw_one(cvat, project, "Used")
    left = apply(cvat, wanted, prune=True)
    assert signs(left) == ["!"]
    assert "carries 1 annotations" in left[0].text
    assert "Used" in cvat.labels(project)
    assert "Unused" not in cvat.labels(project)


def draw_one(cvat, project, label):
    def annotate(frames, labels):
        shape = {"type": "polygon", "frame": 0, "label_id": labels[label]["id"], "points": [1, 1, 9, 1, 9, 9]}
        return {"version": 0, "tags": [], "shapes": [shape], "tracks": []}

    cvat.ensure_task(project, "a task of a person", pictures(1), annotate)


def test_a_skeleton_with_other_nodes_is_refused_with_what_to_do(sandbox, cvat):
    small = parse_survey("name: small\nphotos: {folder: p}\nlattice: {topology: grid-7x7}\n", "small.yaml")
    spec = declare(settings(sandbox), [small]).projects[1].labels
    cvat.create_project("reefline lattice criobe-117", spec)
    left = apply(cvat, declare(settings(sandbox), [survey()]))
    assert signs(left) == ["!"]
    assert "49 nodes, wanted are 117" in left[0].text
    assert "rename the project" in left[0].text


def test_a_moved_receiver_moves_the_webhooks_and_a_doubled_webhook_goes(sandbox, cvat):
    apply(cvat, declare(settings(sandbox), [survey()]))
    moved = declare(settings(sandbox, receiver_url="https://reefline.example.org"), [survey()])
    assert apply(cvat, moved) == []
    webhooks = cvat.session.listed("/api/webhooks")
    assert {w["target_url"] for w in webhooks} == {"https://reefline.example.org/cvat/webhook"}
    assert all(w["enable_ssl"] for w in webhooks)
    twin = {k: webhooks[0][k] for k in ("target_url", "events", "type", "content_type", "project_id", "description")}
    cvat.session.request("POST", "/api/webhooks", twin)
    assert signs(differences(cvat, moved)) == ["-"]
    assert apply(cvat, moved) == []
    assert len(cvat.session.listed("/api/webhooks")) == 3


def test_gates_that_never_ask_people_need_no_project(sandbox):
    text = "name: reef\nphotos: {folder: p}\nworkflow: two_stage\ngates: {corners: {policy: never}}\n"
    assert len(declare(settings(sandbox), [parse_survey(text, "reef.yaml")]).projects) == 1


def test_an_organization_is_made_and_holds_the_projects(sandbox, cvat):
    wanted = declare(settings(sandbox), [survey(cvat="organization: criobe")])
    assert differences(cvat, wanted)[0].text == "the organization"
    assert apply(cvat, wanted) == []
    number = cvat.need_project("reefline corners", "criobe")
    [found] = cvat.session.listed("/api/organizations", search="criobe")
    assert cvat.session.request("GET", f"/api/projects/{number}")["organization_id"] == found["id"]


def test_an_s3_store_is_registered_as_cloud_storage_without_telling_its_secret(sandbox, cvat):
    given = settings(
        sandbox, store_url="s3://reef-pictures/one", cvat_s3_key="AKIA", cvat_s3_secret="s3-secret", cvat_s3_region="eu"
    )
    wanted = declare(given, [survey()])
    assert "s3-secret" not in repr(wanted)
    assert SECRET not in repr(wanted)
    assert apply(cvat, wanted) == []
    assert cvat.find_storage("reefline")["resource"] == "reef-pictures"
    assert differences(cvat, wanted) == []


def test_a_missing_project_is_said_with_the_command_that_makes_it(cvat):
    with pytest.raises(CvatRefused, match="reefline cvat apply"):
        cvat.need_project("reefline corners")


@pytest.fixture
def home(tmp_path, sandbox):
    """A folder with a survey and the settings of an installation, as a person would make them."""
    (tmp_path / "surveys").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "surveys" / "reef.yaml").write_text(
        "name: reef\nphotos: {folder: ../photos}\ntaxonomy: demo-reef\n", encoding="utf-8"
    )
    (tmp_path / ".env").write_text(
        f"REEFLINE_CVAT_URL={sandbox.url}\nREEFLINE_CVAT_USERNAME={ADMIN}\nREEFLINE_CVAT_PASSWORD={PASSWORD}\n"
        f"REEFLINE_WEBHOOK_SECRET={SECRET}\nREEFLINE_RECEIVER_URL=http://127.0.0.1:9\n",
        encoding="utf-8",
    )
    return tmp_path


def reefline(home, *words):
    env = {name: value for name, value in os.environ.items() if not name.startswith("REEFLINE_")}
    command = [str(Path(sys.executable).with_name("reefline")), *words]
    return subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_plan_apply_and_drift_say_what_they_do_and_drift_exits_1(home):
    assert reefline(home, "cvat", "drift").returncode == 1
    planned = reefline(home, "cvat", "plan")
    assert planned.returncode == 0
    assert "+ the project, with label" in planned.stdout
    applied = reefline(home, "cvat", "apply")
    assert applied.returncode == 0, applied.stderr
    assert "CVAT is as declared" in applied.stdout
    again = reefline(home, "cvat", "drift")
    assert (again.returncode, again.stdout.strip()) == (0, "No drift: CVAT holds what the survey files say.")
    assert SECRET not in planned.stdout + applied.stdout + again.stdout


def test_a_project_that_a_person_deleted_is_named_by_drift_and_doctor(home, cvat):
    reefline(home, "cvat", "apply")
    cvat.session.request("DELETE", f"/api/projects/{cvat.need_project('reefline corners')}")
    assert "project 'reefline corners'" in reefline(home, "cvat", "drift").stdout
    looked = reefline(home, "doctor", "--json")
    assert looked.returncode == 1
    holds = [f for f in json.loads(looked.stdout) if f["what"] == "CVAT holds"]
    assert any("reefline corners" in finding["text"] and "apply" in finding["fix"] for finding in holds)


def test_the_doctor_names_the_server_and_why_no_webhook_arrives(home):
    reefline(home, "cvat", "apply")
    looked = reefline(home, "doctor", "--json")
    found = json.loads(looked.stdout)
    assert looked.returncode == 1
    assert any(f["what"] == "CVAT" and "2.54.1" in f["text"] for f in found)
    assert any("every webhook once" in f["text"] for f in found)
    [ping] = [f for f in found if f["what"] == "webhook 1"]
    assert "502" in ping["text"]
    assert "REEFLINE_RECEIVER_URL" in ping["fix"]
    assert PASSWORD not in looked.stdout
    assert SECRET not in looked.stdout


def test_the_doctor_says_that_the_login_is_wrong_in_one_line(home):
    text = (home / ".env").read_text().replace(PASSWORD, "another")
    (home / ".env").write_text(text)
    looked = reefline(home, "doctor", "--json")
    [cvat] = [f for f in json.loads(looked.stdout) if f["what"] == "CVAT"]
    assert cvat["level"] == "fail"
    assert "password" in cvat["text"]
    assert reefline(home, "cvat", "plan").returncode == 2


def test_dead_letters_are_listed_shown_and_replayed(home):
    inbox = Inbox(f"sqlite:///{home / '.reefline' / 'inbox.db'}")
    body = {"event": "update:job", "job": {"id": "seven", "task_id": 3}, "before_update": {"state": "new"}}
    inbox.insert(Delivery("update:job", body))
    inbox.interpret_new()
    listed = reefline(home, "inbox", "list")
    assert "cannot be" in listed.stdout
    assert "1 dead" in listed.stdout
    shown = reefline(home, "inbox", "show", "1")
    assert '"task_id": 3' in shown.stdout
    replayed = reefline(home, "inbox", "replay", "1")
    assert "1 row will be read again" in replayed.stdout
    assert reefline(home, "inbox", "list").stdout.startswith("No rows (dead).")
    missing = reefline(home, "inbox", "show", "99")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no row 99" in missing.stderr


@pytest.mark.parametrize("way", ["share", "cloud"])
def test_cvat_reads_pictures_from_where_they_lie_and_none_is_uploaded(tmp_path, way):
    store = LocalStore(tmp_path / "root" / "pictures")
    keys = []
    for picture in pictures(4):
        key = f"images/clean/{picture.name}"
        store.put(key, picture.read())
        keys.append(key)
    made = SandboxProcess(tmp_path / "sandbox", flags=(f"--{way}-root", str(tmp_path / "root"))).start()
    try:
        given = {"share": {"cvat_pictures": "share", "cvat_share_prefix": "pictures"}, "cloud": {}}[way]
        if way == "cloud":
            given = {"store_url": "s3://pictures", "cvat_s3_key": "AKIA", "cvat_s3_secret": "secret"}
        cvat = make_cvat(settings(made, **given))
        apply(cvat, declare(settings(made, **given), [survey()]))
        project = cvat.need_project("reefline corals demo-reef")
        offered = [Picture(key.rpartition("/")[2], not_uploaded, key) for key in reversed(keys)]
        task = cvat.ensure_task(project, "reef.0001.corals", offered, nothing)
        assert list(task.frames) == [cvat.frame_name(picture) for picture in offered], "frames in manifest order"
        assert cvat.ensure_task(project, "reef.0001.corals", offered, nothing).task_id == task.task_id
    finally:
        made.stop()


def not_uploaded():
    raise AssertionError("a picture was read to be uploaded")
