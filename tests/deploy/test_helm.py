"""The chart, rendered by Helm's own library: valid Kubernetes objects, valid Dagster settings, secrets by reference."""

import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.docker.health import SIGNS
from resources.settings import PREFIX, Settings, load_settings
from sensors.receiver.app import LEGACY_PATHS, WEBHOOK_PATH

HELM = Path(__file__).resolve().parents[2] / "deploy/helm"
CHART = HELM / "reefline"
KUBERNETES = "1.31"
LEAST = {"postgres": {"host": "db.example.org"}}
GPU_SHARED = {
    **LEAST,
    "gpu": {"enabled": True, "nodeSelector": {"nvidia.com/gpu.present": "true"}},
    "settings": {"REEFLINE_SHARES": "4", "REEFLINE_STORE_URL": "s3://reef/store"},
}
EVERYTHING = {
    **GPU_SHARED,
    "imagePullSecrets": ["registry"],
    "image": {"repository": "r/reefline", "digest": f"sha256:{'a' * 64}"},
    "surveys": {"moorea.yaml": "name: moorea\n"},
    "storage": {
        "photos": {"existingClaim": "photos"}, "data": {"className": "fast"}, "logs": {"existingClaim": "mine"},
    },
    "receiver": {"replicas": 3, "clusterIP": "10.96.77.65"},
    "ingress": {
        "enabled": True, "host": "d.example.org", "tlsSecret": "tls", "basicAuthSecret": "login",
        "receiverHost": "h.example.org",
    },
    "nodeSelector": {"pool": "reef"},
}  # fmt: skip
CASES = {
    "least": LEAST,
    "gpu in runs": {**LEAST, "gpu": {"enabled": True}},
    "gpu shared": GPU_SHARED,
    "everything": EVERYTHING,
}


def rendered(values):
    helm = pytest.importorskip("helm_python", reason="needs Helm's library: pip install helm-python-sdk")
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values=values, name="reef", namespace="science")
    texts = [text for name, text in files.items() if not name.endswith("NOTES.txt")]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def one(objects, kind, name):
    return next(item for item in objects if item["kind"] == kind and item["metadata"]["name"] == name)


def pods(objects):
    """Component -> pod specification of everything that starts pods."""
    return {
        item["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: item["spec"]["template"]["spec"]
        for item in objects
        if item["kind"] in ("Deployment", "Job")
    }


@pytest.fixture(params=CASES.values(), ids=CASES)
def objects(request):
    return rendered(request.param)


def test_the_chart_makes_objects_that_kubernetes_knows(objects):
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs Kubernetes' schemas: pip install kubernetes-validate"
    )
    assert len(objects) >= 20
    for item in objects:
        validate.validate(item, KUBERNETES, strict=True)


def test_helm_finds_nothing_to_complain_about():
    helm = pytest.importorskip("helm_python", reason="needs Helm's library: pip install helm-python-sdk")
    found = helm.lint(CHART, values=LEAST)
    assert found["errors"] == []
    assert [message["error"] for message in found["messages"]] == ["icon is recommended"]


def test_no_object_is_a_secret_and_every_secret_is_referred_to_by_name(objects):
    assert not [item for item in objects if item["kind"] == "Secret"]
    named = set(re.findall(r"secretRef': \{'name': '([^']+)", str(objects)))
    assert named == {"reefline", "reefline-receiver"}


def test_a_secret_among_the_plain_settings_is_refused():
    helm = pytest.importorskip("helm_python", reason="needs Helm's library: pip install helm-python-sdk")
    for name in ("REEFLINE_CVAT_TOKEN", "REEFLINE_WEBHOOK_SECRET", "REEFLINE_INBOX_URL", "reefline"):
        with pytest.raises(helm.HelmError):
            rendered({**LEAST, "settings": {name: "x"}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, r"postgres|host"),
        ({**LEAST, "imgae": {}}, "imgae"),
        ({**LEAST, "image": {"repository": "r", "tag": "latest"}}, "tag"),
        ({**LEAST, "ingress": {"enabled": True, "host": "d", "tlsSecret": "t"}}, "no login of its own"),
        ({**LEAST, "ingress": {"enabled": True, "host": "d", "basicAuthSecret": "b"}}, "without TLS"),
        ({**LEAST, "runs": {"pools": "gpu=0"}}, "pools"),
    ],
)
def test_values_that_cannot_be_meant_are_refused(values, said):
    helm = pytest.importorskip("helm_python", reason="needs Helm's library: pip install helm-python-sdk")
    with pytest.raises(helm.HelmError, match=said):
        rendered(values)


def test_pods_run_without_rights_and_without_variables_that_kubernetes_adds(objects):
    made = pods(objects)
    assert set(made) == {"code", "webserver", "daemon", "receiver", "watch", "setup"}
    for name, pod in made.items():
        # REEFLINE_CODE_SERVICE_HOST and the like would be taken for misspelt settings.
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is (name in ("daemon", "webserver"))
        for container in pod["containers"]:
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_only_code_and_setup_hold_the_whole_secret(objects):
    holders = {name for name, pod in pods(objects).items() if "'secretRef': {'name': 'reefline'}" in str(pod)}
    assert holders == {"code", "setup"}
    assert "'reefline'" not in str(pods(objects)["receiver"]["containers"][0]["envFrom"])


def test_services_lead_to_pods_and_checks_ask_the_role(objects):
    labels = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["labels"]
        for item in objects
        if item["kind"] == "Deployment"
    }
    for service in (item for item in objects if item["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        assert [name for name, found in labels.items() if selector <= found.items()] == [service["metadata"]["name"]]
    for role in ("code", "webserver", "daemon", "watch"):
        assert pods(objects)[role]["containers"][0]["livenessProbe"]["exec"]["command"][-1] == role
        assert role in SIGNS.values()


def instance(objects):
    return yaml.safe_load(one(objects, "ConfigMap", "reef-instance")["data"]["dagster.yaml"])


def test_dagster_takes_the_instance_file_and_its_launcher(objects, tmp_path):
    launcher = pytest.importorskip("dagster_k8s", reason="needs the extra k8s").K8sRunLauncher
    from dagster import Field, Shape
    from dagster._config import process_config

    config = instance(objects)
    assert config["concurrency"]["pools"]["default_limit"] == 1
    checked = process_config(Field(Shape(launcher.config_type())).config_type, config["run_launcher"]["config"])
    assert checked.success, [error.message for error in checked.errors]


def test_a_run_is_a_job_that_kubernetes_knows_with_the_volumes_and_secrets_of_the_chart(objects):
    """The pod of a run as Dagster builds it from the chart's settings."""
    k8s = pytest.importorskip("dagster_k8s", reason="needs the extra k8s")
    validate = pytest.importorskip(
        "kubernetes_validate", reason="needs Kubernetes' schemas: pip install kubernetes-validate"
    )
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    assert k8s
    config = instance(objects)["run_launcher"]["config"]
    context = K8sContainerContext.create_from_config(
        {"k8s": {key: value for key, value in config.items() if key not in NOT_CONTEXT}}
    )
    job_config = DagsterK8sJobConfig(job_image=config["job_image"], dagster_home=config["dagster_home"],
                                     instance_config_map=config["instance_config_map"])  # fmt: skip
    job = construct_dagster_k8s_job(job_config, ["dagster", "api", "execute_run"], "run", context.run_k8s_config)
    made = ApiClient().sanitize_for_serialization(job)
    validate.validate(made, KUBERNETES, strict=True)
    pod = made["spec"]["template"]["spec"]
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    container = pod["containers"][0]
    assert {"secretRef": {"name": "reefline"}} in container["envFrom"]
    assert "/data" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert "docker.sock" not in json.dumps(made)


NOT_CONTEXT = {"job_namespace", "load_incluster_config", "dagster_home", "instance_config_map", "job_image"}


def test_a_card_goes_to_runs_or_to_the_shares_of_a_batch():
    runs = instance(rendered(CASES["gpu in runs"]))["run_launcher"]["config"]["run_k8s_config"]
    assert runs["container_config"]["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": 1}
    shared = rendered(GPU_SHARED)
    assert "nvidia.com/gpu" not in str(instance(shared)["run_launcher"]["config"]["run_k8s_config"]["container_config"])
    pods_of_shares = json.loads(one(shared, "ConfigMap", "reef-settings")["data"]["REEFLINE_SHARE_PODS"])
    assert pods_of_shares["container_config"]["resources"]["limits"] == {"nvidia.com/gpu": 1}
    assert pods_of_shares["pod_spec_config"]["node_selector"] == {"nvidia.com/gpu.present": "true"}


def test_reefline_takes_the_settings_of_the_chart(objects, monkeypatch):
    data = one(objects, "ConfigMap", "reef-settings")["data"]
    for name, value in data.items():
        if name.startswith(PREFIX):
            monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.store in ("file:///data/store", "s3://reef/store")
    assert settings.receiver_url == "http://reef-receiver.science.svc:8765"
    assert {name for name in data if name.startswith(PREFIX)} <= {PREFIX + n.upper() for n in Settings.model_fields}


def test_shares_of_a_batch_become_pods(monkeypatch):
    pytest.importorskip("dagster_k8s", reason="needs the extra k8s")
    from orchestration.definitions import build_defs

    pods_of_shares = one(rendered(GPU_SHARED), "ConfigMap", "reef-settings")["data"]["REEFLINE_SHARE_PODS"]
    made = build_defs(Settings(_env_file=None, cvat_url="http://cvat", shares=4, share_pods=pods_of_shares))
    executors = {job.name: job.executor_def.name for job in made.jobs}
    assert executors["after_lattice"] == "k8s"
    assert executors["start_batch"] == "in_process"


def test_only_what_is_named_reaches_our_pods_and_the_receiver_reaches_its_database_alone():
    objects = rendered(EVERYTHING)
    policies = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "NetworkPolicy"}
    assert "ingress" not in policies["reef-nothing-comes-in"]
    askers = [c["podSelector"] for c in policies["reef-receiver"]["ingress"][0]["from"] if "podSelector" in c]
    assert {c["matchLabels"]["app.kubernetes.io/component"] for c in askers} == {"code", "run", "watch"}
    callers = policies["reef-code"]["ingress"][0]["from"]
    assert {c["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for c in callers} == {"daemon", "webserver"}
    egress = [port["port"] for rule in policies["reef-receiver"]["egress"] for port in rule["ports"]]
    assert egress == [53, 53, 5432]
    least = {i["metadata"]["name"]: i["spec"] for i in rendered(LEAST) if i["kind"] == "NetworkPolicy"}
    [caller] = least["reef-webserver"]["ingress"][0]["from"]
    assert caller["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "watch"


def test_the_page_is_published_behind_a_login_and_the_receiver_by_its_paths_alone():
    objects = rendered(EVERYTHING)
    page = one(objects, "Ingress", "reef-dagster")
    assert page["metadata"]["annotations"]["nginx.ingress.kubernetes.io/auth-type"] == "basic"
    paths = one(objects, "Ingress", "reef-receiver")["spec"]["rules"][0]["http"]["paths"]
    assert {path["path"] for path in paths} == {WEBHOOK_PATH, *LEGACY_PATHS, "/health", "/ready"}
    assert not [item for item in rendered(LEAST) if item["kind"] == "Ingress"]


def test_pictures_outlive_the_release():
    claim = one(rendered(LEAST), "PersistentVolumeClaim", "reef-data")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "reef-logs" not in {
        i["metadata"]["name"] for i in rendered(EVERYTHING) if i["kind"] == "PersistentVolumeClaim"
    }


def test_cvats_chart_is_told_the_receivers_address_and_a_version():
    values = yaml.safe_load((HELM / "cvat.values.yaml").read_text(encoding="utf-8"))
    assert re.fullmatch(r"--allow-address=[0-9.]+:8765", values["smokescreen"]["opts"])
    assert values["cvat"]["backend"]["tag"] == values["cvat"]["frontend"]["tag"] == "v2.80.0"
