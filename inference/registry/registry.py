"""The models of a folder: cards from its ``models.yaml``, weights verified at every load."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import yaml

from inference.engines import Engine, open_engine
from inference.registry.card import ModelCard, ModelError, parse_card
from inference.registry.weights import verify

MODELS = Path(__file__).parents[1] / "models"


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
    """The models of a folder with a ``models.yaml``.

    An installation's registry (``resources.models``) adds its own cards, another place for weights, and promotions.
    """

    def __init__(self, folder: Path = MODELS) -> None:
        """Read ``folder/models.yaml`` on first use."""
        self.folder = folder
        self._loaded: dict[tuple[str, int], Model] = {}
        self._lock = threading.Lock()

    def cards(self) -> list[ModelCard]:
        """All models, every version.

        Raises:
            ModelError: ``models.yaml`` is missing or wrong.
        """
        return read_cards(self.folder / "models.yaml")

    def promoted(self, name: str) -> str | None:
        """The version that a name alone means: of a folder's models the one listed last. ``None``: there is none."""
        versions = [card.version for card in self.cards() if card.name == name]
        return versions[-1] if versions else None

    def card(self, name: str) -> ModelCard:
        """The model of this ``name`` (its promoted version), or of ``name@version``.

        Raises:
            ModelError: there is none.
        """
        wanted, _, version = name.partition("@")
        cards = self.cards()
        mine = [card for card in cards if card.name == wanted]
        version = version or (self.promoted(wanted) or "" if mine else "")
        found = [card for card in mine if card.version == version]
        if found:
            return found[-1]
        if mine and not version:
            ways = ", ".join(card.versioned for card in mine)
            raise ModelError(f"no version of {wanted} is promoted: 'reefline models promote' one of {ways}, or pin it")
        known = ", ".join(card.versioned for card in cards) or "none"
        raise ModelError(f"no model {name!r} in the registry (it has: {known})")

    def reference(self, name: str) -> str:
        """What is written on labels of this model."""
        return self.card(name).reference

    def weights(self, card: ModelCard) -> bytes:
        """The bytes of a model's file, verified.

        Raises:
            ModelError: it is missing, is not the registered one, or is not to be opened.
        """
        return verify(card, self._read(card))

    def load(self, name: str, threads: int = 0) -> Model:
        """The model, verified; opened once per process.

        Raises:
            ModelError: it does not exist, its file is missing, or the file is not the registered one.
        """
        card = self.card(name)
        with self._lock:
            if (card.reference, threads) not in self._loaded:
                half = bool(card.options.get("half"))
                engine = open_engine(card.engine, self.weights(card), threads=threads, half=half, trusted=card.trusted)
                self._loaded[card.reference, threads] = Model(card, engine)
            return self._loaded[card.reference, threads]

    def _read(self, card: ModelCard) -> bytes:
        if card.remote:
            raise ModelError(
                f"weights of {card.reference} lie at {card.file}: only an installation's registry gets them"
            )
        return read_beside(self.folder, card)


def read_cards(path: Path) -> list[ModelCard]:
    """The cards of a ``models.yaml``.

    Raises:
        ModelError: it is missing or wrong.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        return [parse_card(entry, path.name) for entry in entries]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ModelError) as error:
        what = " ".join(str(error).split())
        raise ModelError(f"{path} cannot be read as a model registry: {what}") from error


def read_beside(folder: Path, card: ModelCard) -> bytes:
    """The weights file of a card that lies beside its ``models.yaml``, not yet verified.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return (folder / card.file).read_bytes()
    except OSError as error:
        raise ModelError(f"weights of {card.reference} cannot be read: {error}") from error
