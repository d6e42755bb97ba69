"""What commands share: the settings in force, and the error for a mistake of the user."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import typer

from resources.bundle import make_models
from resources.models import InstalledModels
from resources.object_store import open_store
from resources.settings import Settings, load_settings
from resources.surveys import SurveyCatalog
from resources.tables import BatchTables


class UsageProblem(ValueError):
    """The command cannot do what was asked; the message says what to do instead."""


@dataclass
class State:
    """Settings and what is made from them, on first use."""

    env: Path | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings in force."""
        return load_settings(self.env)

    @property
    def tables(self) -> BatchTables:
        """Tables of the installation."""
        return BatchTables(open_store(self.settings.store))

    @property
    def models(self) -> InstalledModels:
        """Models of the installation."""
        return make_models(self.settings, open_store(self.settings.store))

    @property
    def surveys(self) -> SurveyCatalog:
        """Survey files of the installation."""
        return SurveyCatalog(self.settings.surveys_dir)


def state(context: typer.Context) -> State:
    """The state of a command."""
    found = context.find_object(State)
    return found or State()
