"""Replicas of the coral gate's jobs against a CVAT sandbox: made, handed out, drawn, read back."""

from collections import defaultdict

import pytest

from analytics.quality.replicas import between_annotators
from assets.common.gate import GateNotReadyError
from assets.common.replicas import drawings, replicas_stage
from assets.common.stage import shapes_by_image
from assets.corals import GATE as SPEC
from labels.manifest import Status
from labels.taxonomy import load_taxonomy
from tests.assets.test_honeypots import PICTURES, Bench, cvat, photos  # noqa: F401 - fixtures
from tests.contract.server import PASSWORD

TAXA = load_taxonomy("demo-reef").names
PEOPLE = ["ann", "bob", "cho"]
WITH_PEOPLE = f"cvat: {{job_size: 4, replicas: {{count: 2}}, assignees: [{', '.join(PEOPLE)}]}}\n"
BLIND = "cvat: {replicas: {count: 2, with_proposals: false}}\n"


@pytest.fixture(scope="module")
def people(cvat):  # noqa: F811
    for name in PEOPLE:
        body = {"username": name, "first_name": name, "last_name": "", "email": f"{name}@example.org"}
        body |= {"password1": PASSWORD, "password2": PASSWORD}
        cvat.session.request("POST", "/api/auth/register", body)


def test_every_job_has_copies_for_other_people_and_the_batch_waits_for_them(tmp_path, photos, cvat, people):  # noqa: F811
    bench = Bench(tmp_path, photos, cvat, "copies", WITH_PEOPLE)
    bench.create()
    by_span = defaultdict(list)
    for job in bench.task.jobs:
        by_span[job.start_frame, job.stop_frame].append(job)
        assert [s["frame"] for s in job.annotations["shapes"]] == list(range(job.start_frame, job.stop_frame + 1))
    assert sorted(by_span) == [(0, 3), (4, 7)]
    for jobs in by_span.values():
        assert sorted(job.type for job in jobs) == ["annotation", "consensus_replica", "consensus_replica"]
        assert {job.assignee for job in jobs} == set(PEOPLE)
    assert len({jobs[0].assignee for jobs in by_span.values()}) == 2, "one person has both jobs"

    [copy, *_] = [job for job in bench.jobs("consensus_replica") if job.start_frame == 0]
    bench.draw(copy, [bench.outline(2)])
    bench.complete("annotation")
    assert bench.heard() == []
    with pytest.raises(GateNotReadyError, match="not finished"):
        bench.collect()
    bench.complete("consensus_replica")
    assert len(bench.heard()) == 1
    result = bench.collect().result
    assert result.count(Status.OK) == PICTURES
    labels = bench.tables.labels(SPEC.reviewed, bench.batch)
    assert {s.label for s in labels} == {"Porites"}, "labels are those of the jobs themselves"
    assert len(labels) == PICTURES

    found = drawings(bench.tables, bench.batch, list(result.rows), shapes_by_image(labels))
    assert len(found) == 3 * PICTURES
    shown = bench.image_ids()
    mine = {d.image_id: [s.label for s in d.shapes] for d in found if d.person == copy.assignee}
    assert [mine[shown[frame]] for frame in range(4)] == [[], [], ["Acropora"], []]
    sizes = {row.image_id: (row.width, row.height) for row in result.rows}
    agreed = between_annotators(found, TAXA, sizes)
    assert agreed["people"] == PEOPLE
    others = [pair for pair in agreed["pairs"] if copy.assignee not in pair["people"]]
    assert [pair["dice"] for pair in others] == [1.0]
    assert all(pair["dice"] < 0.8 for pair in agreed["pairs"] if pair not in others)
    assert bench.collect().result.redone == 0


def test_copies_may_begin_empty_and_a_job_that_cvat_has_merged_is_nobodys_view(tmp_path, photos, cvat):  # noqa: F811
    bench = Bench(tmp_path, photos, cvat, "blind", BLIND)
    bench.create()
    assert [len(job.annotations["shapes"]) for job in bench.jobs("consensus_replica")] == [0, 0]
    for job in bench.jobs("consensus_replica"):
        bench.draw(job, [bench.outline(0)])
    [own] = bench.jobs("annotation")
    bench.draw(own, [{**bench.outline(0), "source": "consensus"}])
    for kind in ("annotation", "consensus_replica"):
        bench.complete(kind)
    result = bench.collect().result
    first = bench.image_ids()[0]
    found = drawings(bench.tables, bench.batch, list(result.rows), {})
    assert [(d.person.startswith("job "), len(d.shapes)) for d in found if d.image_id == first] == [
        (True, 1),
        (True, 1),
    ]
    assert len({s.shape_id for s in bench.tables.labels(replicas_stage("corals"), bench.batch)}) == 2
