"""The retraining loop on painted quadrats: train, compare on frozen ground, promote by rule, roll back."""

import dataclasses
import signal
import subprocess
import sys

import dagster as dg
import numpy as np
import pytest

from assets import models as retraining
from assets.common import evaluation
from assets.common.evaluation import evaluate, outlines, promote_by_rule, report_table
from assets.common.pictures import decode_rgb
from assets.common.training import candidate_of
from inference.registry import MODELS, ModelError, ModelRegistry
from inference.segmentation import Instance
from resources.models import InstalledModels
from resources.object_store import LocalStore
from resources.release_data import read_release
from resources.releases import ReleaseError
from resources.settings import Settings
from resources.tables import BatchTables
from tests.assets.reef_release import NAME, make_release

SHIPPED = ModelRegistry().card("demo-corals")


@pytest.fixture
def models(tmp_path):
    found = InstalledModels(LocalStore(tmp_path / "store"))
    make_release(found.store)
    return found


def run(models, home, config=None, assets=None, raise_on_error=True):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("release", [NAME])
        return dg.materialize(
            assets or [retraining.models_candidate, retraining.models_evaluation, retraining.models_champion],
            partition_key=NAME,
            instance=instance,
            resources={"models": models, "tables": BatchTables(models.store), "settings": Settings(home=home)},
            run_config={"ops": config or {}},
            raise_on_error=raise_on_error,
        )


def metadata(result, step):
    [event] = result.asset_materializations_for_node(step)
    return {name: value.value for name, value in event.metadata.items()}


TINY = {"name": "demo-corals", "recipe": "coral-instances-tiny", "epochs": 1, "image_px": 96}


@pytest.fixture
def one_thread():
    """torch on one thread: on a busy machine more of them wait for each other."""
    torch = pytest.importorskip("torch", reason="needs the torch extra: make test-torch")
    pytest.importorskip("onnx", reason="needs the torch extra: make test-torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.torch
def test_a_candidate_is_trained_compared_promoted_and_rolled_back(models, tmp_path, one_thread):
    config = {"models__candidate": {"config": TINY}}
    result = run(models, tmp_path, config)

    trained = metadata(result, "models__candidate")
    card = models.card(trained["model"].partition("#")[0])
    assert (card.task, card.labels, card.release) == ("coral-instances", read_release(models.store, NAME).taxa, NAME)
    assert trained["device"] in ("cpu", "cuda:0")
    assert trained["preview"].startswith("![")
    assert {"tune_mAP50", "tune_mAP50-95"} <= set(card.metrics)

    found = metadata(result, "models__evaluation")
    assert (found["candidate"], found["champion"]) == (card.reference, SHIPPED.reference)
    assert found["quadrats"] == 6
    assert "| Porites |" in found["preview"]
    assert not found["better"], "one epoch on six pictures beat a trained model"
    assert metadata(result, "models__champion")["promoted"] == "demo-corals@3"

    again = metadata(run(models, tmp_path, config, [retraining.models_candidate]), "models__candidate")
    assert (again["model"], again["trained_now"]) == (card.reference, False)

    with pytest.raises(ModelError, match="is not promoted: mAP50 differs by"):
        promote_by_rule(models, card.versioned, "ana")
    models.promote(card.versioned, "ana", "to see it work", forced=True)
    assert models.reference("demo-corals") == card.reference
    assert models.rollback("demo-corals", "ana").version == "3"
    assert models.load(card.versioned, threads=1).engine.predict(np.zeros((1, 3, 96, 96), np.float32))


KILLED = """
import os, signal, sys
from pathlib import Path
from inference.training.recipe import load_recipe
from inference.training.yolo import train
folder = Path(sys.argv[1])
train(folder / "training", folder / "dataset" / "data.yaml", load_recipe("coral-instances-tiny", image_px=96),
      lambda epoch, losses: os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.mark.torch
def test_a_killed_training_goes_on_where_it_was(models, tmp_path, one_thread):
    from assets.common.pictures import decode_rgb
    from inference.training.recipe import load_recipe
    from inference.training.yolo import train
    from inference.training.yolo_dataset import Example, write_dataset

    release = read_release(models.store, NAME)
    examples = [
        Example(
            p.image_id,
            p.quadrat,
            lambda p=p: decode_rgb(models.store.get(p.uri), p.uri),
            [(release.taxa.index(label), ring, holes) for label, ring, holes in outlines(p)],
        )
        for p in release.split("train")
    ]
    dataset = write_dataset(tmp_path / "dataset", examples, release.taxa, 96)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    weights = tmp_path / "training" / "run" / "weights"
    for name in ("last.pt", "best.pt"):  # as if the kill had come while they were written
        (weights / name).write_bytes((weights / name).read_bytes()[:1000])
    epochs = []
    trained = train(
        tmp_path / "training",
        dataset.yaml,
        load_recipe("coral-instances-tiny", image_px=96),
        lambda epoch, losses: epochs.append(epoch),
    )
    assert (trained.resumed_at, epochs) == (1, [2])
    assert trained.curves["epoch"] == [1, 2]
    assert trained.onnx[:1] == b"\x08"
    assert str(tmp_path).encode() not in trained.onnx, "the export holds a path of this machine"


def test_without_torch_a_candidate_says_what_to_install(models, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run(models, tmp_path, assets=[retraining.models_candidate], raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    message = failure.event_specific_data.user_failure_data.description
    assert "pip install 'reefline[torch]'" in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "training").exists()


def test_a_recipe_that_is_wrong_fails_in_one_line(models, tmp_path):
    config = {"models__candidate": {"config": {"image_px": 100}}}
    result = run(models, tmp_path, config, [retraining.models_candidate], raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "image_px: Input should be a multiple of 32" in failure.event_specific_data.user_failure_data.description


@pytest.fixture
def seeing(models, monkeypatch):
    """Predictors that see a stated share of the truth, by version; the registry, pictures and rule are real."""
    release, shares = read_release(models.store, NAME), {}
    known = {decode_rgb(models.store.get(p.uri), p.uri).tobytes(): outlines(p) for p in release.pictures}

    def opened(_models, name, _threads):
        def predict(image):
            found = known[image.tobytes()]
            return [Instance(label, ring, holes, 0.9) for label, ring, holes in found[: round(len(found) * share)]]

        share = shares[name]
        return predict

    monkeypatch.setattr(evaluation, "open_predictor", opened)

    def add(version, share, name="demo-corals"):
        shares[f"{name}@{version}"] = share
        if (name, version) != (SHIPPED.name, SHIPPED.version):
            models.add(dataclasses.replace(SHIPPED, name=name, version=version), MODELS, "ana")

    add("3", 0.5)
    return release, add


def test_only_a_model_that_is_better_on_the_frozen_pictures_is_promoted(models, seeing):
    release, add = seeing
    add("4", 1.0)
    add("5", 0.75)
    with pytest.raises(ModelError, match="has not been measured"):
        promote_by_rule(models, "demo-corals@4", "ana")
    report = evaluate(models, release, "demo-corals@4")
    assert (report["pictures"], report["quadrats"], report["better"]) == (6, 6, True)
    assert report["taxa"]["Porites"]["candidate"]["iou"][0] > 0.99, "holes were lost on the way"
    evaluate(models, release, "demo-corals@5")
    assert promote_by_rule(models, "demo-corals@4", "ana").metrics["content_sha256"] == release.content_sha256
    with pytest.raises(ModelError, match=r"was measured against demo-corals@3#.*promoted is demo-corals@4#"):
        promote_by_rule(models, "demo-corals@5", "ana")
    assert not evaluate(models, release, "demo-corals@5")["better"]
    with pytest.raises(ModelError, match=r"is not promoted.*--force --reason"):
        promote_by_rule(models, "demo-corals@5", "ana")
    assert models.promoted("demo-corals") == "4"


def test_being_better_than_another_name_does_not_get_past_the_promoted_version(models, seeing):
    release, add = seeing
    for version, share in (("1", 1.0), ("2", 0.75)):
        add(version, share, "reef-corals")
    models.promote("reef-corals@1", "ana", "the first", forced=True)
    assert evaluate(models, release, "reef-corals@2", "demo-corals@3")["better"]
    with pytest.raises(ModelError, match=r"promoted is reef-corals@1#"):
        promote_by_rule(models, "reef-corals@2", "ana")


def test_a_promotion_by_rule_gives_way_to_one_that_came_between(models, seeing):
    _, add = seeing
    add("4", 1.0)
    add("5", 1.0)
    models.promote("demo-corals@5", "ben", "first", over="3")
    with pytest.raises(ModelError, match=r"demo-corals@5 has been promoted meanwhile"):
        models.promote("demo-corals@4", "ana", "better than 3", over="3")


def test_the_first_version_of_a_name_is_promoted_once_it_has_been_measured(models, seeing):
    release, add = seeing
    add("1", 0.5, "reef-corals")
    report = evaluate(models, release, "reef-corals@1")
    assert report["champion"] is None
    assert "difference" not in report_table(report)
    promote_by_rule(models, "reef-corals@1", "ana")
    assert models.promoted("reef-corals") == "1"


def test_a_picture_that_is_gone_is_recorded_and_the_rest_is_measured(models, seeing):
    release, _ = seeing
    first = release.split("val")[0]
    (models.store.path(first.uri)).write_bytes(b"torn")
    report = evaluate(models, release, "demo-corals@3")
    assert report["pictures"] == 5
    assert "cannot be decoded" in report["unreadable"][first.image_id]


def test_labels_unknown_to_the_releases_taxonomy_are_refused_before_anything_is_measured(models, seeing):
    release, _ = seeing
    odd = dataclasses.replace(SHIPPED, version="9", labels=("Acropora", "Dragon", "a", "b", "c"))
    models.add(odd, MODELS, "ana")
    with pytest.raises(ModelError, match="proposes Dragon, a, b, c"):
        evaluate(models, release, "demo-corals@9")


def test_a_release_whose_labels_were_changed_is_not_trained_on(models):
    key = f"releases/made/{NAME}/labels.parquet"
    models.store.put(key, models.store.get(key)[:-1])
    with pytest.raises(ReleaseError, match=r"labels.parquet has changed"):
        read_release(models.store, NAME)
    with pytest.raises(ReleaseError, match="has not been made"):
        read_release(models.store, "reef-9")


def test_a_release_nobody_trained_on_has_no_candidate(models):
    with pytest.raises(ModelError, match="materialize models/candidate first"):
        candidate_of(models, NAME)
