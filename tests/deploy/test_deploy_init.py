"""``reefline deploy``: what it writes, what it keeps, and what it refuses."""

import base64
import hashlib
import ipaddress
import os
import socket
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from deploy.cli import compose_model, envfile, network, pin, plan
from deploy.cli.check import problems
from deploy.cli.commands import app
from deploy.cli.init import InitProblem, Wish, init
from orchestration.cli.context import UsageProblem
from resources.settings import load_settings
from tests.deploy.compose import archive, checkout, installed, model_of

CVAT = {"cvat_url": "https://cvat.example.org", "receiver_url": "http://10.1.2.3:8765"}


def test_secrets_are_new_for_every_installation_and_for_nobody_elses_eyes(tmp_path):
    one, two = (installed(tmp_path / name) for name in "ab")
    first, second = envfile.read(one / ".env"), envfile.read(two / ".env")
    for name in envfile.SECRETS:
        assert len(first[name]) >= 32
        assert first[name] != second[name]
    assert stat.S_IMODE((one / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((one / "secrets").stat().st_mode) == 0o700


def test_the_login_of_dagsters_page_is_in_the_password_file(tmp_path):
    folder = installed(tmp_path)
    password = envfile.read(folder / ".env")["DEPLOY_DAGSTER_LOGIN_PASSWORD"]
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()
    assert (folder / "secrets/dagster.htpasswd").read_text() == f"reefline:{{SHA}}{digest}\n"


def test_an_existing_installation_is_not_overwritten(tmp_path):
    folder = installed(tmp_path)
    before = (folder / ".env").read_bytes()
    with pytest.raises(InitProblem, match="--update keeps its passwords"):
        init(Wish(folder, **CVAT))
    assert (folder / ".env").read_bytes() == before


def test_an_update_keeps_passwords_and_what_people_wrote_and_changes_what_runs(tmp_path):
    folder = installed(
        tmp_path, filled={"REEFLINE_CVAT_TOKEN": "token", "DEPLOY_DAGSTER_PORT": "3999", "MINE": "a b#c"}
    )
    before = envfile.read(folder / ".env")
    init(Wish(folder, profiles=("core", "analytics", "gpu"), overlays=("s3",), update=True))
    after = envfile.read(folder / ".env")
    for name in (*envfile.SECRETS, "REEFLINE_CVAT_TOKEN", "DEPLOY_DAGSTER_PORT", "MINE", "DEPLOY_HOOKS_SUBNET"):
        assert after[name] == before[name]
    assert after["COMPOSE_PROFILES"] == "core,gpu,analytics"
    assert after["COMPOSE_FILE"].endswith("overlays/s3.yaml")
    assert after["DEPLOY_IMAGE"].endswith("-cuda")
    init(Wish(folder, update=True))
    assert envfile.read(folder / ".env") == after


def test_an_installation_with_cvat_gives_reefline_an_account_and_the_pictures_by_the_share(tmp_path):
    env = envfile.read(installed(tmp_path, ("core", "cvat")) / ".env")
    assert env["REEFLINE_CVAT_URL"] == "http://cvat-server:8080"
    assert env["REEFLINE_CVAT_PUBLIC_URL"] == "http://localhost:8080"
    assert env["REEFLINE_CVAT_USERNAME"] == "reefline"
    assert len(env["REEFLINE_CVAT_PASSWORD"]) >= 32
    assert (env["REEFLINE_CVAT_PICTURES"], env["REEFLINE_CVAT_SHARE_PREFIX"]) == ("share", "reefline/store/")
    assert env["REEFLINE_CVAT_DATABASE_URL"] == "postgresql://root@cvat_db:5432/cvat"


def test_a_backup_reaches_cvats_database_also_on_a_server_of_yours_whatever_its_password(tmp_path):
    given = {
        "CVAT_POSTGRES_HOST": "db.example.org",
        "CVAT_POSTGRES_USER": "cvat",
        "CVAT_POSTGRES_PASSWORD": "a/b:c@d$e f%",
    }
    folder = installed(tmp_path, ("core", "cvat"), ("cvat-external-postgres",), given)
    assert envfile.read(folder / ".env")["REEFLINE_CVAT_DATABASE_URL"] == "", "nobody had said where it is"
    said = "init --update, which makes REEFLINE_CVAT_DATABASE_URL"
    assert said in "".join(init(Wish(checkout(tmp_path / "other"), ("core", "cvat"), ("cvat-external-postgres",))).todo)
    assert said not in "".join(init(Wish(folder, update=True)).todo)
    services = model_of(folder)["services"]
    url = sa.engine.make_url(services["code"]["environment"]["REEFLINE_CVAT_DATABASE_URL"])
    assert (url.host, url.port, url.database) == ("db.example.org", 5432, "cvat")
    assert (url.username, url.password) == ("cvat", given["CVAT_POSTGRES_PASSWORD"])
    with_it = [
        name for name, service in services.items() if "REEFLINE_CVAT_DATABASE_URL" in service.get("environment", {})
    ]
    assert with_it == ["code"], "neither runs nor the services that others reach hold CVAT's password"


def test_reefline_itself_reads_what_was_written(tmp_path, monkeypatch):
    folder = installed(tmp_path, ("core", "analytics"))
    settings = load_settings(folder / ".env", {})
    assert settings.cvat_url == "https://cvat.example.org"
    assert settings.clickhouse_url.startswith("http://reefline_writer:")
    assert settings.webhook_secret.get_secret_value()


def test_a_port_that_is_taken_is_named_before_anything_is_written(tmp_path, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setitem(envfile.DEFAULTS, "DEPLOY_DAGSTER_PORT", (str(port), ""))
        folder = checkout(tmp_path)
        with pytest.raises(InitProblem, match=f"{port} .DEPLOY_DAGSTER_PORT"):
            init(Wish(folder, **CVAT))
    assert not (folder / ".env").exists()


def test_what_is_left_to_a_person_is_said(tmp_path):
    folder = checkout(tmp_path)
    made = init(Wish(folder, ("core",), ("s3", "external-postgres"), **CVAT))
    said = "\n".join(made.todo)
    for part in (
        "SMOKESCREEN_OPTS=--allow-address=10.1.2.3:8765",
        "REEFLINE_STORE_URL=s3://",
        "roles.sql",
        "CVAT_TOKEN",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("profiles", "overlays", "said"),
    [
        (("cpu",), (), "no profile 'cpu'"),
        (("core",), ("ldpa",), "no overlay 'ldpa'"),
        (("core",), ("ldap",), "ldap changes CVAT: choose the profile cvat too"),
        (("core", "nuclio"), (), "choose the profile cvat too"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(profiles, overlays, said):
    with pytest.raises(plan.PlanError, match=said):
        plan.Choices(frozenset(profiles), frozenset(overlays), "/s", "/p")


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="'\n\r\x00", exclude_categories=["Cs", "Cc", "Zl", "Zp"]))
)
def test_any_value_survives_the_env_file(value):
    text = envfile.render({"x": {"NAME": value.strip()}}, {})
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, ".env")
        path.write_text(text, encoding="utf-8")
        assert envfile.read(path) == {"NAME": value.strip()}


def test_the_subnet_for_webhooks_avoids_those_that_the_machine_knows():
    # The default route, 172.31.0.0/16 and 10.0.0.0/8, as Linux writes them.
    table = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n"
        "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\n"
        "eth0\t00001FAC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\n"
        "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\n"
    )
    known = network.routes(table)
    assert known == [ipaddress.ip_network("172.31.0.0/16"), ipaddress.ip_network("10.0.0.0/8")]
    assert network.free_subnet(known) == ipaddress.ip_network("192.168.213.0/28")
    with pytest.raises(network.NetworkProblem, match="DEPLOY_HOOKS_SUBNET"):
        network.free_subnet([ipaddress.ip_network("0.0.0.0/0")])


def test_the_gateway_is_asked_from_docker_and_else_the_systems_usual_one(tmp_path, monkeypatch):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 172.99.0.1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert network.host_gateway("linux") == "172.99.0.1"
    docker.write_text("#!/bin/sh\nexit 1\n")
    assert network.host_gateway("linux") == "172.17.0.1"
    assert network.host_gateway("darwin") == "192.168.65.254"


def test_a_cvat_in_docker_on_this_machine_gets_the_gateways_address(tmp_path):
    folder = checkout(tmp_path)
    values = init(Wish(folder, ("core",), cvat_url="http://localhost:8080")).values
    assert values["REEFLINE_RECEIVER_URL"] == f"http://{network.host_gateway()}:8765"
    assert values["DEPLOY_RECEIVER_BIND"] == network.host_gateway()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / ".env").unlink(), "reefline deploy init"),
        (lambda f: (f / ".env").chmod(0o644), "chmod 600"),
        (lambda f: (f / "cvat/reefline.yaml").unlink(), "fetch-cvat"),
        (lambda f: (f / "cvat/docker-compose.yml").write_text("services: {}\n"), "is not as it was fetched"),
        (lambda f: _change(f, "DEPLOY_POSTGRES_IMAGE", "postgres:latest"), "not pinned"),
        (lambda f: _change(f, "COMPOSE_PROFILES", "core,cvta"), "no profile 'cvta'"),
        (lambda f: _change(f, "DEPLOY_RUN_CONTEXT", "{"), "--update"),
        (lambda f: _change(f, "REEFLINE_WEBHOOK_SECRET", ""), "REEFLINE_WEBHOOK_SECRET is not set"),
        (lambda f: (f / "workspace.yaml").unlink(), "workspace.yaml does not exist"),
        (lambda f: (f / "compose.yaml").write_text("services: ["), "compose.yaml"),
    ],
)
def test_check_names_what_is_wrong_and_what_to_do(tmp_path, spoil, said):
    folder = installed(tmp_path, ("core", "cvat"))
    assert problems(folder) == []
    spoil(folder)
    assert any(said in problem for problem in problems(folder)), problems(folder)


def _change(folder, name, value):
    envfile.write_private(folder / ".env", envfile.render({"x": envfile.read(folder / ".env") | {name: value}}, {}))


def test_docker_compose_is_asked_where_it_is_installed(tmp_path, monkeypatch):
    folder = installed(tmp_path)
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text('#!/bin/sh\nif [ "$2" = version ]; then exit 0; fi\necho "service x is wrong" >&2; exit 15\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}{os.pathsep}{os.environ['PATH']}")
    assert problems(folder) == ["docker compose config: service x is wrong"]


def test_images_are_pinned_to_the_digests_in_force(tmp_path, monkeypatch):
    folder = installed(tmp_path)
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(f'#!/bin/sh\ncase "$4" in *vector*) echo gone >&2; exit 1;; esac\necho sha256:{"a" * 64}\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{docker.parent}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(pin.PinError, match=r"vector.*gone"):
        pin.pinned(envfile.read(folder / ".env"))
    docker.write_text(f"#!/bin/sh\necho sha256:{'a' * 64}\n")
    done = CliRunner().invoke(app, ["deploy", "pin", "--folder", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0
    env = envfile.read(folder / ".env")
    assert env["DEPLOY_POSTGRES_IMAGE"] == f"docker.io/library/postgres:17.10-bookworm@sha256:{'a' * 64}"
    assert pin.pinned(env) == {name: env[name] for name in pin.IMAGES}


def test_the_commands_go_one_after_the_other(tmp_path):
    folder = checkout(tmp_path)
    file = tmp_path / "cvat.tar.gz"
    file.write_bytes(archive())
    run = CliRunner()
    made = run.invoke(app, ["deploy", "init", "--folder", str(folder), "--profile", "cvat"], catch_exceptions=False)
    assert "1. reefline deploy fetch-cvat" in made.output
    early = run.invoke(app, ["deploy", "check", "--folder", str(folder)])
    assert isinstance(early.exception, UsageProblem)
    assert "fetch-cvat" in str(early.exception)
    fetched = run.invoke(app, ["deploy", "fetch-cvat", "--folder", str(folder), "--archive", str(file)])
    assert fetched.exit_code == 0, fetched.output
    assert "ready for docker compose up" in run.invoke(app, ["deploy", "check", "--folder", str(folder)]).output


def test_compose_files_are_merged_and_filled_in_as_compose_does(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "services:\n  x:\n    image: a:1\n    command: [one, two]\n    ports: ['1:1']\n    environment: [A=1, B]\n"
        "    volumes: ['v:/data', './f:/f']\n    depends_on: [y]\n"
    )
    (tmp_path / "b.yaml").write_text(
        "services:\n  x:\n    command: [three]\n    ports: !override ['2:2']\n    environment: {A: '${Q:-q}', C: $$x}\n"
        "    volumes: ['w:/data:ro']\n    depends_on: {y: {condition: service_healthy}}\n"
        "  y: {build: !reset null, image: b:2}\n"
    )
    service = compose_model.merged([tmp_path / "a.yaml", tmp_path / "b.yaml"])["services"]["x"]
    assert service["command"] == ["three"]
    assert service["ports"] == ["2:2"]
    assert service["volumes"] == ["w:/data:ro", "./f:/f"]
    assert service["depends_on"] == {"y": {"condition": "service_healthy"}}
    assert compose_model.interpolated(service, {})["environment"] == {"A": "q", "B": None, "C": "$x"}


@pytest.mark.parametrize(
    ("text", "env", "filled"),
    [
        ("${A:-b}", {"A": ""}, "b"),
        ("${A-b}", {"A": ""}, ""),
        ("${A:+b}", {"A": "1"}, "b"),
        ("${A:+b}", {}, ""),
        ("$A/${A}", {"A": "c"}, "c/c"),
        ("$${A}", {"A": "c"}, "${A}"),
    ],
)
def test_variables_are_filled_in_by_composes_rules(text, env, filled):
    assert compose_model.interpolated(text, env) == filled


def test_a_variable_that_is_needed_is_named_when_it_is_missing():
    with pytest.raises(compose_model.ComposeError, match="A is not set: say it"):
        compose_model.interpolated({"x": ["${A:?say it}"]}, {"A": ""})
