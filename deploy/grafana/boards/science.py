"""Science: cover by site and year with its intervals, by taxon, and the quality of the labels behind it."""

from __future__ import annotations

from typing import Any

from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from deploy.grafana import board, panels
from deploy.grafana.ask import Ask, ask

YEAR = "toDateTime(makeDate(year, 1, 1), 'UTC') AS time"


def build() -> Any:
    """The dashboard."""
    says = "Coral cover by site, year and taxon, with 95 % intervals over quadrats."
    made = board.board("reefline-science", "Science", says, since="now-10y", refresh="1h")
    sites = board.each("site", "Site", "SELECT DISTINCT site FROM cover_now ORDER BY site")
    for variable in (board.survey(), sites):
        made = made.with_variable(variable)
    here = "site IN (${site:singlequote})"
    taxa = ask("cover_years")
    quality = ask("quality_trend").only("time", "measure", "value", "low", "high", where="measure = 'kappa'",
                                        order="time",
                                        title="Agreement with the ground truth (kappa)")  # fmt: skip
    for panel in (
        _band(ask("cover_total").only(YEAR, "mean_share AS mean", "low", "high", where=here, order="time",
                                      title="Coral cover of $site")).repeat("site").repeat_direction("h"),
        panels.lines(taxa.only(YEAR, "taxon", "mean_share AS share", where=here, order="time, taxon",
                               title="Cover by taxon of $site"), unit="percentunit", height=9,
                     names="${__field.labels.taxon}").repeat("site").repeat_direction("h"),
        panels.rows(ask("cover_total"), span=12, units=dict.fromkeys(("mean_share", "low", "high"), "percentunit")),
        _band(quality, "value"),
        panels.rows(taxa, height=12, units=dict.fromkeys(("mean_share", "low", "high"), "percentunit")),
    ):  # fmt: skip
        made = made.with_panel(panel)
    return made


def _band(asked: Ask, middle: str = "mean") -> Any:
    """A line with its interval as a shade."""
    panel = panels.lines(asked, unit="percentunit", fill=0, height=9)
    thin = [DynamicConfigValue("custom.lineWidth", 0), DynamicConfigValue("custom.showPoints", "never"),
            DynamicConfigValue("custom.hideFrom", {"legend": True, "tooltip": False, "viz": False})]  # fmt: skip
    blue = DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "blue"})
    shade = [DynamicConfigValue("custom.fillBelowTo", "low"), DynamicConfigValue("custom.fillOpacity", 18)]
    panel = panel.override_by_name("low", [blue, *thin]).override_by_name("high", [blue, *thin, *shade])
    return panel.override_by_name(middle, [blue])
