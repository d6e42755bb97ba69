"""A task's backup has the files and fields of one that a real CVAT wrote."""

import io
import json
import zipfile

from resources.cvat import CvatClient
from resources.cvat.backups import save_backup
from tests.contract.server import ADMIN, PASSWORD, SandboxProcess
from tests.resources.test_cvat import pictures


def layout(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        names = sorted({n.rpartition(".")[2] if n.startswith("data/") else n for n in file.namelist()})
        task = json.loads(file.read("task.json"))
        annotations = json.loads(file.read("annotations.json"))
        manifest = [json.loads(line) for line in file.read("data/manifest.jsonl").splitlines()]
    return names, task, annotations, manifest


def test_a_backup_is_laid_out_as_cvats_own(tmp_path, shared):
    recorded = (shared / "contracts" / "cvat" / "sdk280" / "exports" / "task-backup.zip").read_bytes()
    sandbox = SandboxProcess(tmp_path / "sandbox").start()
    try:
        cvat = CvatClient(sandbox.url, username=ADMIN, password=PASSWORD)
        labels = [{"name": "coral", "type": "polygon", "attributes": []}]
        project = cvat.create_project("p", labels)

        def draw(frames, known):
            number = next(iter(frames.values()))
            shape = {"type": "polygon", "frame": number, "label_id": known["coral"]["id"], "source": "manual",
                     "points": [1.0, 1.0, 5.0, 1.0, 5.0, 5.0], "attributes": [], "occluded": False}  # fmt: skip
            return {"version": 0, "tags": [], "shapes": [shape], "tracks": []}

        task = cvat.ensure_task(project, "t", pictures(2), draw)
        save_backup(cvat.session, task.task_id, tmp_path / "task.zip")
    finally:
        sandbox.stop()
    theirs, ours = layout(recorded), layout((tmp_path / "task.zip").read_bytes())
    assert {"annotations.json", "task.json", "jsonl"} <= set(ours[0])
    assert ours[1].keys() == theirs[1].keys()
    assert ours[1]["data"].keys() == theirs[1]["data"].keys()
    assert ours[1]["jobs"][0].keys() == theirs[1]["jobs"][0].keys()
    assert ours[1]["labels"][0].keys() <= theirs[1]["labels"][0].keys() | {"sublabels", "svg"}
    assert ours[2][0].keys() == theirs[2][0].keys()
    polygon = next(s for job in theirs[2] for s in job["shapes"] if s["type"] == "polygon")
    assert ours[2][0]["shapes"][0].keys() <= polygon.keys()
    assert [line.keys() for line in ours[3][:3]] == [line.keys() for line in theirs[3][:3]]
