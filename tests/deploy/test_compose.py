"""The Compose files: every combination that somebody may choose makes a valid, closed model."""

import itertools
import json
import re
from importlib import resources
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster_docker.container_context import DockerContainerContext

from assets.common import names
from deploy.cli import compose_model, envfile, plan
from deploy.cli.check import OWN, problems
from deploy.compose.setup import pools
from resources.settings import PREFIX, Settings, SettingsError
from sensors.receiver.app import BODY_LIMIT, LEGACY_PATHS, WEBHOOK_PATH
from tests.deploy.compose import COMPOSE, installed, model_of

ROOT = COMPOSE.parents[1]
FILLED = {name: "x" for asked in envfile.OVERLAY_VARIABLES.values() for name in asked} | {
    "DEPLOY_PG_HOST": "db.example.org",
    "CVAT_HOST": "cvat.example.org",
    "CVAT_REDIS_INMEM_PORT": "6379",
    "CVAT_POSTGRES_PORT": "5432",
    "EMAIL_PORT": "587",
}
EVERYTHING = tuple(plan.OVERLAYS)
COMBINATIONS = [
    (("core",), ()),
    (("core", "analytics"), ("s3", "external-postgres", "share", "proxy")),
    (("core", "https"), ()),
    (("core", "gpu"), ()),
    (("core", "cvat"), ()),
    (("core", "cvat", "https"), ("email",)),
    (plan.PROFILES, ()),
    (plan.PROFILES, EVERYTHING),
]


@pytest.fixture(params=COMBINATIONS, ids=lambda pair: "+".join((*pair[0], *pair[1])))
def folder(request, tmp_path):
    profiles, overlays = request.param
    return installed(tmp_path, profiles, overlays, FILLED)


def schema():
    package = pytest.importorskip("check_jsonschema", reason="brings the Compose specification's JSON Schema")
    del package
    place = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    return json.loads(place.read_text(encoding="utf-8"))


def validated(model):
    jsonschema = pytest.importorskip("jsonschema")
    return [error.message for error in jsonschema.Draft7Validator(schema()).iter_errors(model)]


def test_every_combination_makes_a_valid_model_that_can_be_started(folder):
    assert problems(folder) == []
    assert validated(model_of(folder)) == []


def test_only_the_gateway_and_cvat_publish_ports_and_none_beyond_this_machine_by_itself(tmp_path):
    services = model_of(installed(tmp_path, ("core", "cvat", "analytics", "nuclio")))["services"]
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert set(published) == {"gateway", "traefik", "nuclio"}
    for ports in published.values():
        assert all(str(port).startswith("127.0.0.1:") for port in ports), ports
    assert len(published["traefik"]) == 1  # not its dashboard


def test_with_https_nothing_but_the_two_web_ports_is_published(tmp_path):
    services = model_of(installed(tmp_path, ("core", "cvat", "analytics", "https"), (), FILLED))["services"]
    assert {n: s["ports"] for n, s in services.items() if s.get("ports")} == {"gateway": ["80:80", "443:443"]}


def test_dagsters_page_is_reached_through_the_login_and_no_other_way(tmp_path):
    model = model_of(installed(tmp_path, ("core", "analytics")))
    webserver = model["services"]["webserver"]
    assert "ports" not in webserver
    beside = {n for n, s in model["services"].items() if "front" in (s.get("networks") or {})}
    assert beside == {"webserver", "gateway", "receiver", "grafana"}
    routes = yaml.safe_load((COMPOSE / "gateway/local.yaml").read_text(encoding="utf-8"))["http"]
    for file in ("gateway/local.yaml", "gateway/https.yaml"):
        routers = yaml.safe_load((COMPOSE / file).read_text(encoding="utf-8"))["http"]["routers"]
        for router in routers.values():
            assert router["service"] in routes["services"]
            assert router["service"] != "dagster" or router["middlewares"][0] == "dagster-login"


def test_the_gateway_lets_through_exactly_the_receivers_paths():
    for file in ("gateway/local.yaml", "gateway/https.yaml"):
        routers = yaml.safe_load((COMPOSE / file).read_text(encoding="utf-8"))["http"]["routers"]
        rule = next(router["rule"] for router in routers.values() if router["service"] == "receiver")
        assert set(re.findall(r"Path\(`([^`]+)`\)", rule)) == {WEBHOOK_PATH, *LEGACY_PATHS, "/health", "/ready"}
    local = yaml.safe_load((COMPOSE / "gateway/local.yaml").read_text(encoding="utf-8"))
    assert local["http"]["middlewares"]["body-limit"]["buffering"]["maxRequestBodyBytes"] == BODY_LIMIT


def test_dockers_socket_is_in_the_proxies_alone_and_never_in_runs(tmp_path):
    folder = installed(tmp_path, ("core", "cvat", "gpu", "analytics"), ("share",))
    model = model_of(folder)
    ours = {name for name, service in model["services"].items() if "docker.sock" in str(service.get("volumes"))}
    assert ours - {"traefik"} == {"docker-runs", "docker-stop"}  # CVAT's own Traefik reads labels
    context = json.loads(envfile.read(folder / ".env")["DEPLOY_RUN_CONTEXT"])["docker"]
    assert "docker" not in str(context["networks"])
    assert not any("docker.sock" in volume for volume in context["container_kwargs"]["volumes"])
    for proxy, client in (("docker-runs", "daemon"), ("docker-stop", "webserver")):
        members = {n for n, s in model["services"].items() if proxy in (s.get("networks") or {})}
        assert members == {proxy, client}
        assert model["networks"][proxy]["internal"] is True


@pytest.mark.parametrize(
    ("service", "method", "path", "allowed"),
    [
        ("docker-runs", "POST", "/v1.50/containers/create", True),
        ("docker-runs", "POST", "/v1.50/containers/4f3a/start", True),
        ("docker-runs", "GET", "/v1.50/images/docker.io/library/reefline:0.1.0/json", True),
        ("docker-runs", "POST", "/v1.50/networks/cvat_cvat/connect", True),
        ("docker-runs", "GET", "/version", True),
        ("docker-runs", "GET", "/v1.50/containers/json", False),
        ("docker-runs", "POST", "/v1.50/containers/4f3a/exec", False),
        ("docker-runs", "GET", "/v1.50/secrets", False),
        ("docker-stop", "POST", "/v1.50/containers/4f3a/stop", True),
        ("docker-stop", "POST", "/v1.50/containers/create", False),
        ("docker-stop", "POST", "/v1.50/containers/4f3a/start", False),
    ],
)
def test_the_socket_proxies_allow_what_dagster_asks_and_nothing_else(tmp_path, service, method, path, allowed):
    command = model_of(installed(tmp_path))["services"][service]["command"]
    rules = [word.partition("=")[2] for word in command if word.startswith(f"-allow{method}=")]
    assert any(re.fullmatch(rule, path) for rule in rules) is allowed


def test_runs_may_mount_the_two_folders_of_the_survey_and_no_other(tmp_path):
    folder = installed(tmp_path)
    command = model_of(folder)["services"]["docker-runs"]["command"]
    allowed = next(word for word in command if word.startswith("-allowbindmountfrom=")).partition("=")[2].split(",")
    context = json.loads(envfile.read(folder / ".env")["DEPLOY_RUN_CONTEXT"])["docker"]
    bound = [v for v in context["container_kwargs"]["volumes"] if v.startswith("/")]
    assert {volume.split(":")[0] for volume in bound} == set(allowed)
    assert all(":ro" in volume for volume in bound)


def test_smokescreen_allows_exactly_the_receivers_address(tmp_path):
    folder = installed(tmp_path, ("core", "cvat"))
    env, model = envfile.read(folder / ".env"), model_of(folder)
    address = model["services"]["receiver"]["networks"]["hooks"]["ipv4_address"]
    assert env["SMOKESCREEN_OPTS"] == f"--allow-address={address}:8765"
    assert model["services"]["code"]["environment"]["REEFLINE_RECEIVER_URL"] == f"http://{address}:8765"
    for service in ("cvat_server", "cvat_worker_webhooks"):
        assert model["services"][service]["environment"]["SMOKESCREEN_OPTS"] == env["SMOKESCREEN_OPTS"]
        assert "hooks" in model["services"][service]["networks"]


def test_services_of_ours_restart_and_can_say_whether_they_are_well(tmp_path):
    services = model_of(installed(tmp_path, ("core", "analytics", "gpu")))["services"]
    ends = {"setup", "clickhouse-setup", "gpu-check"}
    assert set(services) == OWN | ends
    for name in OWN:
        assert services[name]["restart"] == "unless-stopped"
        assert services[name]["healthcheck"]["test"]
        assert services[name]["cap_drop"] == ["ALL"]
    for name in ends:
        assert services[name]["restart"] == "no"


def test_compose_names_only_settings_that_exist_and_the_daemon_holds_what_runs_want(tmp_path):
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    services = model_of(installed(tmp_path, ("core", "cvat", "analytics"), ("s3", "proxy"), FILLED))["services"]
    for name in ("setup", "code", "daemon", "receiver"):
        asked = {key for key in services[name]["environment"] if key.startswith(PREFIX)}
        assert asked <= known, asked - known
    assert {PREFIX + name for name in plan.SETTINGS} == {
        key for key in services["daemon"]["environment"] if key.startswith(PREFIX)
    }


def test_every_variable_of_the_files_is_in_the_env_file_or_has_a_value_of_its_own(tmp_path):
    folder = installed(tmp_path, plan.PROFILES, EVERYTHING, FILLED)
    env = envfile.read(folder / ".env")
    model = compose_model.merged(folder / name for name in env["COMPOSE_FILE"].split(":"))
    assert {name for name, needed in compose_model.variables(model).items() if needed} <= set(env)


def test_dagster_takes_what_runs_get(tmp_path):
    folder = installed(tmp_path, ("core", "gpu", "cvat"))
    context = DockerContainerContext.create_from_config(json.loads(envfile.read(folder / ".env")["DEPLOY_RUN_CONTEXT"]))
    assert context.networks == ["reefline_core", "cvat_cvat"]
    assert context.container_kwargs["device_requests"][0]["driver"] == "nvidia"
    from docker.types import HostConfig

    request = context.container_kwargs["device_requests"]
    assert HostConfig("1.50", device_requests=request)["DeviceRequests"][0]["Count"] == -1


def test_settings_of_reefline_env_reach_the_runs(tmp_path):
    folder = installed(tmp_path)
    (folder / "reefline.env").write_text("REEFLINE_RECONCILE_GRACE_S=120\n", encoding="utf-8")
    (folder / "reefline.env").chmod(0o600)
    from deploy.cli import init

    init.init(init.Wish(folder, update=True))
    context = json.loads(envfile.read(folder / ".env")["DEPLOY_RUN_CONTEXT"])
    assert "REEFLINE_RECONCILE_GRACE_S" in context["docker"]["env_vars"]
    assert problems(folder) == []


def test_pools_have_limits_for_every_pool_that_assets_name():
    text = envfile.DEFAULTS["DEPLOY_POOLS"][0]
    assert set(pools(text)) == {names.POOL_GPU, names.POOL_CVAT, names.POOL_CLICKHOUSE}
    for wrong in ("gpu", "gpu=0", "gpu=1,cvat=2"):
        with pytest.raises(SettingsError, match="pool=number"):
            pools(wrong)


def test_vector_keeps_what_it_cannot_deliver_on_disk():
    vector = yaml.safe_load((COMPOSE / "vector/vector.yaml").read_text(encoding="utf-8"))
    sink = vector["sinks"]["clickhouse"]
    assert sink["buffer"]["type"] == "disk"
    assert sink["buffer"]["when_full"] == "block"
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert "vector:/vector-data-dir" in services["vector"]["volumes"]
    columns = re.search(
        r"cvat\.events\n\((.*?)\n\)", (COMPOSE / "clickhouse/setup.sql").read_text(encoding="utf-8"), re.S
    )
    assert set(sink["encoding"]["only_fields"]) == set(re.findall(r"(?m)^    (\w+)", columns[1]))


def test_images_in_env_and_compose_are_the_same_and_pinned(tmp_path):
    text = (COMPOSE / "compose.yaml").read_text(encoding="utf-8")
    for name, (image, _) in envfile.DEFAULTS.items():
        if name.endswith("_IMAGE"):
            assert f"{name}:-{image}" in text
            assert re.search(r":v?\d+\.\d+", image)


def test_grafana_finds_its_data_source_and_dashboards():
    ours = COMPOSE.parent / "grafana/provisioning"
    services = yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8"))["services"]
    source = (ours / "datasources/clickhouse.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$(\w+)", source)) <= set(services["grafana"]["environment"])
    provider = yaml.safe_load((ours / "dashboards/reefline.yaml").read_text(encoding="utf-8"))["providers"][0]
    mounted = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted


def test_no_file_of_the_deployment_holds_a_secret():
    for path in itertools.chain(COMPOSE.rglob("*.yaml"), COMPOSE.rglob("*.xml"), COMPOSE.rglob("*.sql")):
        if {"cvat", "secrets"} & set(path.relative_to(COMPOSE).parts):
            continue
        for text in path.read_text(encoding="utf-8").splitlines():
            if text.lstrip().startswith(("#", "--", "<!--")):
                continue
            line = compose_model.VARIABLE.sub("$", text)
            said = re.search(r"(?i)(password|secret)\w*[\"']?\s*[:=](?!')\s*[\"']?([^\s\"',}]+)", line)
            assert not said or re.match(r"[$:{<*]", said[2]), f"{path.name}: {line}"


def test_the_instance_file_is_one_that_dagster_takes(tmp_path, monkeypatch):
    text = (COMPOSE / "dagster.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    assert config["concurrency"]["pools"]["default_limit"] == 1
    assert config["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
    assert config["run_launcher"]["class"] == "DockerRunLauncher"
    # Its storage needs a server (tests/deploy/test_compose_postgres.py); everything else is checked with SQLite.
    del config["storage"]
    for key in ("compute_logs", "local_artifact_storage"):
        config[key]["config"]["base_dir"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_monitoring_enabled
        assert type(instance.run_launcher).__name__ == "DockerRunLauncher"


def test_clickhouse_has_an_administrator_without_a_password_in_a_file_and_users_with_what_they_need(tmp_path):
    from xml.etree import ElementTree

    users = ElementTree.parse(Path(COMPOSE / "clickhouse/users.xml")).find("users")
    assert users.find("default").get("remove") == "remove"
    assert [user.tag for user in users] == ["default", "admin"]
    assert users.find("admin/password_sha256_hex").get("from_env") == "CLICKHOUSE_ADMIN_SHA256"
    assert ElementTree.parse(Path(COMPOSE / "clickhouse/server.xml")).find("query_log/ttl") is not None
    made = (ROOT / "analytics/access/users.sql").read_text(encoding="utf-8")
    services = model_of(installed(tmp_path, ("core", "cvat", "analytics")))["services"]
    given = [word for word in services["clickhouse-setup"]["entrypoint"] if word.startswith("--param_")]
    asked = set(re.findall(r"\{(\w+):String\}", made))
    assert {word.partition("=")[0].removeprefix("--param_") for word in given} == asked
    named = {
        services["grafana"]["environment"]["REEFLINE_GRAFANA_CLICKHOUSE_USER"],
        services["cvat_server"]["environment"]["CLICKHOUSE_USER"],
        re.match(r"http://(\w+):", services["code"]["environment"]["REEFLINE_CLICKHOUSE_URL"])[1],
        yaml.safe_load((COMPOSE / "vector/vector.yaml").read_text(encoding="utf-8"))["sinks"]["clickhouse"]["auth"][
            "user"
        ],
    }
    assert named == set(re.findall(r"CREATE USER IF NOT EXISTS (\w+)", made))
