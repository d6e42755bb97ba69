"""``reefline survey``: check survey files, print their JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from inference.registry import ModelRegistry
from labels.survey import SurveyError, survey_json_schema
from orchestration.cli.context import UsageProblem, state
from orchestration.doctor import model_problem
from resources.surveys import SurveyCatalog

app = typer.Typer(help="Survey files.", no_args_is_help=True)


@app.command("check")
def check(
    context: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(help="Survey files; default: all of the installation.")] = None,
) -> None:
    """Validate survey files, and that their models fit them; every problem with file and line."""
    catalog = state(context).surveys
    paths = files or catalog.paths()
    if not paths:
        raise UsageProblem(f"no survey file in {catalog.folder}: copy surveys/example.yaml and change it")
    models = _known_models(state(context).models)
    problems = []
    for path in paths:
        try:
            survey = SurveyCatalog(path.parent).load(path)
        except SurveyError as error:
            problems.append(str(error))
            continue
        wrong = model_problem(models, survey)
        if wrong:
            problems.append(f"{path}: models.corals: {wrong}")
        else:
            typer.echo(f"{path}: ok ({survey.name}, {survey.workflow}, batches of {survey.batch_size})")
    if problems:
        raise SurveyError("\n".join(problems))


def _known_models(models: ModelRegistry) -> ModelRegistry:
    """The installation's models; the shipped ones where its store is out of reach, as on a laptop in the field."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        models.cards()
    except (BotoCoreError, ClientError) as error:
        typer.echo(f"the object store does not answer ({error}): checked against the shipped models only", err=True)
        return ModelRegistry()
    return models


@app.command("schema")
def schema() -> None:
    """The JSON Schema of survey files, for editors."""
    typer.echo(json.dumps(survey_json_schema(), indent=2))
