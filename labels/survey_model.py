"""The fields of a survey file. Each has a description: they make the JSON Schema that editors check the file with."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from labels.lattice import DEFAULT_LATTICE
from labels.survey_base import Part, Text
from labels.survey_cvat import Cvat

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"


class Workflow(StrEnum):
    """Which gates the pictures pass: with strings, without strings, already straight and clean."""

    THREE_STAGE = "three_stage"
    TWO_STAGE = "two_stage"
    ONE_STAGE = "one_stage"


class Rule(StrEnum):
    """What outlines should not do; see ``analytics.quality.rules``."""

    NOT_A_NUMBER = "not a number"
    DUPLICATE = "duplicate"
    OVERLAP = "overlap"
    SELF_CROSSING = "self-crossing"
    SLIVER = "sliver"
    TINY = "tiny"
    OUT_OF_FRAME = "out of frame"
    HUGE = "huge"


class ReleaseFormat(StrEnum):
    """Formats of a release beside the canonical Parquet tables."""

    COCO = "coco"
    YOLO = "yolo"
    CVAT = "cvat"
    PANOPTIC = "panoptic"
    DATUMARO = "datumaro"
    MASKS = "masks"
    CORALNET = "coralnet"
    DWCA = "dwca"


def _has_placeholders(pattern: str) -> str:
    found = set(re.findall(r"{(\w*)}", pattern))
    unknown = sorted(found - {"site", "year", "date", "quadrat", "any"})
    if unknown:
        raise ValueError(
            f"unknown placeholder {{{unknown[0]}}}: use {{site}}, {{year}}, {{date}}, {{quadrat}}, {{any}}"
        )
    if not {"site", "quadrat"} <= found or not {"year", "date"} & found:
        raise ValueError("must hold {site}, {quadrat} and one of {year}, {date}")
    return pattern


class Photos(Part):
    """Where the photos lie, and when an upload counts as complete."""

    folder: Text = Field(
        description="Folder with the photos: a path (relative to the folder of the survey files) or s3://bucket/prefix."
    )
    ready: Literal["marker", "settled"] = Field(
        "settled",
        description="When the upload is complete: 'settled' = no file changed for settle_minutes; "
        "'marker' = a file named _READY lies in the folder.",
    )
    settle_minutes: float = Field(
        10, ge=0, le=10080, description="Minutes without a change after which an upload counts as complete."
    )


class Frame(Part):
    """The frame on the reef, and the picture that is made of it."""

    side_cm: float = Field(100, gt=0, le=1000, description="Inner side of the square frame, in centimetres.")
    rectified_px: int = Field(1920, ge=256, le=4096, description="Side of the straightened picture, in pixels.")


class Lattice(Part):
    """The strings in the frame (workflow three_stage)."""

    topology: Text = Field(
        DEFAULT_LATTICE, description="Name of a shipped lattice (criobe-117, grid-7x7, cross) or path of a YAML file."
    )
    string_width_px: float | None = Field(
        None, gt=0, le=200, description="Width of the strings in the straightened picture, in pixels; empty = measured."
    )


class Models(Part):
    """The models that propose labels."""

    corners: Text = Field(
        "auto",
        description="Finder of the frame's corners: 'auto' = the registry's model for it, or geometry alone "
        "when there is none; 'opencv' = geometry alone; or a model's 'name' or 'name@version'.",
    )
    lattice: Text = Field(
        "auto",
        description="Finder of the strings' crossings: 'auto', 'opencv', or a model's 'name' or 'name@version', as for "
        "corners.",
    )
    corals: Text = Field(
        "demo-corals", description="Coral segmentation model, as 'name' (the promoted version) or 'name@version'."
    )


class Segmentation(Part):
    """How the coral model is asked."""

    min_score: float = Field(
        0.25, ge=0, le=1, description="Colonies that the model is less sure of are not proposed (0 to 1)."
    )
    min_colony_cm: float = Field(
        1.4, ge=0, le=100, description="Diameter of the smallest colony that is proposed, in centimetres."
    )
    tile_px: int | None = Field(
        None,
        ge=128,
        le=8192,
        description="Look at squares of this side, in pixels of the clean picture, one after the other: finds smaller "
        "colonies, takes longer. Empty = the whole picture at once.",
    )
    tile_overlap: float = Field(
        0.2, ge=0.05, le=0.5, description="Share of a square that its neighbour sees too; colonies are joined there."
    )
    iou: float = Field(
        0.6, gt=0, le=1, description="Of two proposals that overlap by more than this the surer one stays (0 to 1)."
    )
    flip: bool = Field(False, description="Look at the mirrored picture too: a little better, takes twice as long.")


class Removal(Part):
    """How the strings are taken out of the picture (workflow three_stage)."""

    method: Literal["learned", "telea", "ns", "lama"] = Field(
        "learned",
        description="'learned' = a small network made for strings; 'telea', 'ns' = OpenCV inpainting (fast marching, "
        "Navier-Stokes); 'lama' = the LaMa file you supply.",
    )
    radius: int = Field(
        3, ge=1, le=50, description="Inpainting radius of 'telea' and 'ns', in pixels of the straightened picture."
    )
    dilation_px: float = Field(
        0, ge=0, le=50, description="How much wider than the string the mask is on each side, in pixels, beyond blur."
    )
    tape: Literal["none", "paint", "exclude"] = Field(
        "none",
        description="A survey tape across the picture: 'none' = there is none; 'paint' = painted over; 'exclude' = "
        "left visible. Either way its pixels stay out of cover.",
    )
    model: str | None = Field(
        None,
        description="Model of the registry for 'learned' and 'lama', as 'name' (the promoted version) or "
        "'name@version'; empty = string-painter for 'learned', weights and sha256 for 'lama'.",
    )
    weights: str | None = Field(None, description="Path of the LaMa file (TorchScript, big-lama.pt), for 'lama'.")
    sha256: str | None = Field(
        None, pattern="^[0-9a-fA-F]{64}$", description="sha256 of the LaMa file; another file is refused."
    )


class GatePolicy(Part):
    """Which pictures a person sees at a gate."""

    policy: Literal["always", "when_doubtful", "never"] = Field(
        "always",
        description="'always' = every picture goes to CVAT; 'when_doubtful' = those that fail a self-check or score "
        "under min_score; 'never' = none.",
    )
    min_score: float = Field(
        0.9, ge=0, le=1, description="With 'when_doubtful': pictures whose proposal scores lower go to CVAT (0 to 1)."
    )


class Gates(Part):
    """The points where people may review."""

    corners: GatePolicy = Field(default_factory=GatePolicy, description="Gate 1: the four corners of the frame.")
    lattice: GatePolicy = Field(default_factory=GatePolicy, description="Gate 2: the crossings of the strings.")
    corals: GatePolicy = Field(default_factory=GatePolicy, description="Gate 3: the outlines of the colonies.")


class Quality(Part):
    """What a batch must reach before it can enter a release."""

    max_failed_share: float = Field(
        0.2, ge=0, le=1, description="Largest share of a batch's pictures that may end without labels (0 to 1)."
    )
    forbidden: list[Rule] = Field(
        default_factory=lambda: [Rule.NOT_A_NUMBER, Rule.DUPLICATE],
        description="Rules that no reviewed outline may break: 'not a number', 'duplicate', 'overlap', "
        "'self-crossing', 'sliver', 'tiny', 'out of frame', 'huge'.",
    )
    min_accuracy: float | None = Field(
        None, ge=0, le=1, description="Least accuracy against the ground-truth job; not measured = not reached."
    )
    min_mean_iou: float | None = Field(
        None, ge=0, le=1, description="Least mean IoU against the ground-truth job; not measured = not reached."
    )


class Person(Part):
    """Somebody to be named with the data."""

    family: Text = Field(description="Family name.")
    given: str | None = Field(None, description="Given names.")
    organization: str | None = Field(None, description="Institute.")
    email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$", description="E-mail address; published as it is.")
    orcid: str | None = Field(
        None, pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$", description="ORCID iD, as 0000-0002-1825-0097."
    )

    @property
    def name(self) -> str:
        """For citations."""
        return f"{self.family}, {self.given}" if self.given else self.family


class Release(Part):
    """How releases of the survey are made."""

    formats: list[ReleaseFormat] = Field(
        default_factory=lambda: [ReleaseFormat.COCO, ReleaseFormat.YOLO, ReleaseFormat.CVAT],
        description="Formats beside the Parquet tables: 'coco' (instances, keypoints), 'yolo' (seg, pose), 'cvat' "
        "(XML), 'panoptic', 'datumaro', 'masks' (PNG), 'coralnet' (points), 'dwca' (OBIS, GBIF).",
    )
    splits: Literal["quadrat", "subset"] = Field(
        "quadrat",
        description="What puts pictures into train, val and test: 'quadrat' = the hash of the fixed quadrat; "
        "'subset' = cvat.subset of the survey.",
    )
    creators: list[Person] = Field(
        default_factory=list, description="Who made the data, in the order of the citation; for OBIS and GBIF."
    )
    contact: Person | None = Field(
        None, description="Who answers questions about the data; empty = the first of the creators."
    )


class Names(Part):
    """How site, year and quadrat are read from file names."""

    pattern: Annotated[str, AfterValidator(_has_placeholders)] = Field(
        "{site}_{year}_{quadrat}",
        description="What file names (without extension) look like. {site}, {quadrat} and one of {year}, {date} "
        "(YYYYMMDD); {any} = anything. The default also takes {site}_{quadrat}_{year}.",
    )
    sites: dict[str, str] = Field(
        default_factory=dict, description="Site codes as written in file names, and the full name of each site."
    )


class SurveyConfig(Part):
    """A survey: one site-and-date campaign of photo quadrats, and how its pictures become data."""

    name: str = Field(
        pattern=NAME_PATTERN,
        description="Short name, part of every batch key: 1 to 40 lower-case letters, digits and dashes.",
    )
    title: str = Field("", description="Title for people and for the citation of releases.")
    photos: Photos = Field(description="Where the photos lie.")
    batch_size: int = Field(250, ge=1, le=500, description="Photos per batch, the unit of work and of CVAT tasks.")
    workflow: Workflow = Field(
        Workflow.THREE_STAGE,
        description="'three_stage' = corners, strings, corals; 'two_stage' = a frame without strings; 'one_stage' = "
        "pictures that are already straight and clean.",
    )
    frame: Frame = Field(default_factory=Frame, description="The frame on the reef.")
    lattice: Lattice = Field(default_factory=Lattice, description="The strings in the frame.")
    taxonomy: Text = Field(
        "criobe-finegrained",
        description="Name of a shipped taxonomy (criobe-finegrained, criobe-extended, criobe-families, agnostic, "
        "demo-reef) or path of a YAML file.",
    )
    models: Models = Field(default_factory=Models, description="The models that propose labels.")
    segmentation: Segmentation = Field(default_factory=Segmentation, description="How the coral model is asked.")
    removal: Removal = Field(default_factory=Removal, description="How the strings are taken out.")
    gates: Gates = Field(default_factory=Gates, description="The points where people may review.")
    cvat: Cvat = Field(default_factory=Cvat, description="How the work appears in CVAT.")
    quality: Quality = Field(
        default_factory=Quality, description="What a batch must reach before it can enter a release."
    )
    names: Names = Field(default_factory=Names, description="How file names are read.")
    release: Release = Field(default_factory=Release, description="How releases of the survey are made.")
    license: Text = Field("CC-BY-4.0", description="Licence of the published data, as an SPDX identifier.")
    citation: str | None = Field(
        None, description="How releases of this survey are to be cited; empty = made of release.creators and title."
    )
    allow_unsigned_webhooks: bool = Field(
        False, description="Accept webhooks without a signature. Only for development; never where others can reach it."
    )


def survey_json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of survey files, for editors."""
    schema = SurveyConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reefline survey file", **schema}
