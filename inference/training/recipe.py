"""Training recipes: every choice of a training run in one checked YAML file (``recipes/``), with bounds."""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class RecipeError(ValueError):
    """A recipe is missing or wrong; the message names the field."""


class Recipe(BaseModel):
    """How a coral instance model is trained. Augmentations as ultralytics names them; 0 turns one off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str = Field(
        pattern=r"^yolo(11|26|v8)[nsmlx]-seg\.yaml$",
        description="Network of ultralytics by its own file: yolo11n-seg.yaml ... yolo26x-seg.yaml. Trained from zero.",
    )
    epochs: int = Field(ge=1, le=2000, description="Times through the training pictures.")
    patience: int = Field(50, ge=0, le=2000, description="Stop after this many epochs without gain; 0 = never.")
    image_px: int = Field(ge=64, le=2048, multiple_of=32, description="Side of the pictures the network sees, pixels.")
    batch: int = Field(ge=1, le=256, description="Pictures per step.")
    step_pictures: int = Field(
        64,
        ge=1,
        le=1024,
        description="Pictures behind one change of the weights; few for small releases.",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Of weights, order and augmentation.")
    optimizer: Literal["auto", "SGD", "AdamW", "MuSGD"] = Field("auto", description="Of ultralytics.")
    learning_rate: float = Field(0.01, gt=0, le=1, description="At the start; 'auto' chooses its own.")
    cos_lr: bool = Field(True, description="Learning rate falls as a cosine.")
    warmup_epochs: float = Field(3.0, ge=0, le=100, description="Epochs of rising learning rate.")
    hsv_h: float = Field(0.01, ge=0, le=1, description="Hue; small: colour tells taxa apart.")
    hsv_s: float = Field(0.4, ge=0, le=1, description="Saturation: depth and turbidity.")
    hsv_v: float = Field(0.4, ge=0, le=1, description="Brightness.")
    degrees: float = Field(180.0, ge=0, le=180, description="Turning; a quadrat has no up.")
    scale: float = Field(0.4, ge=0, le=0.95, description="Zooming in and out.")
    flipud: float = Field(0.5, ge=0, le=1, description="Share mirrored upside down.")
    fliplr: float = Field(0.5, ge=0, le=1, description="Share mirrored left to right.")
    mosaic: float = Field(0.5, ge=0, le=1, description="Share pieced together from four pictures.")
    close_mosaic: int = Field(10, ge=0, le=2000, description="Last epochs without mosaic.")
    copy_paste: float = Field(0.0, ge=0, le=1, description="Share with colonies copied from another picture.")
    licence: str = Field("AGPL-3.0-only", description="Of the weights; ultralytics claims its own for what it trains.")

    def fingerprint(self, *more: str) -> str:
        """12 hex digits that change with any choice, and with ``more``."""
        plain = json.dumps([self.model_dump(), *more], sort_keys=True)
        return hashlib.sha256(plain.encode()).hexdigest()[:12]


def shipped_recipes() -> list[str]:
    """Names of the shipped recipes."""
    folder = resources.files("inference") / "training" / "recipes"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def load_recipe(name_or_path: str, **changes: Any) -> Recipe:
    """A shipped recipe by name or one from a YAML file by path, with some fields changed (``None`` changes nothing).

    Raises:
        RecipeError: there is none, or a field is wrong.
    """
    if name_or_path in shipped_recipes():
        text = (resources.files("inference") / "training" / "recipes" / f"{name_or_path}.yaml").read_text("utf-8")
    elif Path(name_or_path).suffix in {".yaml", ".yml"} and Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        known = ", ".join(shipped_recipes())
        raise RecipeError(f"no training recipe {name_or_path!r}: use one of {known}, or the path of a YAML file")
    try:
        tree = yaml.safe_load(text) or {}
        return Recipe(**{**tree, **{key: value for key, value in changes.items() if value is not None}})
    except ValidationError as error:
        first = error.errors()[0]
        raise RecipeError(f"recipe {name_or_path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (yaml.YAMLError, TypeError) as error:
        raise RecipeError(f"recipe {name_or_path} is no list of 'field: value' lines") from error
