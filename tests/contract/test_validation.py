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


POOL = {"mode": "gt_pool", "frame_selection_method": "random_uniform", "frame_count": 2, "frames_per_job_count": 1}


def pooled(workplace, pictures=8, segment_size=3, **asked):
    """A task with honeypots, and its layout."""
    finish = {"sorting_method": "random", "validation_params": {**POOL, "random_seed": 3, **asked}}
    task = workplace.task(workplace.project(), pictures=pictures, segment_size=segment_size, finish=finish)
    return task, workplace.get(f"/api/tasks/{task['id']}/validation_layout")


def names(workplace, path):
    """Frame names of a task or a job."""
    return [frame["name"] for frame in workplace.get(f"/api/{path}/data/meta")["frames"]]


def test_a_pool_lies_at_the_end_and_its_pictures_are_hidden_among_those_of_every_job(workplace, schema):  # noqa: F811
    task, layout = pooled(workplace)
    assert (task["validation_mode"], task["size"], task["segment_size"]) == ("gt_pool", 10, 0)
    assert problems(schema, "TaskValidationLayoutRead", layout) == []
    assert (layout["mode"], layout["frames_per_job_count"], layout["honeypot_count"]) == ("gt_pool", 1, 2)
    assert layout["validation_frames"] == [8, 9]
    shown = names(workplace, f"tasks/{task['id']}")
    assert len(set(shown)) == 8
    for trap, real in zip(layout["honeypot_frames"], layout["honeypot_real_frames"], strict=True):
        assert shown[trap] == shown[real]
    *annotation, truth = workplace.jobs(task)
    assert [(job["start_frame"], job["stop_frame"]) for job in annotation] == [(0, 3), (4, 7)]
    assert (truth["type"], truth["start_frame"], truth["stop_frame"]) == ("ground_truth", 8, 9)
    for job in annotation:
        mine = workplace.get(f"/api/jobs/{job['id']}/validation_layout")
        assert problems(schema, "JobValidationLayoutRead", mine) == []
        assert mine["honeypot_count"] == 1
    meta = workplace.get(f"/api/jobs/{truth['id']}/data/meta")
    assert problems(schema, "DataMetaRead", meta) == []
    assert [frame["name"] for frame in meta["frames"]] == shown[8:]
    assert workplace.client.delete(f"/api/jobs/{truth['id']}").status_code == 400


def test_every_pool_picture_is_used_before_one_is_used_twice_and_a_seed_repeats_the_layout(workplace):
    first, layout = pooled(workplace, pictures=12, frame_count=4, frames_per_job_count=2)
    assert sorted(layout["honeypot_real_frames"]) == sorted([*range(14, 18), *layout["honeypot_real_frames"][4:]])
    second, again = pooled(workplace, pictures=12, frame_count=4, frames_per_job_count=2)
    assert again == layout
    assert names(workplace, f"tasks/{first['id']}") == names(workplace, f"tasks/{second['id']}")


@pytest.mark.parametrize(
    "wrong",
    [
        {"frame_selection_method": "random_per_job"},
        {"frames_per_job_share": 0.5},
        {"frame_share": 0.5},
        {"frame_selection_method": "manual"},
        {"mode": "best"},
    ],
)
def test_contradicting_validation_is_refused_at_once(workplace, wrong):
    task = workplace.post("/api/tasks", {"name": "task", "project_id": workplace.project()["id"]})
    body = {"server_files": ["1.png"], "validation_params": {**POOL, **wrong}}
    assert workplace.client.post(f"/api/tasks/{task['id']}/data", json=body).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"sorting_method": "natural"}, "random"),
        ({"validation_params": {**POOL, "frame_count": 3}}, "less than"),
        ({"validation_params": {**POOL, "frames_per_job_count": 3}}, "greater than the pool"),
        ({"validation_params": {**POOL, "frame_selection_method": "manual", "frames": ["9.png"]}}, "Unknown"),
    ],
)
def test_a_pool_that_cannot_be_made_is_a_failed_request(workplace, wrong, why):
    asked = dict(wrong.get("validation_params", POOL))
    if "frames" in asked:
        del asked["frame_count"]
    finish = {"sorting_method": "random", **wrong, "validation_params": asked}
    task = workplace.task(workplace.project(), pictures=3, finish=finish)
    assert task["size"] == 0
    request = workplace.get(f"/api/requests/action=create&target=task&target_id={task['id']}")
    assert request["status"] == "failed"
    assert why in request["message"]


def test_what_a_whole_task_is_given_for_the_pool_is_copied_to_the_placeholders(workplace):
    task, layout = pooled(workplace)
    label = workplace.get("/api/labels", task_id=task["id"])["results"][0]["id"]
    shapes = [{"type": "polygon", "frame": f, "label_id": label, "points": [0, 0, 9, 0, 9, f]} for f in range(10)]
    traps = dict(zip(layout["honeypot_frames"], layout["honeypot_real_frames"], strict=True))
    path = f"/api/tasks/{task['id']}/annotations"
    saved = workplace.client.put(path, json={"shapes": shapes, "tags": [], "tracks": []}).json()
    assert len(saved["shapes"]) == 10
    assert {s["frame"]: s["points"][-1] for s in saved["shapes"]} == {f: float(traps.get(f, f)) for f in range(10)}
    one = {"shapes": [{**shapes[8], "id": saved["shapes"][-1]["id"]}], "tags": [], "tracks": []}
    assert workplace.client.patch(path, params={"action": "update"}, json=one).status_code == 400


def test_a_job_keeps_what_it_is_given_for_its_placeholders(workplace):
    task, layout = pooled(workplace)
    first, *_ = workplace.jobs(task)
    label = workplace.get("/api/labels", task_id=task["id"])["results"][0]["id"]
    trap = layout["honeypot_frames"][0]
    shapes = [{"type": "polygon", "frame": trap, "label_id": label, "points": [0, 0, 9, 0, 9, 9]}]
    path = f"/api/jobs/{first['id']}/annotations"
    saved = workplace.client.put(path, json={"shapes": shapes, "tags": [], "tracks": []}).json()
    assert [s["frame"] for s in saved["shapes"]] == [trap]
    assert [s["frame"] for s in workplace.get(f"/api/tasks/{task['id']}/annotations")["shapes"]] == [trap]


def test_pool_frames_are_left_out_in_the_ground_truth_job_alone(workplace):
    task, _ = pooled(workplace)
    truth = workplace.jobs(task)[-1]
    path = f"/api/tasks/{task['id']}"
    assert workplace.client.patch(f"{path}/data/meta", json={"deleted_frames": [9]}).status_code == 400
    meta = workplace.patch(f"/api/jobs/{truth['id']}/data/meta", {"deleted_frames": [9]})
    assert meta["deleted_frames"] == [9]
    assert workplace.get(f"{path}/validation_layout")["disabled_frames"] == [9]
    assert workplace.get(f"{path}/data/meta")["deleted_frames"] == []
    back = workplace.patch(f"{path}/validation_layout", {"disabled_frames": []})
    assert back["disabled_frames"] == []


def test_honeypots_can_be_exchanged_and_what_was_drawn_on_them_goes(workplace):
    task, layout = pooled(workplace)
    first, second, _ = workplace.jobs(task)
    label = workplace.get("/api/labels", task_id=task["id"])["results"][0]["id"]
    [trap] = workplace.get(f"/api/jobs/{first['id']}/validation_layout")["honeypot_frames"]
    shapes = [{"type": "polygon", "frame": trap, "label_id": label, "points": [0, 0, 9, 0, 9, 9]}]
    path = f"/api/jobs/{first['id']}"
    workplace.client.put(f"{path}/annotations", json={"shapes": shapes, "tags": [], "tracks": []})
    other = next(f for f in (8, 9) if f != layout["honeypot_real_frames"][0])
    asked = {"frame_selection_method": "manual", "honeypot_real_frames": [other]}
    assert workplace.patch(f"{path}/validation_layout", asked)["honeypot_real_frames"] == [other]
    assert workplace.get(f"{path}/annotations")["shapes"] == []
    shown = names(workplace, f"tasks/{task['id']}")
    assert shown[trap] == shown[other]
    drawn = {"frame_selection_method": "random_uniform"}
    everywhere = workplace.patch(f"/api/tasks/{task['id']}/validation_layout", drawn)
    assert set(everywhere["honeypot_real_frames"]) == {8, 9}
    again = workplace.patch(f"/api/jobs/{second['id']}/validation_layout", drawn)
    assert set(again["honeypot_real_frames"]) <= {8, 9}


def test_a_task_without_validation_says_so(workplace, task, schema):  # noqa: F811
    layout = workplace.get(f"/api/tasks/{task['id']}/validation_layout")
    assert (layout["mode"], problems(schema, "TaskValidationLayoutRead", layout)) == (None, [])
    truth(workplace, task, frames=[5, 1])
    layout = workplace.get(f"/api/tasks/{task['id']}/validation_layout")
    assert (layout["mode"], layout["validation_frames"]) == ("gt", [1, 5])
    assert problems(schema, "TaskValidationLayoutRead", layout) == []


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
