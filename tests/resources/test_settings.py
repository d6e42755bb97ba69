import pytest

from resources.settings import SettingsError, load_settings


def test_defaults_are_embedded_and_lie_in_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(environ={})
    assert settings.store == (tmp_path / ".reefline" / "store").as_uri()
    assert settings.inbox.startswith("sqlite:///")
    assert settings.clickhouse.startswith("chdb:///")


def test_a_misspelt_variable_is_refused_with_the_right_name(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"REEFLINE_CVAT_URI is not a setting.*REEFLINE_CVAT_URL"):
        load_settings(environ={"REEFLINE_CVAT_URI": "x"})


def test_a_wrong_value_names_the_variable(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REEFLINE_SENSOR_INTERVAL_S", "soon")
    with pytest.raises(SettingsError, match="REEFLINE_SENSOR_INTERVAL_S"):
        load_settings()


def test_an_env_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(tmp_path / "none.env", {})


def test_secrets_are_not_shown(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REEFLINE_CVAT_TOKEN", "very-secret")
    assert "very-secret" not in repr(load_settings())
