"""Models that the webhooks of an old site name: honoured where they can be, explained where not."""

from datetime import UTC, datetime

import pytest
import yaml

from assets.common.asked import with_asked_model
from inference.registry import MODELS, ModelRegistry
from labels.survey import parse_survey
from resources.inbox import Delivery, Inbox, JobState

WHEN = datetime(2026, 1, 5, tzinfo=UTC)
SURVEY = parse_survey("name: reef\nphotos: {folder: x}\ntaxonomy: demo-reef\n", "reef.yaml")
TASKS = {"corners": 11, "lattice": 12, "corals": 13}


@pytest.fixture
def registry(tmp_path):
    """The shipped model under three names: a second coral model, one of another task, one of a foreign taxonomy."""
    shipped = yaml.safe_load((MODELS / "models.yaml").read_text())["models"]
    [card] = [card for card in shipped if card["name"] == "demo-corals"]
    others = [
        {"name": "pth-yolo-coralsegv4"},
        {"name": "pth-yolo-gridpose", "task": "lattice"},
        {"name": "foreign", "labels": ["Gorgonia"]},
    ]
    (tmp_path / "models.yaml").write_text(yaml.safe_dump({"models": [card, *({**card, **more} for more in others)]}))
    return ModelRegistry(tmp_path)


@pytest.fixture
def inbox(tmp_path):
    """A batch with a task at each gate."""
    inbox = Inbox(f"sqlite:///{tmp_path / 'inbox.db'}")
    for gate, task in TASKS.items():
        job = JobState(task * 10, task, "annotation", "new", "annotation", None, WHEN)
        inbox.register_review("reef.0001", gate, task, None, [job])
    return inbox


def hook(inbox, gate, number, **query):
    """A webhook of the old bridge speaks about the task of a gate."""
    task = TASKS.get(gate, 99)
    job = {"id": task * 10, "task_id": task, "state": "in progress", "updated_date": f"2026-01-05T10:00:{number:02d}Z"}
    body = {"event": "update:job", "job": job, "before_update": {"state": "new"}, "webhook_id": 1}
    inbox.insert(Delivery("update:job", body, "webhook", "/detect-model-webhook", query))


def model_of(inbox, registry, batch="reef.0001"):
    survey, said = with_asked_model(SURVEY, batch, inbox, registry)
    return survey.models.corals, said.get("model_asked_by_webhook")


def test_without_a_word_the_model_of_the_survey_is_used(inbox, registry):
    hook(inbox, "lattice", 1, target_proj_id="7")
    assert with_asked_model(SURVEY, "reef.0001", inbox, registry) == (SURVEY, {})


def test_a_named_model_of_corals_proposes_for_its_batch_and_for_no_other(inbox, registry):
    hook(inbox, "lattice", 1, model_name="pth-yolo-coralsegv4", conv_mask_to_poly="true")
    assert model_of(inbox, registry) == ("pth-yolo-coralsegv4", "pth-yolo-coralsegv4")
    assert model_of(inbox, registry, "reef.0002") == ("demo-corals", None)


def test_the_models_of_other_gates_do_not_propose_corals(inbox, registry):
    hook(inbox, "corners", 1, model_name="pth-yolo-coralsegv4@3")
    hook(inbox, "lattice", 2, model_name="pth-yolo-gridpose")
    assert model_of(inbox, registry) == ("pth-yolo-coralsegv4@3", "pth-yolo-coralsegv4@3")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pth-yolo-coralsegbanggai", "no model 'pth-yolo-coralsegbanggai' in the registry"),
        ("pth-yolo-gridpose", "is for lattice"),
        ("foreign", "proposes Gorgonia"),
    ],
)
def test_a_name_that_cannot_be_used_leaves_the_survey_its_model_and_says_why(inbox, registry, name, why):
    hook(inbox, "lattice", 1, model_name=name)
    model, said = model_of(inbox, registry)
    assert model == "demo-corals"
    assert why in said
    assert "'demo-corals' is used" in said


def test_the_coral_projects_own_webhook_counts_more_than_a_later_one_of_another_gate(inbox, registry):
    hook(inbox, "corals", 1, model_name="demo-corals@3")
    hook(inbox, "lattice", 2, model_name="pth-yolo-coralsegv4")
    assert model_of(inbox, registry)[0] == "demo-corals@3"
    hook(inbox, "corals", 3, model_name="pth-yolo-coralsegv4")
    assert model_of(inbox, registry)[0] == "pth-yolo-coralsegv4"
