"""CVAT's own Compose files: fetched at one version, remembered, and fitted in, whatever services they have."""

import json
import subprocess
import sys

import pytest
import yaml

from deploy.cli import cvat_files, envfile
from deploy.cli.check import problems
from deploy.cli.cvat_files import CvatFilesError, changed_files, fetch
from tests.deploy.compose import BACKEND, COMPOSE, UPSTREAM, archive, checkout, installed, model_of
from tests.deploy.test_compose import FILLED

BACKENDS = [name for name, service in UPSTREAM["services"].items() if service["image"].startswith("cvat/server")]


def test_cvats_files_are_kept_as_they_came(tmp_path):
    folder = checkout(tmp_path)
    names = fetch(folder, "v2.80.0", archive())
    assert (folder / "cvat/docker-compose.yml").read_text() == yaml.safe_dump(UPSTREAM)
    assert "cvat/settings/base.py" not in names
    assert changed_files(folder) == []


def test_the_same_version_with_other_bytes_is_refused(tmp_path):
    folder = checkout(tmp_path)
    fetch(folder, "v2.80.0", archive())
    fetch(folder, "v2.80.0", archive())
    moved = archive(**{"components/analytics/grafana_conf.yml": "http: {evil: 1}\n"})
    with pytest.raises(CvatFilesError, match=r"another components/analytics/grafana_conf\.yml than before"):
        fetch(folder, "v2.80.0", moved)
    fetch(folder, "v2.81.0", moved)
    assert json.loads((folder / "cvat/cvat.lock.json").read_text())["version"] == "v2.81.0"


@pytest.mark.parametrize("data", [b"", b"no archive", archive()[:200]])
def test_a_damaged_archive_is_refused(tmp_path, data):
    with pytest.raises(CvatFilesError, match=r"damaged|has no docker-compose\.yml"):
        fetch(checkout(tmp_path), "v2.80.0", data)


def test_an_archive_cannot_write_outside_its_folder(tmp_path):
    folder = checkout(tmp_path)
    fetch(folder, "v2.80.0", archive(**{"components/analytics/../../../../evil": "x"}))
    assert not list(tmp_path.rglob("evil"))


def test_every_service_of_cvat_belongs_to_the_profile_and_no_image_is_another(tmp_path):
    services = model_of(installed(tmp_path, ("core", "cvat")))["services"]
    for name, upstream in UPSTREAM["services"].items():
        if name in cvat_files.ANALYTICS:
            assert name not in services
            continue
        assert services[name]["image"] == upstream["image"].replace("${CVAT_VERSION:-dev}", "v2.80.0")
        assert services[name]["profiles"] == ["cvat"]
        assert "build" not in services[name]


def test_with_analytics_cvats_events_go_to_our_vector_under_a_user_of_their_own(tmp_path):
    folder = installed(tmp_path, ("core", "cvat", "analytics"))
    services = model_of(folder)["services"]
    for name in BACKENDS:
        assert services[name]["environment"]["DJANGO_LOG_SERVER_HOST"] == "vector"
        assert "analytics" in services[name]["networks"]
    server = services["cvat_server"]["environment"]
    assert (server["CLICKHOUSE_USER"], server["CLICKHOUSE_HOST"]) == ("reefline_cvat", "clickhouse")
    assert server["CLICKHOUSE_PASSWORD"] == envfile.read(folder / ".env")["DEPLOY_CLICKHOUSE_CVAT_PASSWORD"]
    assert not set(cvat_files.ANALYTICS) & set(services)


def test_without_analytics_cvat_keeps_no_events(tmp_path):
    services = model_of(installed(tmp_path, ("core", "cvat")))["services"]
    for name in BACKENDS:
        environment = services[name]["environment"]
        assert environment["CVAT_ANALYTICS"] == "0"
        assert not [key for key in environment if key.startswith(("CLICKHOUSE_", "DJANGO_LOG_SERVER_"))]
    assert "clickhouse" not in services


@pytest.mark.parametrize(
    ("overlay", "service", "variable"),
    [
        ("external-redis", "cvat_redis_inmem", "CVAT_REDIS_INMEM_HOST"),
        ("cvat-external-postgres", "cvat_db", "CVAT_POSTGRES_HOST"),
    ],
)
def test_an_external_server_takes_the_place_of_cvats_own(tmp_path, overlay, service, variable):
    folder = installed(tmp_path, ("core", "cvat"), (overlay,), FILLED)
    assert problems(folder) == []
    services = model_of(folder)["services"]
    assert service not in services
    assert all(services[name]["environment"][variable] == "x" for name in BACKENDS)


@pytest.mark.parametrize("overlay", ["ldap", "email"])
def test_logins_and_mail_come_by_one_settings_module_in_every_backend(tmp_path, overlay):
    services = model_of(installed(tmp_path, ("core", "cvat"), (overlay,), FILLED))["services"]
    for name in BACKENDS:
        assert services[name]["environment"]["DJANGO_SETTINGS_MODULE"] == "reefline_settings"
        assert any(str(volume).endswith("/home/django/reefline_settings.py:ro") for volume in services[name]["volumes"])


# Stand-ins for the three modules that CVAT's image has; what they are given is what counts here.
STAND_INS = """
import sys, types
def module(name, **values):
    made = types.ModuleType(name); made.__dict__.update(values); sys.modules[name] = made
module("cvat"); module("cvat.settings")
module("cvat.settings.production", AUTHENTICATION_BACKENDS=["own"], IAM_TYPE="BASIC")
module("ldap", OPT_REFERRALS=8, OPT_X_TLS_REQUIRE_CERT=24582, OPT_X_TLS_DEMAND=2, SCOPE_SUBTREE=2)
class Kept:
    def __init__(self, *values): self.values = values
class Nested(Kept): pass
module("django_auth_ldap")
module("django_auth_ldap.config", GroupOfNamesType=Kept, LDAPSearch=Kept, NestedActiveDirectoryGroupType=Nested)
"""


def settings_with(environment):
    code = STAND_INS + (
        "import runpy, json\nfound = runpy.run_path(sys.argv[1])\n"
        "search = found.get('AUTH_LDAP_USER_SEARCH')\n"
        "print(json.dumps({'backends': found['AUTHENTICATION_BACKENDS'], 'iam': found['IAM_TYPE'],"
        " 'filter': search and search.values[2], 'tls': found.get('AUTH_LDAP_START_TLS'),"
        " 'groups': type(found.get('AUTH_LDAP_GROUP_TYPE')).__name__,"
        " 'verify': found.get('ACCOUNT_EMAIL_VERIFICATION'),"
        " 'mail': [found.get('EMAIL_USE_TLS'), found.get('EMAIL_USE_SSL')],"
        " 'roles': found.get('DJANGO_AUTH_LDAP_GROUPS')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(COMPOSE / "settings/cvat_settings.py")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-300:]
    return json.loads(done.stdout)


DIRECTORY = {
    "LDAP_URI": "ldaps://ad.example.org", "LDAP_BIND_DN": "cn=bind", "LDAP_BIND_PASSWORD": "x",
    "LDAP_USER_BASE": "dc=x", "LDAP_GROUP_BASE": "dc=x", "LDAP_ADMIN_GROUP": "cn=admins,dc=x",
}  # fmt: skip


def test_active_directory_and_freeipa_are_asked_in_their_own_ways():
    active = settings_with({**DIRECTORY, "LDAP_KIND": "active-directory"})
    assert (active["iam"], active["groups"]) == ("LDAP", "Nested")
    assert active["filter"] == "(&(objectClass=user)(sAMAccountName=%(user)s))"
    assert active["backends"] == ["own", "django_auth_ldap.backend.LDAPBackend"]
    free = settings_with(
        {**DIRECTORY, "LDAP_KIND": "freeipa", "LDAP_URI": "ldap://ipa", "LDAP_USER_GROUP": "cn=cvat,dc=x"}
    )
    assert free["filter"] == "(&(objectClass=person)(uid=%(user)s))"
    assert free["tls"] is True
    assert free["roles"] == {"admin": ["cn=admins,dc=x"], "user": ["cn=cvat,dc=x"], "worker": []}


def test_mail_asks_new_users_to_confirm_and_leaves_logins_alone():
    mail = settings_with({"EMAIL_HOST": "mx", "EMAIL_FROM": "cvat@x", "EMAIL_PORT": "465"})
    assert (mail["verify"], mail["mail"], mail["iam"]) == ("mandatory", [False, True], "BASIC")
    assert settings_with({})["verify"] is None


def test_pictures_of_the_store_and_a_mounted_bucket_are_in_cvats_share(tmp_path):
    services = model_of(installed(tmp_path, ("core", "cvat"), ("share",)))["services"]
    for name in BACKENDS:
        mounted = [str(volume).split(":", 1)[1] for volume in services[name]["volumes"] if "share" in str(volume)]
        assert mounted == ["/home/django/share/reefline:ro", "/home/django/share/photos:ro,rslave"]
    bound = next(v for v in services["code"]["volumes"] if isinstance(v, dict))
    assert bound["bind"]["propagation"] == "rslave"


def test_nuclios_page_stays_on_this_machine_and_its_functions_find_cvats_network(tmp_path):
    model = model_of(installed(tmp_path, ("core", "cvat", "nuclio")))
    assert model["services"]["nuclio"]["ports"] == ["127.0.0.1:8070:8070"]
    assert model["services"]["cvat_server"]["environment"]["CVAT_SERVERLESS"] == 1
    function = yaml.safe_load((COMPOSE.parent / "nuclio/pth-yolo-gridcorners/function.yaml").read_text())
    assert model["networks"]["cvat"]["name"] == function["spec"]["platform"]["attributes"]["network"]


def test_a_service_that_cvat_adds_later_is_fitted_in_too():
    upstream = {"services": {"cvat_worker_new": BACKEND}}
    made = cvat_files.fitting(upstream)["services"]["cvat_worker_new"]
    assert made["profiles"] == ["cvat"]
    assert made["depends_on"] == {"cvat_clickhouse": {"condition": "service_started", "required": False}}
