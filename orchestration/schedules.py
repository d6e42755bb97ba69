"""Schedules: reconciliation with CVAT, analytics tables, colonies through time, the installation's health."""

from __future__ import annotations

import dagster as dg

from orchestration.jobs import follow_colonies, look_after, reconcile_reviews, refresh_analytics


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
        _colonies(analytics_cron),
    ]


def _colonies(cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name="colonies",
        job=follow_colonies,
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Follows the colonies of quadrats whose labels have changed, one run at a time.",
    )
    def colonies(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # Years of many quadrats take longer to register than one tick; a second run would do the same work again.
        busy = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
        unfinished = dg.RunsFilter(job_name=follow_colonies.name, statuses=busy)
        if context.instance.get_runs(filters=unfinished, limit=1):
            return dg.SkipReason("the run of an earlier tick is still following colonies")
        return dg.RunRequest()

    return colonies
