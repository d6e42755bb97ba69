"""Schedules: reconciliation with CVAT, the refresh of the analytics tables, the look at the installation's health."""

from __future__ import annotations

import dagster as dg

from orchestration.jobs import look_after, reconcile_reviews, refresh_analytics


def all_schedules(reconcile_cron: str, analytics_cron: str, health_cron: str) -> list[dg.ScheduleDefinition]:
    """The schedules, at the installation's times (UTC)."""
    running = dg.DefaultScheduleStatus.RUNNING
    return [
        dg.ScheduleDefinition(
            name="reconcile",
            job=reconcile_reviews,
            cron_schedule=reconcile_cron,
            default_status=running,
            description="Compares CVAT with the inbox, so that no lost event stays lost.",
        ),
        dg.ScheduleDefinition(
            name="analytics",
            job=refresh_analytics,
            cron_schedule=analytics_cron,
            default_status=running,
            description="Refreshes the ClickHouse tables behind the dashboards.",
        ),
        dg.ScheduleDefinition(
            name="health",
            job=look_after,
            cron_schedule=health_cron,
            default_status=running,
            description="Looks at every part of the installation, as 'reefline doctor' does.",
        ),
    ]
