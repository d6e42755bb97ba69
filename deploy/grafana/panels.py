"""Panels in the house style: one function per kind, so that all dashboards look and read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from grafana_foundation_sdk.builders import barchart, bargauge, common, dashboard, stat, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from deploy.grafana.ask import Ask
from deploy.grafana.clickhouse import DATASOURCE, Shape, Target

GOOD, FAIR, BAD, CALM = "green", "orange", "red", "text"
Steps = Sequence[tuple[float | None, str]]
"""Thresholds: (from this value on, colour), the first one from nothing on."""
_PLAIN: Final[Steps] = ((None, CALM),)


def number(ask: Ask, *, unit: str = "short", span: int = 4, steps: Steps = _PLAIN, decimals: int | None = None) -> Any:
    """One big number: the last value of a single row."""
    panel = (
        _base(stat.Panel(), ask, span, 4)
        .with_target(Target(ask.sql, Shape.TABLE))
        .unit(unit)
        .thresholds(_thresholds(steps))
        .graph_mode(kinds.BigValueGraphMode.NONE)
        .color_mode(kinds.BigValueColorMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/"))
        .no_value("–")
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(ask: Ask, *, unit: str = "short", span: int = 12, height: int = 8, fill: float = 8, points: bool = True,
          names: str = "") -> Any:  # fmt: skip
    """Values over time, one line per number column and text. ``names``: how a line is called, e.g. a label of it."""
    show = kinds.VisibilityMode.ALWAYS if points else kinds.VisibilityMode.NEVER
    panel = _over_time(ask, unit, span, height).fill_opacity(fill).line_width(2).show_points(show).point_size(6)
    return panel.display_name(names) if names else panel


def columns(ask: Ask, *, unit: str = "short", span: int = 12, height: int = 8,
            stacked: bool = True, colors: Mapping[str, str] | None = None) -> Any:  # fmt: skip
    """Values over time as bars, stacked."""
    panel = _over_time(ask, unit, span, height).draw_style(kinds.GraphDrawStyle.BARS).fill_opacity(85).line_width(0)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    for name, color in (colors or {}).items():
        panel = panel.override_by_regexp(f".*{name}.*", [_fixed(color)])
    return panel


def bars(ask: Ask, x: str, *, unit: str = "short", span: int = 12, height: int = 8, lying: bool = False,
         stacked: bool = False, colors: Mapping[str, str] | None = None) -> Any:  # fmt: skip
    """Bars per row of a table; ``x`` is the text column they stand on."""
    panel = (
        _base(barchart.Panel(), ask, span, height)
        .with_target(Target(ask.sql, Shape.TABLE))
        .unit(unit)
        .x_field(x)
        .orientation(kinds.VizOrientation.HORIZONTAL if lying else kinds.VizOrientation.VERTICAL)
        .stacking(kinds.StackingMode.NORMAL if stacked else kinds.StackingMode.NONE)
        .show_value(kinds.VisibilityMode.AUTO)
        .fill_opacity(85)
        .line_width(0)
        .legend(_legend())
        .tooltip(_tooltip())
    )
    for name, color in (colors or {}).items():
        panel = panel.override_by_name(name, [_fixed(color)])
    return panel


def gauges(ask: Ask, *, unit: str = "short", span: int = 8, height: int = 8, steps: Steps = _PLAIN) -> Any:
    """A lying bar per row: one text and one number column."""
    return (
        _base(bargauge.Panel(), ask, span, height)
        .with_target(Target(ask.sql, Shape.TABLE))
        .unit(unit)
        .thresholds(_thresholds(steps))
        .orientation(kinds.VizOrientation.HORIZONTAL)
        .display_mode(kinds.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().values(True).fields(""))
        .min(0)
    )


def rows(ask: Ask, *, span: int = 24, height: int = 9, units: Mapping[str, str] | None = None,
         colored: Mapping[str, Steps] | None = None, shares: Sequence[str] = (),
         links: Mapping[str, tuple[str, str]] | None = None, hidden: Sequence[str] = (),
         widths: Mapping[str, int] | None = None) -> Any:  # fmt: skip
    """A table.

    Args:
        ask: what is asked.
        span: of the 24 columns of the page.
        height: in rows of the page.
        units: of columns.
        colored: columns whose text takes a colour by thresholds.
        shares: columns from 0 to 1, drawn as bars.
        links: column -> (title, address); an address may take ``${__data.fields.other}``.
        hidden: columns that only links need.
        widths: of columns, in pixels.
    """
    panel = _base(table.Panel(), ask, span, height).with_target(Target(ask.sql, Shape.TABLE)).show_header(True)
    panel = panel.cell_height(kinds.TableCellHeight.SM).footer(common.TableFooterOptions().enable_pagination(True))
    said: dict[str, list[DynamicConfigValue]] = {}
    for column, unit in (units or {}).items():
        said.setdefault(column, []).append(DynamicConfigValue("unit", unit))
    for column, steps in (colored or {}).items():
        said.setdefault(column, []).append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        said[column].append(DynamicConfigValue("thresholds", _thresholds(steps).build()))
        said[column].append(DynamicConfigValue("color", {"mode": "thresholds"}))
    for column in shares:
        gauge = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        said.setdefault(column, []).append(DynamicConfigValue("custom.cellOptions", gauge))
        said[column] += [DynamicConfigValue("unit", "percentunit"), DynamicConfigValue("min", 0)]
        said[column] += [DynamicConfigValue("max", 1), _fixed("blue")]
    for column, (title, url) in (links or {}).items():
        link = {"title": title, "url": url, "targetBlank": True}
        said.setdefault(column, []).append(DynamicConfigValue("links", [link]))
    for column, width in (widths or {}).items():
        said.setdefault(column, []).append(DynamicConfigValue("custom.width", width))
    for column in hidden:
        said.setdefault(column, []).append(DynamicConfigValue("custom.hidden", True))
    for column, properties in said.items():
        panel = panel.override_by_name(column, properties)
    return panel


def heading(title: str) -> dashboard.Row:
    """A row of the page that only carries a title."""
    return dashboard.Row(title)


def _base(panel: Any, ask: Ask, span: int, height: int) -> Any:
    ref = DataSourceRef(type_val=DATASOURCE.type_val, uid=DATASOURCE.uid)
    return panel.title(ask.title).description(ask.says).datasource(ref).span(span).height(height)


def _over_time(ask: Ask, unit: str, span: int, height: int) -> Any:
    return (
        _base(timeseries.Panel(), ask, span, height)
        .with_target(Target(ask.sql, Shape.SERIES))
        .unit(unit)
        .min(0)
        .legend(_legend())
        .tooltip(_tooltip())
    )


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)


def _fixed(color: str) -> DynamicConfigValue:
    return DynamicConfigValue("color", {"mode": FieldColorModeId.FIXED.value, "fixedColor": color})


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)
