"""From a release to a registered candidate. No Dagster."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from assets.common.evaluation import outlines
from assets.common.pictures import decode_rgb
from inference.registry import ModelCard, ModelError
from inference.training.recipe import Recipe
from inference.training.ultralytics_door import yolo_class
from inference.training.yolo import Trained, train
from inference.training.yolo_dataset import Dataset, Example, write_dataset
from resources.models import InstalledModels
from resources.object_store import ObjectStore
from resources.release_data import ReleaseData, ReleasePicture

CODE_VERSION = "1"
TASK = "coral-instances"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A registered candidate; ``trained`` and ``dataset`` are ``None`` when it had been registered before."""

    card: ModelCard
    trained: Trained | None = None
    dataset: Dataset | None = None


def train_candidate(
    models: InstalledModels,
    release: ReleaseData,
    name: str,
    recipe: Recipe,
    workplace: Path,
    who: str,
    on_epoch: Callable[[int, Mapping[str, float]], None] | None = None,
) -> Candidate:
    """Train on a release's ``train`` split and register what comes out. The same again is found, not trained again.

    Args:
        models: the registry.
        release: what is trained on; see ``evaluation`` for what is not.
        name: of the model; its version follows from the release and the recipe.
        recipe: every choice of the training.
        workplace: folder of unfinished trainings; a killed one is taken up from there.
        who: for the history.
        on_epoch: is told the number of epochs done and the losses.

    Raises:
        MissingExtraError: torch or ultralytics is not installed.
        DatasetError: the release is too small.
        ModelError: the registry refuses the model.
    """
    version = f"{release.name}-{recipe.fingerprint(release.content_sha256, CODE_VERSION)[:8]}"
    known = next((card for card in models.own() if card.versioned == f"{name}@{version}"), None)
    if known is not None:
        return Candidate(known)
    yolo_class()  # says what is missing before any picture is written
    folder = workplace / f"{name}-{version}"
    taxa = {taxon: number for number, taxon in enumerate(release.taxa)}
    examples = [_example(models.store, picture, taxa) for picture in release.split("train")]
    dataset = write_dataset(folder / "dataset", examples, release.taxa, recipe.image_px)
    trained = train(folder / "training", dataset.yaml, recipe, on_epoch)
    weights = folder / f"{name}-{version}.onnx"
    weights.write_bytes(trained.onnx)
    card = _card(release, name, version, recipe, dataset, trained, weights.name)
    kept = models.add(card, folder, who, f"trained on release {release.name}")
    shutil.rmtree(folder, ignore_errors=True)  # pictures and checkpoints have done their work
    return Candidate(kept, trained, dataset)


def _card(
    release: ReleaseData, name: str, version: str, recipe: Recipe, dataset: Dataset, trained: Trained, file: str
) -> ModelCard:
    return ModelCard(
        name=name,
        version=version,
        task=TASK,
        engine="onnxruntime",
        file=file,
        sha256=hashlib.sha256(trained.onnx).hexdigest(),
        labels=release.taxa,
        input_px=recipe.image_px,
        licence=recipe.licence,
        trained_on=f"{dataset.train} pictures with {dataset.colonies} colonies of release {release.name} "
        f"({release.licence}), {trained.epochs} epochs of {recipe.architecture}, seed {recipe.seed}",
        metrics={key: round(value, 4) for key, value in trained.metrics.items()},
        release=release.name,
        crosswalk=release.taxonomy or None,
        options={"recipe": recipe.model_dump(), "release_sha256": release.content_sha256},
    )


def candidate_of(models: InstalledModels, release: str, name: str = "") -> ModelCard:
    """The candidate added last that was trained on a release, of this name where one is given.

    Raises:
        ModelError: there is none.
    """
    mine = {card.versioned: card for card in models.own() if card.release == release and name in ("", card.name)}
    added = [
        (event.when, event.number, versioned)
        for each in {card.name for card in mine.values()}
        for event in models.history(each)
        if event.action == "add" and (versioned := f"{event.name}@{event.version}") in mine
    ]
    if not added:
        raise ModelError(f"no model was trained on release {release!r} yet: materialize models/candidate first")
    return mine[max(added)[2]]


def _example(store: ObjectStore, picture: ReleasePicture, taxa: Mapping[str, int]) -> Example:
    shapes = [(taxa[label], ring, holes) for label, ring, holes in outlines(picture)]
    return Example(picture.image_id, picture.quadrat, lambda: decode_rgb(store.get(picture.uri), picture.uri), shapes)
