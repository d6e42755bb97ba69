"""A sample survey: fixed quadrats at several sites through several years, whose colonies grow, die and settle."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inference.scenes.frame import FrameStyle
from inference.scenes.reef import Colony
from inference.scenes.scene import Scene, add_colony, random_colonies, render_quadrat

# The first two have quadrats in all three splits of a release, which go by hash.
SITES = ("Tiahura", "Linareva", "Vaipahu", "Haapiti")
FIRST_YEAR = 2021


@dataclass(frozen=True, slots=True)
class PlannedPhoto:
    """A photo before it is painted; :meth:`paint` needs nothing else, so photos can be painted side by side."""

    file_name: str
    seed: int
    difficulty: float
    style: FrameStyle
    colonies: tuple[Colony, ...]
    bottom_seed: int
    year: int

    def paint(self) -> Scene:
        """The scene."""
        return render_quadrat(
            self.seed,
            difficulty=self.difficulty,
            style=self.style,
            colonies=self.colonies,
            bottom_seed=self.bottom_seed,
            year=self.year,
        )


def plan_survey(
    seed: int, sites: int = 2, years: int = 3, quadrats: int = 4, difficulty: float = 0.4
) -> list[PlannedPhoto]:
    """Every photo of a sample survey, site by site, quadrat by quadrat, year by year.

    File names are ``{site}_{year}_{quadrat:02d}.jpg``. A quadrat keeps its bottom and its colonies; pose, light and
    water change with every photo.
    """
    style = FrameStyle.random(np.random.default_rng((seed, 0)))
    photos = []
    for site in range(sites):
        for quadrat in range(1, quadrats + 1):
            rng = np.random.default_rng((seed, site, quadrat))
            bottom = int(rng.integers(2**31))
            colonies = random_colonies(rng)
            for year in range(years):
                if year:
                    colonies = a_year_later(rng, colonies)
                name = f"{SITES[site % len(SITES)]}{site // len(SITES) or ''}_{FIRST_YEAR + year}_{quadrat:02d}.jpg"
                shot = int(rng.integers(2**31))
                photos.append(PlannedPhoto(name, shot, difficulty, style, tuple(colonies), bottom, year))
    return photos


def sample_survey(
    seed: int, sites: int = 2, years: int = 3, quadrats: int = 4, difficulty: float = 0.4
) -> Iterator[tuple[str, Scene]]:
    """File name and scene of every photo of :func:`plan_survey`."""
    for photo in plan_survey(seed, sites, years, quadrats, difficulty):
        yield photo.file_name, photo.paint()


def a_year_later(rng: np.random.Generator, colonies: list[Colony]) -> list[Colony]:
    """Most colonies grow where there is room, some shrink, a few die, one or two settle."""
    alive = [c for c in colonies if rng.random() > 0.07]
    grown: list[Colony] = []
    for i, colony in enumerate(alive):
        later = dataclasses.replace(colony, radius=colony.radius * float(rng.normal(1.08, 0.06)))
        others = [*grown, *alive[i + 1 :]]
        room = min(*later.centre, 1 - later.centre[0], 1 - later.centre[1]) - later.reach
        gaps = [np.hypot(*(np.array(o.centre) - later.centre)) - o.reach - later.reach for o in others]
        grown.append(later if min([room, *gaps]) > 0.002 else colony)
    for _ in range(int(rng.integers(1, 3)) * 15):
        if add_colony(rng, grown, 0.02, 0.035):
            break
    return grown
