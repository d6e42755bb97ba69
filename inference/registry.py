"""The model registry: which models exist, and the proof that a weights file is the one that was measured.

``inference/models/models.yaml`` names every shipped model with its hash, labels, licence and figures. A file whose
hash differs is refused, so a label's model reference always says exactly which weights made it.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from inference.engines import Engine, open_engine

MODELS = Path(__file__).with_name("models")


class ModelError(ValueError):
    """A model cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model. ``input_px``: side of the square it looks at; ``file``: beside ``models.yaml``."""

    name: str
    version: str
    task: str
    engine: str
    file: str
    sha256: str
    labels: tuple[str, ...]
    input_px: int
    licence: str
    trained_on: str
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """``name@version#sha256[:12]``, written on every label the model makes."""
        return f"{self.name}@{self.version}#{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model, ready to use: what is known of it, and the engine that runs it."""

    card: ModelCard
    engine: Engine

    @property
    def reference(self) -> str:
        """``name@version#sha256[:12]``."""
        return self.card.reference


class ModelRegistry:
    """The models of a folder with a ``models.yaml``."""

    def __init__(self, folder: Path = MODELS) -> None:
        """Read ``folder/models.yaml`` on first use."""
        self.folder = folder
        self._loaded: dict[tuple[str, int], Model] = {}
        self._lock = threading.Lock()

    def cards(self) -> list[ModelCard]:
        """All models.

        Raises:
            ModelError: ``models.yaml`` is missing or wrong.
        """
        path = self.folder / "models.yaml"
        try:
            entries: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
            return [
                ModelCard(**{**entry, "version": str(entry["version"]), "labels": tuple(entry["labels"])})
                for entry in entries
            ]
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ModelError(f"{path} cannot be read as a model registry: {error}") from error

    def card(self, name: str) -> ModelCard:
        """The model of this name, or of ``name@version``.

        Raises:
            ModelError: there is none.
        """
        wanted, _, version = name.partition("@")
        found = [card for card in self.cards() if card.name == wanted and version in ("", card.version)]
        if not found:
            known = ", ".join(f"{card.name}@{card.version}" for card in self.cards()) or "none"
            raise ModelError(f"no model {name!r} in the registry (it has: {known})")
        return found[-1]

    def reference(self, name: str) -> str:
        """What is written on labels of this model."""
        return self.card(name).reference

    def load(self, name: str, threads: int = 0) -> Model:
        """The model, verified; opened once per process.

        Raises:
            ModelError: it does not exist, its file is missing, or the file is not the registered one.
        """
        card = self.card(name)
        with self._lock:
            if (card.reference, threads) not in self._loaded:
                engine = open_engine(card.engine, self._verified(card), threads=threads)
                self._loaded[card.reference, threads] = Model(card, engine)
            return self._loaded[card.reference, threads]

    def _verified(self, card: ModelCard) -> bytes:
        path = self.folder / card.file
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"weights of {card.reference} cannot be read: {error}") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != card.sha256:
            raise ModelError(
                f"{path} is not the registered file of {card.name}@{card.version}: its sha256 is {digest[:12]}..., "
                f"expected {card.sha256[:12]}...; restore the file, or register it under a new version"
            )
        return data
