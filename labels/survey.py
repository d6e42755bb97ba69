"""The survey file: what a field campaign wants, as one YAML file that a reef scientist can read and change.

:func:`parse_survey` names every problem with its line and what to do about it. The JSON Schema
(``data/survey.schema.json``) lets editors complete and check the file while it is written.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from labels.lattice import LatticeError, load_topology
from labels.survey_model import GatePolicy, SurveyConfig, Workflow, survey_json_schema
from labels.taxonomy import TaxonomyError, load_taxonomy

__all__ = [
    "GatePolicy",
    "SurveyConfig",
    "SurveyError",
    "Workflow",
    "batch_key",
    "parse_batch_key",
    "parse_survey",
    "survey_json_schema",
]

Path = tuple[str | int, ...]

_MAX_CHARACTERS = 1_000_000
_MAX_VALUES = 20_000
_MAX_LINE = 400
_BATCH_KEY = re.compile(r"([a-z0-9][a-z0-9-]{0,39})\.([0-9]{4,})")


class SurveyError(ValueError):
    """A survey file or a batch key is wrong; the message has one line per problem and says what to do."""


def parse_survey(text: str, origin: str) -> SurveyConfig:
    """A survey from YAML text.

    Args:
        text: the file's content.
        origin: what to call the file in messages.

    Raises:
        SurveyError: one line per problem, each ``file:line: field: what is wrong and what to do``.
    """
    tree = _load(text, origin)
    try:
        survey = SurveyConfig.model_validate(_plain(tree, [_MAX_VALUES]))
    except RecursionError as error:
        raise SurveyError(f"{origin}:1: YAML: {error}") from error
    except ValidationError as error:
        problems = [_explain(e) for e in error.errors(include_url=False)]
    else:
        problems = list(_cross_check(survey))
    if problems:
        ordered = sorted({(_line(tree, path), _dotted(path), message) for path, message in problems})
        raise SurveyError("\n".join(_one_line(f"{origin}:{line}: {where}: {text}") for line, where, text in ordered))
    return survey


def _load(text: str, origin: str) -> CommentedMap:
    if len(text) > _MAX_CHARACTERS:
        raise SurveyError(f"{origin}:1: survey: {len(text)} characters are no survey file: copy surveys/example.yaml")
    try:
        tree = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = str(error.problem or error.context or "not YAML").splitlines()[0]
        raise SurveyError(f"{origin}:{mark.line + 1 if mark else 1}: YAML: {what}") from error
    except (YAMLError, ValueError, RecursionError) as error:  # reader errors have no mark; bad scalars are ValueErrors
        what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SurveyError(f"{origin}:1: YAML: {what}") from error
    if not isinstance(tree, CommentedMap):
        raise SurveyError(f"{origin}:1: survey: expected 'field: value' lines; copy surveys/example.yaml and change it")
    return tree


def _plain(node: Any, budget: list[int]) -> Any:
    """Plain data without ruamel's types. The budget of values ends aliases that refer to themselves or multiply."""
    budget[0] -= 1
    if budget[0] < 0:
        raise RecursionError("aliases (&name, *name) that unfold without end: write the values out")
    if isinstance(node, dict):
        return {str(key): _plain(value, budget) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value, budget) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _explain(error: Any) -> tuple[Path, str]:
    path: Path = tuple(error["loc"])
    kind, given = error["type"], error.get("input")
    explain = _EXPLAINED.get(kind)
    if explain:
        return path, explain(path, given, error.get("ctx", {}))
    message = str(error["msg"]).removeprefix("Input ").removeprefix("should ")
    return path, f"{given!r} should {message}: {_description(path)}" if given is not None else f"is empty: {message}"


def _one_line(text: str) -> str:
    """Whatever the file held, its message stays one readable line."""
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return plain if len(plain) <= _MAX_LINE else plain[:_MAX_LINE] + "..."


def _unknown(path: Path, given: Any, context: dict[str, Any]) -> str:
    known = _fields_at(path[:-1])
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.5)
    return "unknown field; " + (f"did you mean {near[0]!r}?" if near else f"known fields: {', '.join(known)}")


def _not_a_choice(path: Path, given: Any, context: dict[str, Any]) -> str:
    choices = [part.strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]
    near = difflib.get_close_matches(str(given), choices, 1, 0.5)
    return f"{given!r} is not one of {', '.join(choices)}" + (f"; did you mean {near[0]!r}?" if near else "")


_EXPLAINED: dict[str, Callable[[Path, Any, dict[str, Any]], str]] = {
    "extra_forbidden": _unknown,
    "literal_error": _not_a_choice,
    "enum": _not_a_choice,
    "missing": lambda path, given, context: f"is missing: add '{path[-1]}: ...' ({_description(path)})",
    "string_pattern_mismatch": lambda path, given, context: f"{given!r} does not fit: {_description(path)}",
    "model_type": lambda path, given, context: f"expected indented 'field: value' lines: {', '.join(_fields_at(path))}",
    "string_type": lambda path, given, context: (
        f"is empty: {_description(path)}" if given is None else f'expected text: write it in quotes, "{given}"'
    ),
    "value_error": lambda path, given, context: str(context["error"]),
}


def _cross_check(survey: SurveyConfig) -> Iterator[tuple[Path, str]]:
    try:
        load_taxonomy(survey.taxonomy)
    except TaxonomyError as error:
        yield ("taxonomy",), str(error)
    try:
        load_topology(survey.lattice.topology)
    except LatticeError as error:
        yield ("lattice", "topology"), str(error)
    yield from _check_lama(survey)
    yield from _check_honeypots(survey)
    yield from _check_replicas(survey)
    for name in ("min_accuracy", "min_mean_iou"):
        if getattr(survey.quality, name) is not None and not (survey.cvat.ground_truth or survey.cvat.honeypots):
            yield (
                ("quality", name),
                "is against a ground-truth job: set cvat.ground_truth or cvat.honeypots, or remove it",
            )
    if survey.workflow == Workflow.THREE_STAGE:
        return
    wanted = "three_stage" if survey.workflow == Workflow.TWO_STAGE else "two_stage or three_stage"
    for part, stages in {"lattice": "three_stage", "removal": "three_stage"}.items():
        if part in survey.model_fields_set:
            yield (part,), f"has no effect in workflow {survey.workflow}: remove it, or set 'workflow: {stages}'"
    unused = ["lattice"] if survey.workflow == Workflow.TWO_STAGE else ["corners", "lattice"]
    for gate in unused:
        if gate in survey.gates.model_fields_set and getattr(survey.gates, gate).policy != "never":
            needs = "three_stage" if gate == "lattice" else wanted
            yield ("gates", gate), f"workflow {survey.workflow} has no such gate: remove it, or set 'workflow: {needs}'"


def _check_lama(survey: SurveyConfig) -> Iterator[tuple[Path, str]]:
    wanted = survey.removal
    if wanted.method == "lama" and not wanted.model and not (wanted.weights and wanted.sha256):
        yield (
            ("removal",),
            "method 'lama' needs its file: 'model' (an entry of the registry), or 'weights' with 'sha256'",
        )


def _check_honeypots(survey: SurveyConfig) -> Iterator[tuple[Path, str]]:
    cvat, where = survey.cvat, ("cvat", "honeypots")
    if cvat.honeypots is None:
        return
    if cvat.ground_truth:
        yield where, "cannot be used together with cvat.ground_truth: both make the task's ground-truth job; remove one"
    if cvat.job_size is None:
        yield where, "are hidden in every job: set cvat.job_size, the number of pictures per job"
    elif cvat.honeypots.per_job > cvat.job_size:
        yield (*where, "per_job"), f"{cvat.honeypots.per_job} is more than the job_size of {cvat.job_size}: lower it"
    pool = max(1, int(survey.batch_size * cvat.honeypots.pool_share))
    if cvat.honeypots.per_job > pool:
        told = f"{cvat.honeypots.per_job} is more than the pool of a batch, {pool} of {survey.batch_size} pictures"
        yield (*where, "per_job"), f"{told}: lower it, or raise pool_share"


def _check_replicas(survey: SurveyConfig) -> Iterator[tuple[Path, str]]:
    cvat, where = survey.cvat, ("cvat", "replicas")
    if cvat.replicas is None:
        return
    if cvat.honeypots:
        yield where, "cannot be used together with cvat.honeypots: CVAT lays such tasks out without copies; remove one"
    needed = cvat.replicas.count + 1
    if 0 < len(set(cvat.assignees)) < needed:
        told = f"{cvat.replicas.count} copies of a job and the job itself need {needed} people, assignees names"
        yield where, f"{told} {len(set(cvat.assignees))}: nobody should draw a picture twice; name more, or nobody"


def _model_at(path: Sequence[str | int]) -> type[BaseModel] | None:
    model: type[BaseModel] | None = SurveyConfig
    for step in path:
        field = model.model_fields.get(str(step)) if model else None
        kind = field.annotation if field else None
        model = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return model


def _fields_at(path: Sequence[str | int]) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _description(path: Path) -> str:
    for end in range(len(path), 0, -1):  # an item of a list is described by the list
        model = _model_at(path[: end - 1])
        if model and (field := model.model_fields.get(str(path[end - 1]))):
            return (field.description or "").rstrip(".")
    return ""


def _line(tree: CommentedMap, path: Path) -> int:
    """Line of a field, from 1; of its nearest parent when the field is not in the file."""
    node: Any = tree
    line = tree.lc.line
    for step in path:
        try:
            if isinstance(node, CommentedMap):
                line = node.lc.key(step)[0]
            elif isinstance(node, CommentedSeq):
                line = node.lc.item(step)[0]
            node = node[step]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return int(line) + 1


def _dotted(path: Path) -> str:
    return ".".join(str(step) for step in path) or "survey"


def batch_key(survey: str, number: int) -> str:
    """Key of a survey's batch: ``<survey>.<nnnn>``, numbered from 1.

    Raises:
        SurveyError: the name cannot be part of a key, or the number is not positive.
    """
    key = f"{survey}.{number:04d}"
    if number < 1 or not _BATCH_KEY.fullmatch(key):
        raise SurveyError(f"{key!r} cannot be a batch key: use a survey name like 'moorea-2026' and numbers from 1")
    return key


def parse_batch_key(key: str) -> tuple[str, int]:
    """Survey name and number of a batch key.

    Raises:
        SurveyError: it is not a batch key.
    """
    match = _BATCH_KEY.fullmatch(key)
    if not match or (number := int(match[2])) < 1 or batch_key(match[1], number) != key:
        raise SurveyError(f"{key!r} is not a batch key: expected '<survey>.<nnnn>', for example 'moorea-2026.0001'")
    return match[1], number
