"""The query of Grafana's ClickHouse plugin, which the SDK does not know, and the data source all panels use."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

PLUGIN: Final = "grafana-clickhouse-datasource"
PLUGIN_VERSION: Final = "4.20.0"
"""What ``grafana.env`` installs. Needs Grafana 11.6 or newer."""
DATASOURCE_UID: Final = "reefline-clickhouse"

DATASOURCE: Final = DataSourceRef(type_val=PLUGIN, uid=DATASOURCE_UID)


class Shape(StrEnum):
    """What the plugin makes of the rows: series by time and text columns, or a table."""

    SERIES = "timeseries"
    TABLE = "table"


class ClickHouseQuery(Dataquery):
    """One target of a panel or an alert rule, as the plugin stores it."""

    def __init__(self, sql: str, shape: Shape, ref_id: str = "A") -> None:
        """SQL with the plugin's macros and Grafana's variables."""
        self.sql = sql
        self.shape = shape
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """As in a dashboard's JSON."""
        return {
            "refId": self.ref_id,
            "datasource": {"type": PLUGIN, "uid": DATASOURCE_UID},
            "editorType": "sql",
            "queryType": self.shape.value,
            "format": 0 if self.shape is Shape.SERIES else 1,
            "rawSql": self.sql,
            "pluginVersion": PLUGIN_VERSION,
        }


class Target(Builder[ClickHouseQuery]):
    """The builder that panels take."""

    def __init__(self, sql: str, shape: Shape, ref_id: str = "A") -> None:
        """See :class:`ClickHouseQuery`."""
        self._query = ClickHouseQuery(sql, shape, ref_id)

    def build(self) -> ClickHouseQuery:
        """The query."""
        return self._query
