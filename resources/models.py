"""An installation's model registry: the shipped models, and on top of them its own, kept in the object store.

::

    models/cards/<name>/<version>.yaml      an entry of models.yaml; never changed
    models/weights/<sha256>                 a weights file by its content; never changed
    models/history/<name>/<number>.json     what happened: added, promoted, rolled back; by whom, when, why

The history is the state: which version is promoted follows from reading it in order. An entry takes the next number by
put-if-absent, so of two people who promote at once one comes first and the other decides again, and every worker that
shares the store sees the same. Nothing is ever deleted.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from inference.engines import ENGINES, EngineError, open_engine
from inference.registry import MODELS, Model, ModelCard, ModelError, ModelRegistry, verify
from inference.registry.card import parse_card
from inference.registry.registry import read_beside
from resources.downloads import Downloader, DownloadError
from resources.object_store import MissingObjectError, ObjectStore

MAX_WEIGHTS = 2 * 2**30
"""Largest weights file that is downloaded when the card states no size."""

ANY = "*"
"""Whatever version is promoted; no version is called so."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a model name.

    Attributes:
        version: added, or promoted from now on (also by a rollback).
        previous: the promoted version before; ``None``: there was none.
        why: the rule's verdict, or the reason a person gave.
        forced: promoted by a person against or without the rule.
        metrics: the figures it was decided on.
    """

    number: int
    name: str
    action: Literal["add", "promote", "rollback"]
    version: str | None
    previous: str | None
    who: str
    when: str
    why: str = ""
    forced: bool = False
    metrics: Mapping[str, Any] = field(default_factory=dict)


class InstalledModels(ModelRegistry):
    """The shipped models and the installation's own; safe for many workers."""

    def __init__(self, store: ObjectStore, folder: Path = MODELS, downloader: Downloader | None = None) -> None:
        """Keep what is added in ``store``; ``folder`` holds the shipped models."""
        super().__init__(folder)
        self.store = store
        self._download = downloader or Downloader()
        self._own: dict[str, ModelCard] = {}  # cards never change, so each is read once

    def cards(self) -> list[ModelCard]:
        """All models, shipped ones first; an own model replaces a shipped one of the same name and version."""
        own = [self._card_at(key) for key in self.store.keys("models/cards/")]
        taken = {card.versioned for card in own}
        return [card for card in super().cards() if card.versioned not in taken] + own

    def own(self) -> list[ModelCard]:
        """The installation's own models."""
        return [self._card_at(key) for key in self.store.keys("models/cards/")]

    def promoted(self, name: str) -> str | None:
        """The version that a name alone means: the one promoted last; without any promotion the shipped one."""
        return self._stack(self.history(name), name)[-1]

    def history(self, name: str) -> list[Event]:
        """What happened to a name, oldest first."""
        return [Event(**json.loads(self.store.get(key))) for key in self.store.keys(f"models/history/{name}/")]

    def add(self, card: ModelCard, folder: Path, who: str, why: str = "") -> ModelCard:
        """Fetch a model's weights once, verify them, try them out, and keep both. The same again is no mistake.

        Args:
            card: its ``file`` lies in ``folder``, or is an address; see :meth:`prepare` for cards without a hash.
            folder: where the entry was read.
            who: for the history.
            why: for the history.

        Raises:
            ModelError: wrong or cut-off file, a file that runs code, an unknown engine, a network that does not fit its
                card, or a version that exists.
        """
        known = next((c for c in self.cards() if c.versioned == card.versioned), None)
        if known is not None and known.sha256 != card.sha256:
            raise ModelError(f"{card.versioned} exists with other weights ({known.reference}): give it a new version")
        data = verify(card, self._get(card, folder))
        _try_to_open(card, data)
        kept = dataclasses.replace(card, size=len(data))
        self.store.put_if_absent(_weights_key(card.sha256), data)
        entry = yaml.safe_dump({"models": [kept.entry()]}, sort_keys=False, allow_unicode=True)
        if self.store.put_if_absent(_card_key(card), entry.encode()):
            self._append(card.name, lambda events: self._event(events, "add", card.name, card.version, who, why=why))
        return kept

    def promote(
        self,
        versioned: str,
        who: str,
        why: str,
        *,
        metrics: Mapping[str, Any] | None = None,
        forced: bool = False,
        over: str | None = ANY,
    ) -> Event:
        """Make ``name@version`` the one its name means. Whether it should be is ``assets.common.evaluation``'s matter.

        Args:
            versioned: the model.
            who: for the history.
            why: for the history.
            metrics: what it was decided on.
            forced: whether a person decided against or without the rule.
            over: the promoted version that it was found better than; when another one is by now, nothing happens.

        Raises:
            ModelError: it does not exist, is promoted already, or its weights are not in order.
        """
        card = self.card(versioned)
        self.weights(card)  # never promote what cannot be loaded

        def decide(events: Sequence[Event]) -> Event:
            now = self._stack(events, card.name)[-1]
            if now == card.version:
                raise ModelError(f"{card.versioned} is promoted already")
            if over not in (ANY, now):
                raise ModelError(f"{card.name}@{now} has been promoted meanwhile: measure {card.versioned} against it")
            return self._event(
                events, "promote", card.name, card.version, who, why=why, forced=forced, metrics=dict(metrics or {})
            )

        return self._append(card.name, decide)

    def rollback(self, name: str, who: str, why: str = "") -> Event:
        """Undo the last promotion of a name that has not been undone yet.

        Raises:
            ModelError: there is none.
        """

        def decide(events: Sequence[Event]) -> Event:
            stack = self._stack(events, name)
            if len(stack) < 2:
                raise ModelError(f"no promotion of {name!r} to roll back: 'reefline models list' shows what there is")
            return self._event(events, "rollback", name, stack[-2], who, why=why)

        return self._append(name, decide)

    def _stack(self, events: Sequence[Event], name: str) -> list[str | None]:
        """Promoted versions, the one in force last; the shipped one (or ``None``) at the bottom."""
        shipped = super().cards()
        stack: list[str | None] = [next((card.version for card in reversed(shipped) if card.name == name), None)]
        for event in events:
            if event.action == "promote":
                stack.append(event.version)
            elif event.action == "rollback" and len(stack) > 1:
                stack.pop()
        return stack

    def _event(
        self, events: Sequence[Event], action: Any, name: str, version: str | None, who: str, **more: Any
    ) -> Event:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        previous = self._stack(events, name)[-1]
        return Event(events[-1].number + 1 if events else 1, name, action, version, previous, who, now, **more)

    def _append(self, name: str, decide: Callable[[Sequence[Event]], Event]) -> Event:
        while True:
            event = decide(self.history(name))
            data = json.dumps(asdict(event), indent=1).encode()
            if self.store.put_if_absent(f"models/history/{name}/{event.number:06d}.json", data):
                return event

    def _card_at(self, key: str) -> ModelCard:
        if key not in self._own:
            try:
                [entry] = yaml.safe_load(self.store.get(key))["models"]
            except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
                raise ModelError(f"{self.store.uri(key)} cannot be read as a model card: restore it") from error
            self._own[key] = parse_card(entry, self.store.uri(key))
        return self._own[key]

    def _read(self, card: ModelCard) -> bytes:
        try:
            return self.store.get(_weights_key(card.sha256))
        except MissingObjectError as error:
            if self.store.exists(_card_key(card)):
                raise ModelError(f"weights of {card.reference} are gone from the object store: {error}") from error
        data = self._get(card, self.folder)
        if card.remote:  # kept by hash: the other workers, and the next start, need no network
            self.store.put_if_absent(_weights_key(card.sha256), verify(card, data))
        return data

    def _get(self, card: ModelCard, folder: Path) -> bytes:
        if not card.remote:
            return read_beside(folder, card)
        try:
            return self._download.fetch(card.file, card.size or MAX_WEIGHTS)
        except DownloadError as error:
            raise ModelError(f"weights of {card.reference}: {error}") from error


def read_entries(path: Path) -> list[ModelCard]:
    """The entries of a file that a person wrote: one entry, or a ``models.yaml`` with several.

    The hash and size of a file beside it may be left out; those of an address must be stated.

    Raises:
        ModelError: the file or an entry is wrong.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    entries = tree["models"] if isinstance(tree, dict) and isinstance(tree.get("models"), list) else [tree]
    return [parse_card(_hashed(entry, path.parent), path.name) for entry in entries]


def _hashed(entry: Any, folder: Path) -> Any:
    if not isinstance(entry, dict) or entry.get("sha256") or not isinstance(entry.get("file"), str):
        return entry
    if "://" in entry["file"]:
        raise ModelError(f"{entry['file']}: state its sha256 in the entry, so that no other file is ever taken for it")
    path = folder / entry["file"]
    if not path.is_file():
        raise ModelError(f"{path} does not exist: give the weights' path, relative to the entry's file")
    data = path.read_bytes()
    return {**entry, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _try_to_open(card: ModelCard, data: bytes) -> None:
    if card.engine not in ENGINES:
        raise ModelError(f"{card.versioned} asks for engine {card.engine!r}: use one of {', '.join(ENGINES)}")
    engine = open_engine(card.engine, data, threads=1, trusted=card.trusted)
    try:
        engine.load()
    except EngineError as error:
        what = " ".join(str(error).split())
        raise ModelError(f"{card.versioned} cannot be opened by {card.engine}; was the file cut off? {what}") from error
    from inference.predictors import try_out  # brings all of segmentation, which most commands do without

    try_out(Model(card, engine))


def _card_key(card: ModelCard) -> str:
    return f"models/cards/{card.name}/{card.version}.yaml"


def _weights_key(sha256: str) -> str:
    return f"models/weights/{sha256}"
