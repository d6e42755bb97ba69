"""``python -m deploy.grafana`` writes the dashboards and alert rules; ``--check`` says which differ from the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.alerts import rule_file
from deploy.grafana.boards import BOARDS

HERE = Path(__file__).parent
HEAD = "# Made by `python -m deploy.grafana` from analytics/alerts.py: change it there.\n"


class _Text(yaml.SafeDumper):
    """Writes SQL as blocks, not as one quoted line."""


_Text.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def files() -> dict[Path, str]:
    """Every made file with its content."""
    made = {HERE / "dashboards" / f"{name}.json": dashboard(name) for name in BOARDS}
    made[HERE / "provisioning" / "alerting" / "rules.yaml"] = HEAD + yaml.dump(
        rule_file(), Dumper=_Text, sort_keys=False, allow_unicode=True, width=120
    )
    return made


def dashboard(name: str) -> str:
    """The JSON of one dashboard. Panels are numbered by their place."""
    made = json.loads(json.dumps(BOARDS[name]().build(), cls=JSONEncoder))
    for number, panel in enumerate(made["panels"], start=1):
        panel["id"] = number
    return json.dumps(made, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> int:
    """Write the files, or compare them."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, text in files().items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'differs' if check else 'written'}: {path.relative_to(HERE)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files()[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
