"""Logs: what they are about is in them, secrets are not."""

import json
import logging

import pytest

from resources.logs import Json, Redactor, Text, about, subjects
from resources.settings import Settings, secrets_of

SECRETS = {"webhook_secret": "hush-hush", "cvat_password": "let me in"}


def record(message, *arguments, error=None):
    info = (type(error), error, None) if error else None
    return logging.LogRecord("reefline.gate", logging.WARNING, __file__, 1, message, arguments, info)


def test_a_line_of_json_says_what_it_is_about():
    with about(batch="reef.0001", gate="corners"), about(run="r1", image=None):
        line = json.loads(Json(Redactor({})).format(record("%d pictures", 3)))
    assert {"level": "warning", "logger": "reefline.gate", "message": "3 pictures", "batch": "reef.0001",
            "gate": "corners", "run": "r1"}.items() <= line.items()  # fmt: skip
    assert "image" not in line
    assert subjects() == {}


@pytest.mark.parametrize("formatter", [Json, Text])
def test_secrets_are_not_logged_whatever_way_they_come(formatter):
    shown = formatter(Redactor(SECRETS))
    error = RuntimeError("login with hush-hush failed at postgresql://reef:pass%40word@db/x")
    for line in (
        shown.format(record("the secret is %s", "hush-hush")),
        shown.format(record("let me in, he said")),
        shown.format(record("it failed", error=error)),
        shown.format(record("at https://me:geheim@cvat.example.org/api")),
    ):
        for secret in ("hush-hush", "let me in", "geheim", "pass%40word"):
            assert secret not in line, line
        assert "***" in line


def test_addresses_without_a_password_stay_as_they_are():
    text = "http://127.0.0.1:8765/ready and s3://bucket/a@b"
    assert Redactor({})(text) == text


def test_secret_settings_are_found_by_their_kind(tmp_path):
    settings = Settings(
        _env_file=None,
        webhook_secret="w",
        inbox_url="postgresql://reef:p%40ss@db/inbox",
        notify_url="https://hooks.example.org/token",
        cvat_url="https://cvat.example.org",
    )
    assert secrets_of(settings) == {
        "webhook_secret": "w",
        "inbox_url": "p@ss",
        "notify_url": "https://hooks.example.org/token",
    }
