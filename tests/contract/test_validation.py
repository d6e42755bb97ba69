"""Ground-truth jobs of the sandbox: how their frames are chosen, and what they show."""

import pytest

from tests.contract.test_schema import problems, schema  # noqa: F401 - a fixture


@pytest.fixture
def task(workplace):
    """A task of eight pictures in two jobs."""
    return workplace.task(workplace.project(), pictures=8, segment_size=4)


def truth(workplace, task, **body):
    """A ground-truth job, and its frames."""
    job = workplace.post("/api/jobs", {"type": "ground_truth", "task_id": task["id"], **body})
    return job, workplace.get(f"/api/jobs/{job['id']}/data/meta")["included_frames"]


def test_frames_chosen_by_hand_are_the_jobs_and_the_others_have_no_name(workplace, task, schema):  # noqa: F811
    job, frames = truth(workplace, task, frame_selection_method="manual", frames=[5, 1])
    assert frames == [1, 5]
    assert (job["frame_count"], job["start_frame"], job["stop_frame"]) == (2, 0, 7)
    meta = workplace.get(f"/api/jobs/{job['id']}/data/meta")
    assert meta["size"] == 2
    assert [f["name"] for f in meta["frames"] if f["name"] != "placeholder.jpg"] == ["1.png", "5.png"]
    assert problems(schema, "DataMetaRead", meta) == []
    assert workplace.get(f"/api/tasks/{task['id']}")["validation_mode"] == "gt"


def test_the_same_seed_chooses_the_same_frames(workplace, task):
    drawn = []
    for _ in range(2):
        job, frames = truth(workplace, task, frame_selection_method="random_uniform", frame_count=3, random_seed=7)
        drawn.append(frames)
        assert workplace.client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 3


def test_a_share_is_taken_of_all_frames_or_of_each_job(workplace, task):
    job, frames = truth(workplace, task, frame_selection_method="random_uniform", frame_share=0.5)
    assert len(frames) == 4
    workplace.client.delete(f"/api/jobs/{job['id']}")
    _, frames = truth(workplace, task, frame_selection_method="random_per_job", frames_per_job_share=0.25)
    assert [sum(f < 4 for f in frames), sum(f >= 4 for f in frames)] == [1, 1]


def test_a_task_has_one_ground_truth_job_and_only_that_one_can_be_deleted(workplace, task):
    truth(workplace, task, frames=[0])
    again = {"type": "ground_truth", "task_id": task["id"], "frames": [1]}
    assert workplace.client.post("/api/jobs", json=again).status_code == 400
    annotation = next(j for j in workplace.jobs(task) if j["type"] == "annotation")
    assert workplace.client.delete(f"/api/jobs/{annotation['id']}").status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_selection_method": "manual", "frames": [8]},
        {"frame_selection_method": "manual", "frames": [1, 1]},
        {"frame_selection_method": "random_uniform"},
        {"frame_selection_method": "random_uniform", "frame_count": 9},
        {"frame_selection_method": "random_uniform", "frame_share": 2},
        {"frame_selection_method": "best"},
    ],
)
def test_frames_that_cannot_be_chosen_are_refused(workplace, task, wrong):
    body = {"type": "ground_truth", "task_id": task["id"], **wrong}
    assert workplace.client.post("/api/jobs", json=body).status_code == 400
    assert len(workplace.jobs(task)) == 2


def test_a_new_task_may_ask_for_its_ground_truth(workplace):
    asked = {"mode": "gt", "frame_selection_method": "manual", "frames": ["2.png"]}
    task = workplace.task(workplace.project(), pictures=3, finish={"validation_params": asked})
    assert task["validation_mode"] == "gt"
    [job] = [j for j in workplace.jobs(task) if j["type"] == "ground_truth"]
    assert workplace.get(f"/api/jobs/{job['id']}/data/meta")["included_frames"] == [2]


def test_a_pool_of_ground_truth_is_accepted(workplace):
    asked = {"mode": "gt_pool", "frame_selection_method": "random_uniform", "frame_count": 1, "frames_per_job_count": 1}
    task = workplace.task(workplace.project(), pictures=3, finish={"validation_params": asked})
    assert task["validation_mode"] == "gt_pool"


def test_annotations_of_the_ground_truth_stay_apart_from_those_of_the_task(workplace, task):
    job, _ = truth(workplace, task, frames=[1])
    label = workplace.get("/api/labels", task_id=task["id"])["results"][0]["id"]
    shapes = [{"type": "polygon", "frame": f, "label_id": label, "points": [0, 0, 9, 0, 9, 9]} for f in (0, 1)]
    body = {"shapes": shapes, "tags": [], "tracks": []}
    saved = workplace.client.put(f"/api/jobs/{job['id']}/annotations", json=body).json()
    assert [s["frame"] for s in saved["shapes"]] == [1]
    assert workplace.get(f"/api/tasks/{task['id']}/annotations")["shapes"] == []


def test_settings_of_the_quality_control_are_the_tasks_and_thresholds_are_shares(workplace, task):
    [found] = workplace.get("/api/quality/settings", task_id=task["id"])["results"]
    assert (found["iou_threshold"], found["oks_sigma"]) == (0.4, 0.09)
    path = f"/api/quality/settings/{found['id']}"
    assert workplace.patch(path, {"oks_sigma": 0.05})["oks_sigma"] == 0.05
    assert workplace.client.patch(path, json={"iou_threshold": 1.5}).status_code == 400
