"""An installation in a folder of its own, and a small stand-in for CVAT's source archive."""

import io
import shutil
import tarfile
from pathlib import Path

import yaml

from deploy.cli import compose_model, cvat_files, envfile, init

COMPOSE = Path(__file__).resolve().parents[2] / "deploy/compose"

# The shape of CVAT's file: the services and keys that the fitting looks at, with values of our own.
BACKEND = {
    "image": "cvat/server:${CVAT_VERSION:-dev}",
    "restart": "always",
    "depends_on": {
        "cvat_redis_inmem": {"condition": "service_started"},
        "cvat_db": {"condition": "service_started"},
        "cvat_clickhouse": {"condition": "service_started"},
    },
    "environment": {
        "CVAT_POSTGRES_HOST": "cvat_db",
        "CVAT_REDIS_INMEM_HOST": "cvat_redis_inmem",
        "DJANGO_LOG_SERVER_HOST": "vector",
        "SMOKESCREEN_OPTS": "${SMOKESCREEN_OPTS:-}",
    },
    "volumes": ["cvat_data:/home/django/data"],
    "networks": ["cvat"],
}
CLICKHOUSE = {
    "CLICKHOUSE_HOST": "clickhouse",
    "CLICKHOUSE_PORT": 8123,
    "CLICKHOUSE_USER": "user",
    "CLICKHOUSE_PASSWORD": "user",
}
SERVER = {
    **BACKEND,
    "build": {"context": "."},
    "environment": {**BACKEND["environment"], **CLICKHOUSE, "CVAT_ANALYTICS": 1},
    "networks": {"cvat": {"aliases": ["cvat-server"]}},
}
UPSTREAM = {
    "name": "cvat",
    "services": {
        "cvat_db": {
            "image": "postgres:15-alpine",
            "volumes": ["cvat_db:/var/lib/postgresql/data"],
            "networks": ["cvat"],
        },
        "cvat_redis_inmem": {"image": "redis:7.2.11-alpine", "networks": ["cvat"]},
        "cvat_server": SERVER,
        "cvat_worker_webhooks": BACKEND,
        "cvat_worker_export": {**BACKEND, "environment": {**BACKEND["environment"], **CLICKHOUSE}},
        "cvat_worker_of_tomorrow": BACKEND,
        "cvat_ui": {"image": "cvat/ui:${CVAT_VERSION:-dev}", "networks": ["cvat"]},
        "traefik": {
            "image": "traefik:v3.6",
            "ports": ["8080:8080", "8090:8090"],
            "volumes": [
                "/var/run/docker.sock:/var/run/docker.sock:ro",
                "./components/analytics/grafana_conf.yml:/etc/traefik/rules/grafana_conf.yml:ro",
            ],
            "networks": ["cvat"],
        },
        "cvat_opa": {"image": "openpolicyagent/opa:0.63.0", "networks": ["cvat"]},
        "cvat_clickhouse": {"image": "clickhouse/clickhouse-server:23.11-alpine", "networks": ["cvat"]},
        "cvat_vector": {
            "image": "timberio/vector:0.26.0-alpine",
            "networks": ["cvat"],
            "volumes": [{"type": "bind", "source": "./components/analytics/vector/vector.toml", "target": "/v.toml"}],
        },
        "cvat_grafana": {"image": "grafana/grafana-oss:10.1.2", "networks": ["cvat"]},
    },
    "volumes": {"cvat_db": None, "cvat_data": None},
    "networks": {"cvat": None},
}
SERVERLESS = {
    "services": {
        "nuclio": {
            "image": "quay.io/nuclio/dashboard:1.15.9-amd64",
            "networks": ["cvat"],
            "volumes": ["/var/run/docker.sock:/var/run/docker.sock"],
            "ports": ["8070:8070"],
        },
        "cvat_server": {"environment": {"CVAT_SERVERLESS": 1}},
    }
}


def archive(**changes):
    """CVAT's source archive as GitHub makes it: everything below one folder."""
    files = {
        "docker-compose.yml": yaml.safe_dump(UPSTREAM),
        "components/serverless/docker-compose.serverless.yml": yaml.safe_dump(SERVERLESS),
        "components/analytics/grafana_conf.yml": "http: {}\n",
        "components/analytics/vector/vector.toml": "",
        "cvat/settings/base.py": "not wanted\n",
        **changes,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"cvat-2.80.0/{name}")
            data = text.encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def checkout(tmp_path):
    """The parts of a checkout that Compose mounts or builds from; the folder of compose.yaml."""
    ignore = shutil.ignore_patterns(".env", "secrets", "cvat", "photos", "surveys", "__pycache__")
    shutil.copytree(COMPOSE, tmp_path / "deploy/compose", ignore=ignore)
    for name in ("dashboards", "provisioning"):
        (tmp_path / "deploy/grafana" / name).mkdir(parents=True)
    (tmp_path / "analytics/access").mkdir(parents=True)
    (tmp_path / "analytics/access/users.sql").touch()
    return tmp_path / "deploy/compose"


def installed(tmp_path, profiles=("core",), overlays=(), filled=None, **wish):
    """A checkout with its ``.env``, CVAT's files when asked for, and ``filled`` written into ``.env``."""
    folder = checkout(tmp_path)
    if "cvat" in profiles:
        cvat_files.fetch(folder, "v2.80.0", archive())
    else:
        wish = {"cvat_url": "https://cvat.example.org", "receiver_url": "http://10.1.2.3:8765", **wish}
    init.init(init.Wish(folder, tuple(profiles), tuple(overlays), **wish))
    if filled:
        env = envfile.read(folder / ".env") | filled
        envfile.write_private(folder / ".env", envfile.render({"all": env}, {}))
    return folder


def model_of(folder):
    """Services in force, with their variables filled in."""
    env = envfile.read(folder / ".env")
    model = compose_model.merged(folder / name for name in env["COMPOSE_FILE"].split(":"))
    services = compose_model.active(model, env["COMPOSE_PROFILES"].split(","))
    return compose_model.interpolated({**model, "services": services}, env)
