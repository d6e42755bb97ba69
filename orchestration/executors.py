"""What starts the workers that share a batch: processes of the run, or pods of Kubernetes."""

import json

import dagster as dg

from resources.settings import Settings, SettingsError


def share_executor(settings: Settings) -> dg.ExecutorDefinition | None:
    """The executor of jobs that share a batch; ``None`` for processes of this machine.

    Raises:
        SettingsError: REEFLINE_SHARE_PODS cannot be used.
    """
    if not settings.share_pods:
        return None
    try:
        pod = json.loads(settings.share_pods)
    except ValueError as error:
        raise SettingsError(f"REEFLINE_SHARE_PODS is no JSON: {error}") from error
    if not isinstance(pod, dict):
        raise SettingsError("REEFLINE_SHARE_PODS: expected a JSON object, for example {}")
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise SettingsError("REEFLINE_SHARE_PODS needs dagster-k8s: pip install 'reefline[k8s]'") from error
    return k8s_job_executor.configured({"max_concurrent": settings.shares, "step_k8s_config": pod})
