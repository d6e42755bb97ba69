"""Tables of what people did in CVAT: its events, and the working time that follows from them."""

from datetime import timedelta

import dagster as dg

from analytics.contact_sheet import markdown_image
from analytics.questions import question
from analytics.worktime.plot import hours_plot
from assets.analytics.common import DECORATION, GROUP, open_table, result
from assets.common.names import META_PREVIEW
from resources.clickhouse import ClickHouse
from resources.cvat import CvatClient, CvatRefused
from resources.events import Loaded, LoadSettings, refresh_worktime
from resources.events.cvat_database import read_cvat_database
from resources.events.export import pull_export
from resources.events.retention import delete_expired, keep_events_for
from resources.inbox import Inbox
from resources.settings import Settings


@dg.asset(key=[GROUP, "events"], deps=[[GROUP, "batches"], [GROUP, "reviews"]], **DECORATION)
def analytics_events(
    context: dg.AssetExecutionContext,
    cvat: dg.ResourceParam[CvatClient],
    inbox: dg.ResourceParam[Inbox],
    settings: dg.ResourceParam[Settings],
    clickhouse: dg.ResourceParam[ClickHouse],
) -> dg.MaterializeResult:
    """CVAT's event log: from its database on the same server, else from its export. What the sink brought is there."""
    privacy, overlap = LoadSettings.of(settings), timedelta(seconds=settings.events_overlap_s)
    with open_table(context, clickhouse, "events") as session:
        loaded, said = Loaded(), "neither pulled nor read: the sink brings them"
        try:
            if settings.cvat_events_database:
                loaded = read_cvat_database(
                    session, settings.cvat_events_database, privacy, overlap=overlap, run_id=context.run_id
                )
                said = loaded.summary()
            elif settings.events_pull:
                loaded = pull_export(cvat, inbox, session, privacy, overlap=overlap, run_id=context.run_id)
                said = loaded.summary()
        except CvatRefused as error:
            raise dg.Failure(f"{error}; or set REEFLINE_EVENTS_PULL=false", allow_retries=False) from error
        with session.explained():
            keep_events_for(session, settings.events_keep_days)
            expired = delete_expired(session)
        return result(session, "events", loaded.inserted, {"outcome": said, "expired": expired})


@dg.asset(key=[GROUP, "worktime"], deps=[[GROUP, "events"]], **DECORATION)
def analytics_worktime(
    context: dg.AssetExecutionContext, clickhouse: dg.ResourceParam[ClickHouse]
) -> dg.MaterializeResult:
    """Working time per day, person and place, by CVAT's algorithm and by ours, with the difference taken apart."""
    with open_table(context, clickhouse, "worktime") as session:
        months = refresh_worktime(session)
        with session.explained():
            asked = question("worktime_days")
            days = session.query(asked.sql, asked.values()).to_pylist()
            rows = int(session.value("SELECT count() FROM worktime"))
    shown = markdown_image(hours_plot(days[-90:]), "image/png", "hours a day") if days else "no working time yet"
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows,
            "months": dg.MetadataValue.json(months),
            "hours": dg.MetadataValue.float(
                round(sum((day["hours_in_jobs"] + day["hours_outside_jobs"] for day in days), 0.0), 2)
            ),
            META_PREVIEW: dg.MetadataValue.md(shown),
        }
    )
