"""The two functions that Nuclio calls, shared by all functions.

Each function's ``main.py`` defines ``init_context`` and ``handler`` itself and passes them on to here: Nuclio looks for
``init_context`` in the module in which ``handler`` was defined.
"""

from __future__ import annotations

import json
import traceback
from typing import Any

from deploy.nuclio.answers import JSON, Answer, Service
from deploy.nuclio.catalog import function_of, with_defaults
from deploy.nuclio.request import BadRequest, body_of
from deploy.nuclio.settings import FunctionSettings

MODEL_HEADER = "X-Reefline-Model"
"""Which model answered: ``name@version#sha256[:12]``."""
NOTE_HEADER = "X-Reefline-Note"
"""Why an answer is empty or doubtful; several remarks are joined by ``; ``."""
LONGEST_NOTE = 500


def init_context(context: Any, name: str) -> None:
    """Load the function, once per worker.

    Raises:
        FunctionSetupError: a setting is wrong, or weights are missing; Nuclio then shows the function as unhealthy.
        ModelError: the model is missing or damaged.
    """
    function = function_of(name)
    service = function.make(with_defaults(function, FunctionSettings.of()))
    context.user_data.service = service
    context.logger.info(f"{name} is ready: {service.reference}")


def handle(context: Any, event: Any) -> Any:
    """Answer one request: 200, 400 for a wrong request, 500 for a fault of this side (details are in the log)."""
    service: Service = context.user_data.service
    headers = {MODEL_HEADER: service.reference}
    try:
        answer = service.answer(body_of(event.body), _header(event, "Accept"))
    except BadRequest as error:
        context.logger.warn(f"refused: {error}")
        return _respond(context, 400, _problem(str(error)), headers)
    except Exception as error:  # whatever it is, the worker lives on and the caller gets an answer
        context.logger.error(f"failed: {traceback.format_exc()}")  # noqa: TRY400 - Nuclio's logger has no exception()
        text = f"the function failed ({type(error).__name__}); its log says more"
        return _respond(context, 500, _problem(text), headers)
    if answer.notes:
        headers[NOTE_HEADER] = _line("; ".join(answer.notes))
    return _respond(context, 200, answer, headers)


def _respond(context: Any, status: int, answer: Answer, headers: dict[str, str]) -> Any:
    return context.Response(body=answer.body, headers=headers, content_type=answer.content_type, status_code=status)


def _problem(text: str) -> Answer:
    return Answer(json.dumps({"error": _line(text)}), JSON)


def _line(text: str) -> str:
    """One line of ASCII, as headers need it."""
    return " ".join(text.split()).encode("ascii", "replace").decode()[:LONGEST_NOTE]


def _header(event: Any, name: str) -> str:
    headers = {str(key).lower(): value for key, value in (event.headers or {}).items()}
    value = headers.get(name.lower(), "")
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
