"""Which settings an installation runs with: the user's where there are any, its own otherwise, and nobody else's."""

import stat

import pytest

from deploy.local.loopback import HOST
from deploy.local.runtime import prepare
from resources.settings import Settings, load_settings


def given(**values):
    return Settings(_env_file=None, **values)


def test_a_configured_cvat_takes_the_place_of_the_sandbox(tmp_path):
    made = prepare(tmp_path / "home", tmp_path, given=given(cvat_url="https://cvat.example.org", cvat_token="t"))
    assert not made.sandbox
    assert made.settings.cvat_url == "https://cvat.example.org"
    assert made.settings.cvat_token.get_secret_value() == "t"


def test_without_a_cvat_the_sandbox_gets_a_password_that_stays(tmp_path):
    first = prepare(tmp_path / "home", tmp_path, given=given())
    again = prepare(tmp_path / "home", tmp_path, given=given())
    assert first.sandbox
    assert first.settings.cvat_url == first.sandbox_url
    assert first.settings.cvat_password == again.settings.cvat_password
    assert first.settings.webhook_secret == again.settings.webhook_secret


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://127.0.0.1:8765", HOST, 8765),
        ("http://reefline.example.org:8765", "0.0.0.0", 8765),
        ("https://reefline.example.org", HOST, None),
    ],
)
def test_the_receiver_listens_where_the_users_address_leads(tmp_path, url, host, port):
    made = prepare(tmp_path / "home", tmp_path, given=given(receiver_url=url))
    assert made.receiver_host == host
    assert port in (None, made.ports["receiver"])
    assert made.settings.receiver_url == url


def test_an_installation_of_its_own_is_reached_by_no_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(
        "REEFLINE_STORE_URL=s3://somebody/else\nREEFLINE_CVAT_URL=https://cvat.example.org\n"
    )
    monkeypatch.chdir(tmp_path)
    made = prepare(tmp_path / "home", tmp_path)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    found = load_settings()  # as its processes do, started in that folder
    assert made.sandbox
    assert found.store == (tmp_path / "home" / "store").as_uri()
    assert found.cvat_url == made.sandbox_url


def test_the_file_with_secrets_is_the_owners_alone(tmp_path):
    made = prepare(tmp_path / "home", tmp_path, given=given(webhook_secret="mine"))
    path = made.home / "reefline.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "REEFLINE_WEBHOOK_SECRET=mine" in path.read_text()
