"""From a rectified picture and its nodes to the clean picture: mask, paint, score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.footprint import estimate_shadow, estimate_string_width
from inference.removal.learned import Predicts
from inference.removal.mask import string_mask
from inference.removal.methods import remove
from inference.removal.score import RemovalScore, score_removal
from inference.removal.tape import Tape, find_tape, tape_mask
from labels.lattice import LatticeTopology


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """How a survey wants its strings and tape removed; lengths in rectified pixels.

    Attributes:
        method: ``telea``, ``ns``, ``learned`` or ``lama``.
        radius: how far the OpenCV painters look.
        string_width_px: None = measured in each picture.
        dilation_px: how much wider the mask is than measured, each side.
        tape: ``none`` = not looked for; ``paint`` = painted over; ``exclude`` = left as it is, but in the mask.
    """

    method: str = "telea"
    radius: int = 3
    string_width_px: float | None = None
    dilation_px: float = 0.0
    tape: Literal["none", "paint", "exclude"] = "none"


@dataclass(frozen=True, slots=True)
class CleanPicture:
    """A picture without strings.

    Attributes:
        image: ``(S, S, 3)`` uint8 RGB.
        mask: ``(S, S)`` uint8, 255 where the picture does not show reef as photographed: painted pixels, and tape.
        score: how believable it is.
        string_width_px: given or measured.
        tape: what was found of it.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    score: RemovalScore
    string_width_px: float
    tape: Tape | None = None

    @property
    def defects(self) -> list[str]:
        """What a person should look at."""
        return self.score.defects


def clean_picture(
    rectified: NDArray[np.uint8],
    nodes: ArrayLike,
    topology: LatticeTopology,
    plan: RemovalPlan,
    engine: Predicts | None = None,
    outside: ArrayLike | None = None,
) -> CleanPicture:
    """Remove strings, and the tape if the survey says so.

    Args:
        rectified: ``(S, S, 3)`` uint8 RGB.
        nodes: ``(n, 2)`` rectified pixels, in the topology's order.
        topology: which strings join the nodes.
        plan: how.
        engine: of the model, for ``learned`` and ``lama``.
        outside: ``(n,)`` bool, nodes at which no string was seen.

    Raises:
        ValueError: the picture, its nodes or the plan do not fit together; the message says what to check.
        RemovalError: the model failed, or changed what it must not.
    """
    width = plan.string_width_px or estimate_string_width(rectified, nodes, topology)
    shadow = estimate_shadow(rectified, nodes, topology, width)
    side = rectified.shape[0]
    mask = string_mask(nodes, topology, side, width, outside, shadow, plan.dilation_px)
    tape = find_tape(rectified, mask.hole) if plan.tape != "none" else None
    covered = mask if tape is None else mask | tape_mask(tape, side)
    image = remove(rectified, covered if plan.tape == "paint" else mask, plan.method, radius=plan.radius, engine=engine)
    score = score_removal(image, mask, nodes, topology, width, outside)
    if plan.tape != "none" and tape is None:
        score = replace(score, defects=[*score.defects, "no survey tape was found"])
    return CleanPicture(image, covered.hole, score, width, tape)
