"""Grafana's alert rules, from the thresholds of ``analytics.alerts``."""

from __future__ import annotations

import json
from typing import Any, Final

from grafana_foundation_sdk.builders import alerting, expr
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.alerting import RelativeTimeRange

from analytics.alerts import ALERTS, Alert
from analytics.questions import question
from deploy.grafana.ask import FOR_ALERTS
from deploy.grafana.clickhouse import DATASOURCE_UID, Shape, Target

FOLDER: Final = "reefline"
EVERY: Final = "5m"
_EXPRESSION = "__expr__"
_DAY_S = 86_400


def rule_file() -> dict[str, Any]:
    """The content of ``provisioning/alerting/rules.yaml``."""
    rules = [_plain(_rule(alert)) for alert in ALERTS]
    return {
        "apiVersion": 1,
        "groups": [{"orgId": 1, "name": "reefline", "folder": FOLDER, "interval": EVERY, "rules": rules}],
    }


def _rule(alert: Alert) -> Any:
    """A: the rows of the question, one number each; B: that number; C: is it above the threshold?"""
    asked = question(alert.question)
    unit = f" {alert.unit}" if alert.unit else ""
    return (
        alerting.Rule(asked.title)
        .uid(f"reefline-{alert.name}")
        .condition("C")
        .for_val(alert.lasting)
        .no_data_state("OK")
        .exec_err_state("Error")
        .labels({"severity": alert.severity, "team": "reefline"})
        .annotations({"summary": f"{asked.says} Now {{{{ .Values.B.Value }}}}{unit}.", "description": alert.remedy})
        .with_query(_query("A", DATASOURCE_UID, Target(asked.grafana(FOR_ALERTS), Shape.TABLE)))
        .with_query(_query("B", _EXPRESSION, expr.TypeReduce().expression("A").reducer("last").ref_id("B")))
        .with_query(_query("C", _EXPRESSION, _above(alert.above)))
    )


def _query(ref_id: str, source: str, model: Any) -> alerting.Query:
    period = RelativeTimeRange(from_val=_DAY_S, to=0)
    return alerting.Query(ref_id).datasource_uid(source).relative_time_range(period).model(model)


def _above(threshold: float) -> expr.TypeThreshold:
    above = expr.ExprTypeThresholdConditionsEvaluator().type("gt").params([threshold])
    condition = expr.ExprTypeThresholdConditions().evaluator(above)
    return expr.TypeThreshold().expression("B").ref_id("C").conditions([condition])


def _plain(rule: Any) -> dict[str, Any]:
    """As provisioning files have it: what the group says for all its rules is left out of each."""
    made = json.loads(json.dumps(rule.build(), cls=JSONEncoder))
    return {key: value for key, value in made.items() if key not in ("orgID", "folderUID", "ruleGroup")}
