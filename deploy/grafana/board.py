"""What all dashboards share: head, links to each other, variables."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    VariableHide,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.clickhouse import DATASOURCE

TAG: Final = "reefline"
SCHEMA_VERSION: Final = 39
"""Of dashboards of Grafana 11; newer ones migrate it by themselves."""


def board(uid: str, title: str, says: str, *, since: str = "now-90d", refresh: str = "5m") -> dashboard.Dashboard:
    """An empty dashboard with its head and links to the others."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(says)
        .tags([TAG])
        .time(since, "now")
        .refresh(refresh)
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .link(
            dashboard.DashboardLink("reefline")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    made._internal.schema_version = SCHEMA_VERSION
    return made


def survey() -> dashboard.QueryVariable:
    """Choose one survey or all."""
    return (
        dashboard.QueryVariable("survey")
        .label("Survey")
        .datasource(_ref())
        .query("SELECT DISTINCT survey FROM batches ORDER BY survey")
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value("*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def pseudonyms() -> dashboard.CustomVariable:
    """Privacy mode; on unless somebody turns it off. A courtesy: access rights are the database's business."""
    on = VariableOption(selected=True, text="pseudonyms", value="1")
    off = VariableOption(selected=False, text="names", value="0")
    return (
        dashboard.CustomVariable("pseudonyms")
        .label("People as")
        .values("pseudonyms : 1, names : 0")
        .current(on)
        .options([on, off])
    )


def hour_cost() -> dashboard.CustomVariable:
    """What an hour of an annotator costs; other figures may be typed in."""
    chosen = VariableOption(selected=True, text="20", value="20")
    return dashboard.CustomVariable("hour_cost").label("Cost of an hour").values("15,20,30,50").current(chosen)


def each(name: str, label: str, query: str, *, shown: bool = True) -> dashboard.QueryVariable:
    """Choose some of the values of a query, or all. One column: the value; two: the value and its text."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_ref())
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.DISABLED)
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
        .hide(VariableHide.DONT_HIDE if shown else VariableHide.HIDE_VARIABLE)
    )


def _ref() -> DataSourceRef:
    return DataSourceRef(type_val=DATASOURCE.type_val, uid=DATASOURCE.uid)
