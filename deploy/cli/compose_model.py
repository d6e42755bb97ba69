"""Reading Compose files the way Compose does, as far as these files use it: merge, interpolate, apply profiles.

It lets an installation be checked where no Docker is (and lets tests look at every combination of overlays). Where
Docker is, ``docker compose config`` is asked as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

VARIABLE = re.compile(
    r"\$\$|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<sign>:?[-?+])(?P<word>[^}]*))?\}|\$(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
)
KEYED_LISTS = {"volumes", "ports", "env_file", "secrets", "configs", "devices"}
UNIQUE_LISTS = {"networks", "profiles", "cap_add", "cap_drop", "security_opt", "dns", "extra_hosts", "tmpfs", "expose"}
WHOLE_LISTS = {"command", "entrypoint", "test"}


class ComposeError(ValueError):
    """The files do not make a model; the message names the file and the place."""


class Reset:
    """``!reset``: what earlier files say is dropped."""


class Override:
    """``!override``: what earlier files say is replaced by this value."""

    def __init__(self, value: Any) -> None:
        """Replace by ``value``."""
        self.value = value


class _Loader(yaml.SafeLoader):
    """YAML with Compose's two tags."""


def _override(loader: _Loader, node: yaml.Node) -> Override:
    if isinstance(node, yaml.SequenceNode):
        return Override(loader.construct_sequence(node, deep=True))
    if isinstance(node, yaml.MappingNode):
        return Override(loader.construct_mapping(node, deep=True))
    return Override(loader.construct_scalar(node))  # type: ignore[arg-type]


_Loader.add_constructor("!reset", lambda loader, node: Reset())
_Loader.add_constructor("!override", _override)


def load(path: Path) -> dict[str, Any]:
    """One file as data.

    Raises:
        ComposeError: it is missing or not YAML.
    """
    try:
        return dict(yaml.load(path.read_text(encoding="utf-8"), _Loader))  # noqa: S506 - a SafeLoader with two tags
    except FileNotFoundError as error:
        raise ComposeError(f"{path} is missing") from error
    except yaml.YAMLError as error:
        raise ComposeError(f"{path}: {error}") from error


def merged(files: Iterable[Path]) -> dict[str, Any]:
    """Files merged in order, without their ``x-`` parts."""
    model: dict[str, Any] = {}
    for file in files:
        data = {key: value for key, value in load(file).items() if not key.startswith("x-")}
        for service in data.get("services", {}).values():
            _long_forms(service)
        model = _merge(model, data, ())
    return _plain(model)


def _long_forms(service: dict[str, Any]) -> None:
    """Spell out the short forms that merge differently from how they look."""
    for key in ("environment", "labels"):
        value = service.get(key)
        if isinstance(value, list):
            pairs = (str(word).partition("=") for word in value)
            service[key] = {name: (text if sign else None) for name, sign, text in pairs}
    for key, default in (("depends_on", {"condition": "service_started"}), ("networks", None)):
        if isinstance(service.get(key), list):
            service[key] = {name: deepcopy(default) for name in service[key]}


def _merge(old: Any, new: Any, path: tuple[str, ...]) -> Any:
    key = path[-1] if path else ""
    if isinstance(new, Reset):
        return None
    if isinstance(new, Override):
        return new.value
    if isinstance(old, dict) and isinstance(new, dict):
        found = dict(old)
        for name, value in new.items():
            if isinstance(value, Reset):
                found.pop(name, None)
            else:
                found[name] = _merge(found.get(name), value, (*path, name))
        return found
    if isinstance(old, list) and isinstance(new, list) and key not in WHOLE_LISTS:
        if key in KEYED_LISTS:
            byplace = {_place(item, key): item for item in (*old, *new)}
            return list(byplace.values())
        return [*old, *(item for item in new if item not in old)]
    return old if new is None and old is not None else new


def _place(item: Any, key: str) -> str:
    """What makes two entries of a list the same one: where a volume is mounted, which port is meant."""
    if isinstance(item, dict):
        return str(item.get("target") or item.get("path") or item.get("source"))
    parts = re.split(r":(?![^{]*\})", str(item))
    return parts[1] if key == "volumes" and len(parts) > 1 else str(item)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if not isinstance(item, Reset)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _plain(value.value) if isinstance(value, Override) else value


def variables(value: Any) -> dict[str, bool]:
    """Names that a model asks for; ``True`` where it cannot do without."""
    found: dict[str, bool] = {}
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            for name, needed in variables(item).items():
                found[name] = found.get(name, False) or needed
    elif isinstance(value, str):
        for match in VARIABLE.finditer(value):
            name = match["name"] or match["plain"]
            if name:
                found[name] = found.get(name, False) or (match["sign"] or "").endswith("?")
    return found


def interpolated(value: Any, env: Mapping[str, str]) -> Any:
    """The model with its variables filled in.

    Raises:
        ComposeError: a variable that it cannot do without is missing or empty.
    """
    if isinstance(value, dict):
        return {name: interpolated(item, env) for name, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item, env) for item in value]
    return VARIABLE.sub(lambda match: _filled(match, env), value) if isinstance(value, str) else value


def _filled(match: re.Match[str], env: Mapping[str, str]) -> str:
    name = match["name"] or match["plain"]
    if not name:
        return "$"
    sign, word = match["sign"] or "", match["word"] or ""
    known = env.get(name)
    absent = known is None or (sign.startswith(":") and not known)
    if absent and sign.endswith("?"):
        raise ComposeError(f"{name} is not set: {word}")
    if sign.endswith("+"):
        return "" if absent else word
    return word if absent and sign.endswith("-") else known or ""


def active(model: Mapping[str, Any], profiles: Iterable[str]) -> dict[str, Any]:
    """Services that would be started: those without a profile, and those of these profiles."""
    wanted = set(profiles)
    services: dict[str, Any] = model.get("services", {})
    return {
        name: service
        for name, service in services.items()
        if not service.get("profiles") or wanted & set(service["profiles"])
    }
