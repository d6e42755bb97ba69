"""What each function detects. The only module of the functions that calls the finders and models.

A detector is made once, which loads its model, and is then called per picture. What is odd about a picture (no frame
in it, not square) is a note beside an empty or doubtful result, never an exception: CVAT gives up a whole task when a
function fails on one of its pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.corners import open_corner_finder
from inference.lattice import open_lattice_finder
from inference.registry import MODELS, ModelRegistry
from inference.removal import MODELS as REMOVAL_MODELS
from inference.removal import measured_mask, remove_lattice
from inference.segmentation import Segmenter, segment
from labels.formats.cvat import corner_label_spec, lattice_label_spec, taxonomy_label_specs
from labels.lattice import DEFAULT_LATTICE, load_topology
from labels.schema import OUTSIDE, Kind, Shape
from labels.taxonomy import Crosswalk, TaxonomyError, load_crosswalk, load_taxonomy, shipped_taxonomies

CORNERS_LABEL = "quadrat_corner"
"""The skeleton that reefline's corner projects declare."""
LATTICE_LABEL = "lattice"
"""The skeleton that reefline's lattice projects declare."""
DEFAULT_MODEL = "demo-corals"
DEFAULT_TAXONOMY = "demo-reef"
CORALS_THRESHOLD = 0.25
"""Colonies below this score are left out unless the caller says otherwise, as QUADRATSEG's functions did."""

Picture = NDArray[np.uint8]


class FunctionSetupError(ValueError):
    """A function cannot be set up; the message says which setting is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in one picture: label rows in its pixels, best first, and one-line notes about the picture."""

    shapes: list[Shape]
    notes: list[str] = field(default_factory=list)


class Detector(Protocol):
    """Finds things in one picture.

    Attributes:
        labels: CVAT label definitions of all it may find, as ``labels.formats.cvat`` makes them.
        reference: ``name@version``, with ``#sha256[:12]`` for a model with weights.
    """

    labels: list[dict[str, Any]]
    reference: str

    def detect(self, image: Picture, threshold: float | None = None) -> Detection:
        """What is in an upright uint8 RGB picture ``(H, W, 3)``, at or above a score of 0..1 (None: its default)."""


class CornerDetector:
    """The four inner corners of the frame in a raw photo, as one skeleton."""

    def __init__(self, label: str = CORNERS_LABEL) -> None:
        """``label``: name of the skeleton in CVAT."""
        self.labels = [corner_label_spec(label)]
        self.finder = open_corner_finder(ModelRegistry())
        self.reference = self.finder.reference

    def detect(self, image: Picture, threshold: float | None = None) -> Detection:
        """One skeleton, or none where no frame is found."""
        finding = self.finder.find(image)
        if finding.points is None:
            return Detection([], finding.defects or ["no frame found"])
        shape = _skeleton(self.labels[0]["name"], finding.points, finding.score, finding.model)
        return _over(threshold or 0.0, [shape], finding.defects)


class LatticeDetector:
    """The crossings of the strings in a rectified picture, as one skeleton."""

    def __init__(self, topology: str = DEFAULT_LATTICE, label: str = LATTICE_LABEL) -> None:
        """``topology``: name or YAML file of the lattice; ``label``: name of the skeleton in CVAT.

        Raises:
            LatticeError: there is no such lattice.
        """
        self.topology = load_topology(topology)
        self.labels = [lattice_label_spec(label, self.topology)]
        self.finder = open_lattice_finder(ModelRegistry(), self.topology)
        self.reference = self.finder.reference

    def detect(self, image: Picture, threshold: float | None = None) -> Detection:
        """One skeleton with every node (unseen ones marked outside), or none where no string is seen."""
        height, width = image.shape[:2]
        if height != width:
            return Detection([], [f"a rectified picture is square, this one is {width} x {height}: rectify it first"])
        finding = self.finder.find(image)
        if finding.outside.all():
            return Detection([], finding.defects or ["no strings of the lattice are visible"])
        shape = _skeleton(self.labels[0]["name"], finding.nodes, finding.score, finding.model)
        hidden = [node for node, gone in zip(self.topology.node_ids, finding.outside, strict=True) if gone]
        if hidden:
            shape.attributes[OUTSIDE] = ",".join(hidden)
        return _over(threshold or 0.0, [shape], finding.defects)


class CoralDetector:
    """One outline per colony in a clean picture, its taxon translated into a taxonomy."""

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        taxonomy: str = DEFAULT_TAXONOMY,
        model_taxonomy: str = "",
        models: Path = MODELS,
        threads: int = 0,
    ) -> None:
        """Load the model and the way from its labels to the taxonomy's.

        Args:
            model: ``name`` or ``name@version`` in the registry.
            taxonomy: name or YAML file of the taxonomy whose taxa become labels.
            model_taxonomy: the taxonomy that the model's labels are of; empty: looked for among the shipped ones.
            models: folder with a ``models.yaml``.
            threads: CPU threads; 0 = all cores.

        Raises:
            ModelError: the model is missing or damaged.
            FunctionSetupError: the model's labels do not lead to the taxonomy.
        """
        self.model = Segmenter.of(ModelRegistry(models).load(model, threads=threads))
        self.way = way_to(self.model.labels, taxonomy, model_taxonomy, self.model.reference)
        self.labels = taxonomy_label_specs(load_taxonomy(taxonomy), "mask")
        self.reference = self.model.reference

    def detect(self, image: Picture, threshold: float | None = None) -> Detection:
        """Polygons with holes, best first."""
        shapes = []
        for number, colony in enumerate(segment(image, self.model)):
            taxon = self.way.apply(colony.label)
            if taxon is not None:
                holes = [_flat(hole) for hole in colony.holes]
                shapes.append(
                    Shape("", f"{number:04d}", Kind.POLYGON, taxon, _flat(colony.ring), holes, score=colony.score)
                )
                shapes[-1].model = self.reference
        return _over(CORALS_THRESHOLD if threshold is None else threshold, shapes, [])


class LatticeRemover:
    """Paints the strings over in a rectified picture whose nodes are known."""

    def __init__(self, topology: str = DEFAULT_LATTICE, method: str = "telea") -> None:
        """``method``: one of those of ``inference.removal``.

        Raises:
            FunctionSetupError: there is no such method.
        """
        self.topology = load_topology(topology)
        if method not in REMOVAL_MODELS:
            raise FunctionSetupError(f"no removal method {method!r}: use one of {', '.join(REMOVAL_MODELS)}")
        self.method = method
        self.reference = REMOVAL_MODELS[method]

    def clean(self, image: Picture, nodes: ArrayLike) -> Picture:
        """The picture without the strings; pixels beside them are the same bit for bit.

        Args:
            image: ``(S, S, 3)`` uint8 RGB.
            nodes: ``(n, 2)`` pixels, in the topology's order.
        """
        return remove_lattice(image, measured_mask(image, nodes, self.topology), self.method)


def way_to(labels: Sequence[str], taxonomy: str, source: str = "", who: str = "the model") -> Crosswalk:
    """How a model's labels become taxa of a taxonomy.

    Args:
        labels: the model's.
        taxonomy: name or file of the wanted taxonomy.
        source: name or file of the taxonomy that the labels are of. Empty: labels that the wanted taxonomy has stand
            for themselves; otherwise the shipped taxonomies that have all labels are tried.
        who: named in errors.

    Raises:
        FunctionSetupError: no crosswalk leads there, or a label has no place in it.
    """
    wanted = load_taxonomy(taxonomy)
    if not source and set(labels) <= set(wanted.names):
        return Crosswalk(who, wanted.name, {label: label for label in labels})
    having = [name for name in shipped_taxonomies() if set(labels) <= set(load_taxonomy(name).names)]
    for name in [source] if source else having:
        try:
            way = load_crosswalk(name, taxonomy)
        except TaxonomyError as error:
            if source:
                raise FunctionSetupError(str(error)) from error
            continue
        if missing := sorted(set(labels) - set(way.map)):
            raise FunctionSetupError(f"{who} finds {', '.join(missing)}, unknown to taxonomy {name}")
        return way
    unknown = ", ".join(sorted(set(labels) - set(wanted.names)))
    raise FunctionSetupError(
        f"{who} finds {unknown}, unknown to taxonomy {wanted.name}, and no shipped taxonomy leads there: "
        "name the taxonomy of the model's labels"
    )


def _skeleton(label: str, points: ArrayLike, score: float, model: str) -> Shape:
    return Shape("", "0000", Kind.SKELETON, label, _flat(points), score=score, model=model)


def _flat(points: ArrayLike) -> list[float]:
    return [float(v) for v in np.asarray(points, float).ravel()]


def _over(threshold: float, shapes: list[Shape], notes: Sequence[str]) -> Detection:
    kept = [shape for shape in shapes if (shape.score or 0.0) >= threshold]
    less = len(shapes) - len(kept)
    return Detection(kept, [*notes, *([f"{less} below the threshold of {threshold:g}"] if less else [])])
