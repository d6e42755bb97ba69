"""``python docs/reference.py``: write docs/reference/*.md from the code. A test holds the pages to it.

Settings, survey files, the command line and the assets are described where they are defined; these pages only show it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

FOLDER = Path(__file__).parent / "reference"
HEAD = "<!-- Written by 'python docs/reference.py'; change the code and write it anew. -->\n\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    names = list(head)
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(cell(text) for text in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A text that stays in its cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def settings_page() -> str:
    """Every setting with its default."""
    from resources.settings import PREFIX, Settings

    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        empty = default is PydanticUndefined or isinstance(default, SecretStr) or default == ""
        shown = "" if empty else f"`{default}`"
        secret = " Secret." if isinstance(default, SecretStr) else ""
        rows.append((f"`{PREFIX}{name.upper()}`", shown, (field.description or "") + secret))
    return (
        HEAD
        + "# Settings\n\nFrom the environment, or from `.env` in the folder where reefline is started (another file"
        " by `reefline --env FILE`). The environment wins. A misspelt `REEFLINE_` name is refused.\n\n"
        + table(("variable", "default", "what it is"), rows)
    )


def survey_page() -> str:
    """Every field of survey files."""
    from labels.survey import survey_json_schema

    schema = survey_json_schema()
    rows = list(survey_rows(schema, schema.get("$defs", {}), ""))
    return (
        HEAD + "# Survey files\n\nOne YAML file per survey. The same as a commented example: `surveys/example.yaml`; as"
        " JSON Schema, for editors: `labels/data/survey.schema.json` (or `reefline survey schema`).\n\n"
        + table(("field", "is", "default", "what it is"), rows)
    )


def survey_rows(schema: Mapping[str, Any], known: Mapping[str, Any], path: str) -> Iterable[tuple[str, str, str, str]]:
    """Fields of a JSON Schema object, those of nested objects after it with their whole path."""
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        whole = resolved(field, known)
        label = f"{path}{name}"
        default = "required" if name in required else shown(field.get("default", whole.get("default")))
        yield f"`{label}`", kind(whole), default, field.get("description", whole.get("description", ""))
        if whole.get("properties"):
            yield from survey_rows(whole, known, f"{label}.")


def resolved(field: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference, or the one part of a union that is not null, stands for."""
    if "$ref" in field:
        return dict(known[str(field["$ref"]).rpartition("/")[2]])
    parts = [part for part in field.get("anyOf", ()) if part.get("type") != "null"]
    return resolved(parts[0], known) if len(parts) == 1 else field


def kind(field: Mapping[str, Any]) -> str:
    """A type in words."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    limits = [f"{sign} {field[key]}" for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
              if key in field]  # fmt: skip
    name = {"object": "block", "array": "list", "string": "text", "boolean": "true, false"}.get(
        str(field.get("type", "")), str(field.get("type", "text"))
    )
    return " ".join([name, *limits])


def shown(default: Any) -> str:
    """A default value as one would write it."""
    if default is None or default in ("", []) or isinstance(default, dict):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def cli_page() -> str:
    """Every command with its arguments and options."""
    import typer

    from orchestration.cli.main import app

    groups = [app, *(entry.load() for entry in sorted(entry_points(group="reefline.commands"), key=lambda e: e.name))]
    parts = [
        HEAD
        + "# Command line\n\n`reefline COMMAND --help` says the same. A mistake of the user is one line on standard"
        " error and exit code 2.\n"
    ]
    seen: set[str] = set()
    commands: dict[str, Any] = {}
    for group in groups:
        made = typer.main.get_command(group)
        commands |= getattr(made, "commands", None) or {made.name: made}
    for name, command in sorted(commands.items()):
        if name not in seen:
            seen.add(name)
            parts += command_parts(f"reefline {name}", command)
    return "\n".join(parts)


def command_parts(path: str, command: Any) -> list[str]:
    """A command, and those below it."""
    if hasattr(command, "commands"):
        below = sorted(command.commands.items())
        return [part for name, other in below for part in command_parts(f"{path} {name}", other)]
    rows = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            label = f"`{parameter.name.upper()}`" + ("" if parameter.required else " (optional)")
        elif parameter.name == "help":
            continue
        else:
            label = ", ".join(f"`{option}`" for option in parameter.opts)
        default = parameter.default
        told = f" Default: {default}." if default not in (None, False, "", [], ()) and not callable(default) else ""
        rows.append((label, (getattr(parameter, "help", "") or "") + told))
    text = inspect.cleandoc(command.help or "").split("\n\n")[0]
    return [f"## {path}\n\n{text}\n", table(("", ""), rows) if rows else ""]


def assets_page() -> str:
    """Every asset of the code location, its checks, and the jobs."""
    from orchestration.definitions import build_defs
    from resources.settings import Settings

    found = build_defs(Settings(_env_file=None, cvat_url="http://cvat"))  # type: ignore[call-arg]
    graph = found.resolve_asset_graph()
    parts = [
        HEAD + "# Assets\n\nWhat Dagster shows. A partition is a batch of up to 500 photos; releases have partitions of"
        " their own.\n"
    ]
    specs = sorted(found.resolve_all_asset_specs(), key=lambda spec: (spec.group_name or "", spec.key.to_user_string()))
    checks = sorted(graph.asset_check_keys, key=lambda key: key.to_user_string())
    group = None
    for spec in specs:
        if spec.group_name != group:
            group = spec.group_name
            parts.append(f"## {group}\n")
        about = [f"**`{spec.key.to_user_string()}`** — {' '.join((spec.description or '').split())}"]
        deps = sorted(dep.asset_key.to_user_string() for dep in spec.deps)
        facts = {
            "from": ", ".join(f"`{name}`" for name in deps),
            "owner": ", ".join(spec.owners),
            "checks": ", ".join(f"`{key.name}`" for key in checks if key.asset_key == spec.key),
        }
        about += [f"- {name}: {value}" for name, value in facts.items() if value]
        parts.append("\n".join([about[0], "", *about[1:]]) + "\n")
    rows = [(f"`{job.name}`", job.description or "") for job in sorted(found.jobs or [], key=lambda job: job.name)]
    return "\n".join([*parts, "## Jobs\n", table(("job", "what it does"), rows)])


PAGES = {"settings.md": settings_page, "survey.md": survey_page, "cli.md": cli_page, "assets.md": assets_page}


def main() -> int:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    sys.exit(main())
