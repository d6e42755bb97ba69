"""Which functions there are, by the names that QUADRATSEG's sites and CVAT's page call them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.nuclio.answers import DetectorService, RemovalService, SamService, Service
from deploy.nuclio.response import MODEL_ATTRIBUTE
from deploy.nuclio.settings import FunctionSettings
from inference.functions.detectors import (
    CORNERS_LABEL,
    LATTICE_LABEL,
    CoralDetector,
    CornerDetector,
    FunctionSetupError,
    LatticeDetector,
    LatticeRemover,
)
from inference.functions.sam import SamEncoder
from labels.formats.cvat import corner_label_spec, lattice_label_spec, taxonomy_label_specs
from labels.lattice import load_topology
from labels.taxonomy import load_taxonomy

FOLDER = Path(__file__).parent
Labels = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    Attributes:
        name: in Nuclio and CVAT.
        kind: ``detector`` or ``interactor``; empty for one that CVAT does not call itself.
        title: what CVAT's user reads in the list of models.
        make: loads it.
        labels: the CVAT labels that it may answer with.
        defaults: variables of its container that differ from the settings' defaults.
        gpu: whether a GPU makes it faster.
        annotations: more of them for CVAT.
    """

    name: str
    kind: str
    title: str
    description: str
    make: Callable[[FunctionSettings], Service]
    labels: Callable[[FunctionSettings], Labels] = lambda _: []
    defaults: dict[str, str] = field(default_factory=dict)
    gpu: bool = False
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """Nuclio project. CVAT lists all of ``cvat`` and logs an error for each that it does not understand."""
        return "cvat" if self.kind else "reefline"


def _corners(settings: FunctionSettings) -> Service:
    return DetectorService(CornerDetector(settings.label or CORNERS_LABEL), settings)


def _lattice(settings: FunctionSettings) -> Service:
    return DetectorService(LatticeDetector(settings.lattice, settings.label or LATTICE_LABEL), settings)


def _corals(settings: FunctionSettings) -> Service:
    detector = CoralDetector(
        settings.model, settings.taxonomy, settings.model_taxonomy, Path(settings.models), settings.threads
    )
    return DetectorService(detector, settings)


def _removal(settings: FunctionSettings) -> Service:
    return RemovalService(LatticeRemover(settings.lattice, settings.removal), settings)


def _sam(settings: FunctionSettings) -> Service:
    return SamService(SamEncoder(settings.sam_weights, settings.sam_sha256, settings.threads), settings)


def _coral_labels(settings: FunctionSettings) -> Labels:
    return taxonomy_label_specs(load_taxonomy(settings.taxonomy), "mask")


def _coral_function(name: str, title: str, taxonomy: str) -> Function:
    text = f"Coral colonies as outlines with holes, taxa of {taxonomy}; the model is REEFLINE_MODEL"
    defaults = {"REEFLINE_TAXONOMY": taxonomy, "REEFLINE_MODEL": FunctionSettings().model}
    return Function(name, "detector", title, text, _corals, _coral_labels, defaults, gpu=True)


FUNCTIONS = {
    function.name: function
    for function in (
        Function(
            "pth-yolo-gridcorners",
            "detector",
            "Quadrat corners",
            "The four inner corners of the frame in a raw photo",
            _corners,
            lambda settings: [corner_label_spec(settings.label or CORNERS_LABEL)],
        ),
        Function(
            "pth-yolo-gridpose",
            "detector",
            "Quadrat lattice",
            "The crossings of the strings in a rectified picture",
            _lattice,
            lambda s: [lattice_label_spec(s.label or LATTICE_LABEL, load_topology(s.lattice))],
        ),
        Function(
            "pth-lama",
            "",
            "Lattice removal",
            "Paints the strings over in a rectified picture; called by the pipeline's users, not by CVAT",
            _removal,
            gpu=True,
        ),
        # 16 classes, and 10 classes (with background 11), as QUADRATSEG's two models have them.
        _coral_function("pth-yolo-coralsegv4", "Corals, CRIOBE finegrained", "criobe-finegrained"),
        _coral_function("pth-yolo-coralsegbanggai", "Corals, Banggai extended", "criobe-extended"),
        Function(
            "pth-facebookresearch-sam-vit-h",
            "interactor",
            "Segment Anything",
            "Interactive outlines: the picture's embedding, which CVAT's page decodes",
            _sam,
            # The weights are the user's: a volume, and the hash of the file in it.
            defaults={"REEFLINE_SAM_WEIGHTS": "/opt/weights/sam_vit_h_encoder.onnx", "REEFLINE_SAM_SHA256": ""},
            gpu=True,
            annotations={
                "version": "2",
                "min_pos_points": "1",
                "min_neg_points": "0",
                "help_message": "Click inside a colony; right clicks mark what does not belong to it",
            },
        ),
    )
}


def function_of(name: str) -> Function:
    """The function of this name.

    Raises:
        FunctionSetupError: there is none.
    """
    if name not in FUNCTIONS:
        raise FunctionSetupError(f"no function {name!r}: use one of {', '.join(FUNCTIONS)}")
    return FUNCTIONS[name]


def with_defaults(function: Function, settings: FunctionSettings) -> FunctionSettings:
    """Settings in which the function's own taxonomy stands where none was stated."""
    return replace(settings, taxonomy=settings.taxonomy or function.defaults.get("REEFLINE_TAXONOMY", ""))


def declared_labels(function: Function, settings: FunctionSettings) -> Labels:
    """The labels as CVAT reads them from the function: numbered attributes are not needed, colours neither.

    Each outline and skeleton has ``confidence``, and ``model`` for projects whose labels want to keep it.
    """
    labels = function.labels(with_defaults(function, settings))
    model = {"name": MODEL_ATTRIBUTE, "input_type": "text", "mutable": False, "values": [""]}
    return [{**label, "attributes": [*label["attributes"], model]} for label in labels]
