"""``platform/health``: what ``reefline doctor`` says, as an asset with a check per area, for the UI and its alerts."""

import dagster as dg

from assets.common.names import TEAM_PLATFORM
from orchestration.doctor.findings import AREAS, Finding, Level
from resources.settings import Settings

KEY = dg.AssetKey(["platform", "health"])
CODE_VERSION = "1"
MARKS = {Level.OK: "ok", Level.WARN: "**warning**", Level.FAIL: "**fails**"}


@dg.asset(
    key=KEY,
    group_name="platform",
    owners=[TEAM_PLATFORM],
    kinds={"python"},
    code_version=CODE_VERSION,
    check_specs=[
        dg.AssetCheckSpec(area, asset=KEY, description=f"What 'reefline doctor' says about {area}.") for area in AREAS
    ],
)
def platform_health(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult:
    """The whole installation looked at: settings, machine, data, services, CVAT, Dagster; each with its next step."""
    from orchestration.doctor.examine import examine  # brings HTTP clients, which no other run needs

    found = examine(settings, context.instance)
    bad = sum(f.level == Level.FAIL for several in found.values() for f in several)
    lines = [line for area in AREAS for line in (f"| **{area}** | | |", *map(_row, found[area]))]
    table = "\n".join(["| | found | next step |", "|---|---|---|", *lines])
    return dg.MaterializeResult(
        metadata={"to_mend": bad, "findings": dg.MetadataValue.md(table)},
        check_results=[_result(area, found[area]) for area in AREAS],
    )


def _result(area: str, found: list[Finding]) -> dg.AssetCheckResult:
    wrong = [f for f in found if f.level != Level.OK]
    serious = any(f.level == Level.FAIL for f in wrong)
    return dg.AssetCheckResult(
        check_name=area,
        asset_key=KEY,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR if serious else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{f.what}: {f.text} -> {f.fix}" for f in wrong) or "all is well",
    )


def _row(finding: Finding) -> str:
    cells = (f"{MARKS[finding.level]} {finding.what}", finding.text, finding.fix)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
