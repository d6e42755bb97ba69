"""``python -m deploy.nuclio.generate``: write the functions' folders from the taxonomies and lattices.

Without arguments the shipped folders are written anew. With ``--out`` a function for other labels is written: a lattice
or taxonomy of one's own, a skeleton of another name, another model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.nuclio.catalog import FOLDER, FUNCTIONS, Function, declared_labels, function_of
from deploy.nuclio.settings import FunctionSettings
from inference.functions.detectors import FunctionSetupError
from labels.lattice import LatticeError
from labels.taxonomy import TaxonomyError

BASE_IMAGE = "reefline-functions"
BODY_LIMIT = 134_217_728
"""Bytes of the largest request, 128 MB: CVAT sends the original file, a third larger in base64."""

_MAIN = '''"""Nuclio's way into {name}; what it does is in ``deploy.nuclio``."""

from typing import Any

from deploy.nuclio import handler as shared


def init_context(context: Any) -> None:
    """Load the function."""
    shared.init_context(context, "{name}")


def handler(context: Any, event: Any) -> Any:
    """Answer one request."""
    return shared.handle(context, event)
'''


class _Block(str):
    """Text that YAML shows as it is."""


class _Dumper(yaml.SafeDumper):
    """Writes :class:`_Block` with ``|``."""


_Dumper.add_representer(
    _Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def files_of(function: Function, environment: dict[str, str] | None = None) -> dict[str, str]:
    """File name -> text of a function's folder.

    Args:
        function: which one.
        environment: variables of its container, over the function's own.
    """
    values = {**function.defaults, **(environment or {})}
    made = {"main.py": _MAIN.format(name=function.name), "function.yaml": _yaml(function, values, gpu=False)}
    if function.gpu:
        made["function-gpu.yaml"] = _yaml(function, values, gpu=True)
    return made


def _yaml(function: Function, environment: dict[str, str], gpu: bool) -> str:
    labels = declared_labels(function, FunctionSettings.of(environment))
    annotations: dict[str, Any] = {"name": function.title}
    if function.kind:
        annotations |= {"type": function.kind, "spec": _spec(labels)}
    spec: dict[str, Any] = {
        "description": function.description,
        "runtime": "python:3.11",
        "handler": "main:handler",
        "eventTimeout": "120s",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "build": {
            "image": f"{BASE_IMAGE}.{function.name}{'.gpu' if gpu else ''}",
            "baseImage": f"{BASE_IMAGE}:{'gpu' if gpu else 'latest'}",
        },
        "triggers": {
            "http": {
                "kind": "http",
                "maxWorkers": 1,
                "workerAvailabilityTimeoutMilliseconds": 10000,
                "attributes": {"maxRequestBodySize": BODY_LIMIT},
            }
        },
        "minReplicas": 1,
        "maxReplicas": 1,
        "resources": {"requests": {"memory": "2Gi"}},
        "platform": {
            "attributes": {
                "restartPolicy": {"name": "always", "maximumRetryCount": 3},
                "mountMode": "volume",
                "network": "cvat_cvat",
            }
        },
    }
    if gpu:
        spec["resources"]["limits"] = {"nvidia.com/gpu": 1}
    if "REEFLINE_SAM_WEIGHTS" in environment:
        spec["volumes"] = [
            {
                "volume": {"name": "weights", "hostPath": {"path": "/opt/reefline/weights"}},
                "volumeMount": {"name": "weights", "mountPath": "/opt/weights", "readOnly": True},
            }
        ]
    data = {
        "metadata": {"name": function.name, "namespace": "cvat", "annotations": annotations | function.annotations},
        "spec": spec,
    }
    head = "# Written by python -m deploy.nuclio.generate; change deploy/nuclio/catalog.py and write it anew.\n"
    return head + yaml.dump(data, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _spec(labels: list[dict[str, Any]]) -> str:
    """The labels as CVAT reads them, a line each; colours are the project's business."""
    if not labels:
        return _Block("[]\n")
    rows = [json.dumps(_plain(label), ensure_ascii=False) for label in labels]
    return _Block("[\n  " + ",\n  ".join(rows) + "\n]\n")


def _plain(label: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: label[key] for key in ("name", "type", "attributes", "svg") if key in label}
    if "sublabels" in label:
        kept["sublabels"] = [_plain(node) for node in label["sublabels"]]
    return kept


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a function's files into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Write folders; 2 for a wrong setting."""
    parser = argparse.ArgumentParser(prog="python -m deploy.nuclio.generate", description=__doc__)
    parser.add_argument("function", nargs="?", help="only this one")
    parser.add_argument("--out", type=Path, help="folder to write it into; default: the shipped ones")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="e.g. REEFLINE_LABEL=grid")
    given = parser.parse_args(arguments)
    if (given.out or given.set) and not (given.out and given.function):
        parser.error("--set and --out go together, with the name of one function")
    if wrong := [text for text in given.set if "=" not in text]:
        parser.error(f"--set {wrong[0]}: write NAME=VALUE")
    environment = dict(text.split("=", 1) for text in given.set)
    try:
        for function in [function_of(given.function)] if given.function else FUNCTIONS.values():
            write(given.out or FOLDER / function.name, files_of(function, environment))
    except (FunctionSetupError, LatticeError, TaxonomyError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
