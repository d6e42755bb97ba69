"""The CVAT client against the CVAT sandbox, a real server process."""

import io
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from bench.bench_tasks import requests_for
from resources.cvat import CvatClient, CvatRefused, CvatUnavailable, Picture
from resources.cvat.making import HALF_MADE

USER, PASSWORD = "reefline", "a password of the test"
LABELS = [
    {"name": "Acropora", "type": "polygon", "color": "#ff0000", "attributes": []},
    {"name": "Porites", "type": "polygon", "color": "#00ff00", "attributes": []},
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a running sandbox."""
    folder = tmp_path_factory.mktemp("sandbox")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "deploy.local.sandbox", "--data", str(folder / "data"), "--port", str(port)]
    env = {**os.environ, "REEFLINE_SANDBOX_PASSWORD": PASSWORD}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--user", USER], env=env, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(f"{url}/api/server/about"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "the sandbox does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def cvat(server):
    return CvatClient(server, username=USER, password=PASSWORD)


@pytest.fixture
def project(cvat, request):
    return cvat.create_project(f"project of {request.node.name}", LABELS)


def picture(name, shade=80):
    data = io.BytesIO()
    Image.new("RGB", (64, 48), (shade % 256, 90, 120)).save(data, "JPEG")
    return Picture(name, data.getvalue)


def pictures(count, prefix="p"):
    # the order given is not the order of the names
    return [picture(f"{prefix}{(7 * n) % count:03d}.jpg", n) for n in range(count)]


def one_polygon_each(frames, labels):
    """A triangle on every frame, its place telling the frame."""
    label = labels["Acropora"]["id"]
    shapes = [
        {
            "type": "polygon",
            "frame": frame,
            "label_id": label,
            "points": [1.0, 1.0, 20.0 + frame % 20, 1.0, 1.0, 30.0],
            "occluded": False,
            "outside": False,
            "z_order": 0,
            "rotation": 0.0,
            "attributes": [],
            "source": "auto",
        }
        for frame in frames.values()
    ]
    return {"version": 0, "tags": [], "shapes": shapes, "tracks": []}


def nothing(frames, labels):
    return {"version": 0, "tags": [], "shapes": [], "tracks": []}


def shapes_of(task):
    return [shape for job in task.jobs for shape in job.annotations["shapes"]]


def test_the_check_logs_in_and_says_the_version(cvat):
    assert cvat.check()["version"]


def test_a_wrong_password_is_refused_in_cvats_words(server):
    with pytest.raises(CvatRefused, match="Unable to log in"):
        CvatClient(server, username=USER, password="wrong").check()


@pytest.mark.parametrize("url", ["", "cvat.example.org"])
def test_without_an_address_it_says_which_setting_is_missing(url):
    with pytest.raises(CvatRefused, match="REEFLINE_CVAT_URL"):
        CvatClient(url, username=USER, password=PASSWORD).check()


def test_without_an_account_it_says_which_setting_is_missing(server):
    with pytest.raises(CvatRefused, match="REEFLINE_CVAT_TOKEN"):
        CvatClient(server).check()


def test_a_project_is_made_once(cvat, request):
    name = f"project of {request.node.name}"
    assert cvat.find_project(name) is None
    first = cvat.create_project(name, LABELS[:1])
    assert cvat.create_project(name, LABELS[:1]) == first == cvat.find_project(name)


def test_a_project_is_found_by_its_whole_name(cvat, request):
    longer = cvat.create_project(f"{request.node.name} of last year", LABELS)
    assert cvat.find_project(request.node.name) is None
    assert cvat.create_project(request.node.name, LABELS) != longer


def test_labels_of_a_skeleton_come_with_their_nodes(cvat, request):
    nodes = [{"name": str(n), "type": "points", "attributes": []} for n in (1, 2)]
    svg = "".join(
        f'<circle r="1.5" cx="{20 * n}" cy="{20 * n}" data-type="element node" data-element-id="{n}" '
        f'data-node-id="{n}" data-label-name="{n}"></circle>'
        for n in (1, 2)
    )
    skeleton = {"name": "frame", "type": "skeleton", "attributes": [], "sublabels": nodes, "svg": svg}
    labels = cvat.labels(cvat.create_project(request.node.name, [skeleton]))
    assert {node["name"] for node in labels["frame"]["sublabels"]} == {"1", "2"}
    assert all(node["id"] for node in labels["frame"]["sublabels"])


def test_a_task_has_its_pictures_in_order_and_the_prelabels_inside(cvat, project):
    offered = pictures(5)
    task = cvat.ensure_task(project, "reef.0001.corals", offered, one_polygon_each)
    assert list(task.frames) == [p.name for p in offered]
    assert list(task.frames.values()) == list(range(5))
    read = cvat.read_task(task.task_id)
    assert sorted(shape["frame"] for shape in shapes_of(read)) == list(range(5))
    assert all(shape["points"][2] == 20.0 + shape["frame"] % 20 for shape in shapes_of(read))
    assert dict(read.frames) == dict(task.frames)
    assert list(read.deleted_frames) == []
    assert f"/tasks/{task.task_id}" in task.url


def test_links_lead_where_peoples_browsers_reach_cvat(server, project):
    cvat = CvatClient(server, username=USER, password=PASSWORD, public_url="https://cvat.example.org/")
    task = cvat.ensure_task(project, "linked.corners", pictures(2), nothing)
    assert task.url == f"https://cvat.example.org/tasks/{task.task_id}"


def test_asking_for_the_same_task_again_gives_the_same_one_untouched(cvat, project):
    first = cvat.ensure_task(project, "reef.0002.corals", pictures(3), one_polygon_each)
    cvat.session.request("PUT", f"/api/tasks/{first.task_id}/annotations", nothing({}, {}))  # people's work
    again = cvat.ensure_task(project, "reef.0002.corals", pictures(3), one_polygon_each)
    assert (again.task_id, again.frames) == (first.task_id, first.frames)
    assert shapes_of(cvat.read_task(first.task_id)) == [], "what people did is not overwritten"


def test_jobs_are_cut_and_given_to_people_in_turn(cvat, project):
    task = cvat.ensure_task(project, "reef.0003.corals", pictures(6), nothing, segment_size=2, assignees=[USER])
    assert len(task.jobs) == 3
    assert {job.assignee for job in task.jobs} == {USER}
    assert {(job.state, job.stage, job.type) for job in task.jobs} == {("new", "annotation", "annotation")}
    assert all(job.updated_date.tzinfo for job in task.jobs)


def test_an_assignee_who_does_not_exist_is_named_before_anything_is_made(cvat, project):
    before = len(cvat.task_names())
    with pytest.raises(CvatRefused, match="nobody-of-this-name"):
        cvat.ensure_task(project, "reef.0004.corals", pictures(2), nothing, assignees=["nobody-of-this-name"])
    assert len(cvat.task_names()) == before


def test_a_name_that_is_part_of_another_is_another_task(cvat, project):
    longer = cvat.ensure_task(project, "reef.0005.corals.old", pictures(2), nothing)
    task = cvat.ensure_task(project, "reef.0005.corals", pictures(2), nothing)
    assert task.task_id != longer.task_id


def test_a_task_with_other_pictures_is_replaced_while_nobody_has_begun(cvat, project):
    old = cvat.ensure_task(project, "reef.0006.corals", pictures(2), nothing)
    new = cvat.ensure_task(project, "reef.0006.corals", pictures(3), nothing)
    assert new.task_id != old.task_id
    assert cvat.task_names().count("reef.0006.corals") == 1


def test_a_task_that_people_have_begun_is_not_replaced(cvat, project):
    old = cvat.ensure_task(project, "reef.0007.corals", pictures(2), nothing)
    cvat.session.request("PATCH", f"/api/jobs/{old.jobs[0].job_id}", {"state": "in progress"})
    with pytest.raises(CvatRefused, match="other pictures"):
        cvat.ensure_task(project, "reef.0007.corals", pictures(3), nothing)
    assert cvat.jobs(old.task_id)[0].state == "in progress"


CRASHES = {
    "before the pictures are there": "pictures",
    "between the upload and the annotations": "annotations",
}


@pytest.mark.parametrize("moment", CRASHES.values(), ids=CRASHES.keys())
def test_a_run_killed_half_way_leaves_nothing_that_looks_finished(cvat, project, server, moment):
    name = f"reef.killed.{moment}"
    script = f"""
import os, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_cvat import CvatClient, Picture, USER, PASSWORD, pictures
def die(*_): os._exit(9)
offered = pictures(3) if {moment!r} == "annotations" else [Picture("a.jpg", die)]
CvatClient({server!r}, username=USER, password=PASSWORD).ensure_task({project}, {name!r}, offered, die)
"""
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == 9, killed.stderr
    assert name + HALF_MADE in cvat.task_names()
    assert name not in cvat.task_names()
    task = cvat.ensure_task(project, name, pictures(3), one_polygon_each)
    assert len(shapes_of(cvat.read_task(task.task_id))) == 3
    assert [n for n in cvat.task_names() if n.startswith(name)] == [name], "the half-made one is gone"


def test_the_number_of_requests_does_not_grow_with_the_pictures(cvat, project):
    cvat.check()

    def calls(count):
        before = cvat.calls
        task = cvat.ensure_task(project, f"reef.calls.{count}", pictures(count), one_polygon_each)
        made = cvat.calls - before
        before = cvat.calls
        assert len(shapes_of(cvat.read_task(task.task_id))) == count
        return made, cvat.calls - before

    few, many = calls(3), calls(100)
    assert few == many
    assert max(many) <= 12


def test_a_finished_job_is_read_as_finished(cvat, project):
    task = cvat.ensure_task(project, "reef.0008.corals", pictures(2), one_polygon_each)
    cvat.session.request("PATCH", f"/api/jobs/{task.jobs[0].job_id}", {"state": "completed"})
    assert [job.state for job in cvat.jobs(task.task_id)] == ["completed"]
    [job] = cvat.read_task(task.task_id).jobs
    assert (job.state, job.stage, len(job.annotations["shapes"])) == ("completed", "annotation", 2)


def test_deleting_a_task_twice_is_no_error(cvat, project):
    task = cvat.ensure_task(project, "reef.0009.corals", pictures(1), nothing)
    cvat.delete_task(task.task_id)
    cvat.delete_task(task.task_id)
    with pytest.raises(CvatRefused, match="404"):
        cvat.read_task(task.task_id)


@contextmanager
def failing(*statuses):
    """A server that answers the given statuses in turn, then 200 for ever; how often it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status = statuses[len(asked) - 1] if len(asked) <= len(statuses) else 200
            body = b'{"version": "2.54.1", "count": 0, "results": [], "next": null}'
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.cvat+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_passing_failure_is_tried_again(status):
    with failing(status, status) as (url, asked):
        assert CvatClient(url, token="a-token").session.request("GET", "/api/server/about")["version"]
    assert len(asked) >= 3


@pytest.mark.parametrize(("status", "hint"), [(401, "REEFLINE_CVAT_TOKEN"), (403, "right"), (404, "deleted")])
def test_a_refusal_is_told_at_once_with_what_to_do(status, hint):
    with failing(*[status] * 20) as (url, asked), pytest.raises(CvatRefused, match=hint) as refused:
        CvatClient(url, token="a-token").session.request("GET", "/api/tasks/1")
    assert refused.value.status == status
    assert len(asked) == 1
    assert "\n" not in str(refused.value)


def test_a_server_that_keeps_failing_is_unavailable(monkeypatch):
    monkeypatch.setattr("resources.cvat.session.ATTEMPTS", 2)
    with failing(*[503] * 20) as (url, asked), pytest.raises(CvatUnavailable, match="503"):
        CvatClient(url, token="a-token").session.request("GET", "/api/tasks/1")
    assert 2 <= len(asked) <= 20, "it gives up"


def test_a_server_that_is_not_there_is_unavailable(monkeypatch):
    monkeypatch.setattr("resources.cvat.session.ATTEMPTS", 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(CvatUnavailable, match="does not answer"):
            CvatClient(url, username=USER, password=PASSWORD).check()


class Cutter:
    """A proxy to a server, byte for byte, that cuts a connection after so many bytes from the client; then no more."""

    def __init__(self, url, after):
        self.target, self.left = url.rpartition(":")[2], after
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.cuts = 0
        Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                server = socket.create_connection(("127.0.0.1", int(self.target)))
                Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source, sink, upwards):
        with suppress(OSError):
            while data := source.recv(65536):
                if upwards and self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        self.left = None
                        self.cuts += 1
                        break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("after", [6_000, 40_000])
def test_a_connection_cut_in_the_middle_of_an_upload_leaves_one_whole_task_after_a_retry(server, cvat, project, after):
    proxy = Cutter(server, after)
    name = f"reef.cut.{after}"
    large = [Picture(f"p{n}.bin.jpg", noisy) for n in range(5)]
    through = CvatClient(proxy.url, username=USER, password=PASSWORD)
    with suppress(CvatUnavailable):
        through.ensure_task(project, name, large, nothing)
    assert proxy.cuts == 1
    through.ensure_task(project, name, large, nothing)
    tasks = [t for t in cvat.session.listed("/api/tasks", project_id=project) if t["name"].startswith(name)]
    assert [(t["name"], t["size"]) for t in tasks] == [(name, 5)]


def noisy():
    """A picture that does not get small."""
    data = io.BytesIO()
    Image.effect_noise((200, 200), 90).convert("RGB").save(data, "JPEG", quality=95)
    return data.getvalue()


def test_half_a_list_is_not_taken_for_the_whole():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"version": "2.54.1", "count": 250, "results": [{"id": 1}], "next": null}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    half = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=half.serve_forever, daemon=True).start()
    with pytest.raises(CvatUnavailable, match="1 of 250"):
        CvatClient(f"http://127.0.0.1:{half.server_port}", token="a-token").session.listed("/api/jobs")
    half.shutdown()
    half.server_close()


@pytest.mark.parametrize("kind", ["skeletons", "polygons"])
def test_a_task_of_250_pictures_takes_as_many_requests_as_one_of_25(cvat, kind):
    few, many = requests_for(cvat, kind, 25), requests_for(cvat, kind, 250)
    # Small pictures go up together; not one request is made for a picture or a shape.
    assert few == many < 25
