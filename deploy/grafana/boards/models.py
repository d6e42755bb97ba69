"""Models: how much of their proposals people accept, and the minutes each version saves."""

from __future__ import annotations

from typing import Any

from deploy.grafana import board, panels
from deploy.grafana.ask import ask

SHARES = ("accepted_share", "reshaped_share", "relabelled_share", "deleted_share")
COLORS = {"accepted": "green", "reshaped": "blue", "relabelled": "orange", "deleted": "red"}


def build() -> Any:
    """The dashboard."""
    made = board.board(
        "reefline-models", "Models", "What people accept, and the minutes that a version saves.", since="now-1y"
    )
    made = made.with_variable(board.survey())
    models, quality = ask("models"), ask("quality_trend")
    shares = models.only("model_version", *(f"{share} AS {share.removesuffix('_share')}" for share in SHARES),
                         title="What becomes of proposals")  # fmt: skip
    minutes = ask("models_saved").only("model_version", "minutes_per_picture", title="Minutes of people per picture")
    overlap = quality.only("time", "measure", "value", where="gate = 'corals' AND against = 'review'",
                           order="time, measure",
                           title="Proposals against reviewed labels")  # fmt: skip
    pixels = quality.only("time", "gate", "value", where="measure = 'rms_px'", order="time, gate",
                          title="Points: distance to reviewed ones")  # fmt: skip
    for panel in (
        panels.bars(shares, "model_version", unit="percentunit", stacked=True, colors=COLORS),
        panels.bars(minutes, "model_version", unit="m", span=6),
        panels.bars(ask("models_saved").only("model_version", "hours_saved", title="Hours saved by each version"),
                    "model_version", unit="h", span=6),
        panels.rows(models, units={"minutes_per_picture": "m"}, shares=("accepted_share",), height=7),
        panels.lines(overlap, unit="percentunit", names="${__field.labels.measure}"),
        panels.lines(pixels, unit="pixel", names="${__field.labels.gate}"),
        panels.rows(ask("time_per_class"), span=12, shares=("touched_share",),
                    units=dict.fromkeys(("seconds_per_touched_object", "seconds_per_object"), "s")),
        panels.rows(ask("model_versions"), span=12),
    ):  # fmt: skip
        made = made.with_panel(panel)
    return made
