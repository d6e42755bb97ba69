"""Routes for the reports of CVAT's quality control, and their conflicts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from deploy.local.sandbox.api.quality import settings_in_force
from deploy.local.sandbox.http import Caller, Problem, Sandbox, VndJson, body_of, paged, required
from deploy.local.sandbox.store import Document, now
from deploy.local.sandbox.uploads import request_body


def reports_routes(sandbox: Sandbox) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/api/quality")
    store = sandbox.store

    @api.post("/reports")
    async def ask_for_report(request: Request) -> VndJson:
        """Ask for the reports of a task and its jobs; they are there at once."""
        # What measures takes long to import, and most sandboxes are never asked for a report.
        from deploy.local.sandbox.quality import ReportRefusedError, make_reports

        caller = sandbox.caller(request)
        body = await body_of(request)
        required(body, "task_id")
        task = caller.need("task", body["task_id"])
        caller.allow(caller.rights.has_task(task))
        number = f"action=calculate&target=task&target_id={task['id']}&subresource=quality"
        operation = {"type": "calculate:quality", "target": "task", "project_id": task["project_id"]}
        with store.transaction():
            try:
                [made, *_] = make_reports(store, task, settings_in_force(caller, task), now())
            except ReportRefusedError as error:
                raise Problem(400, [str(error)]) from error
            told = request_body(number, {**operation, "task_id": task["id"]}, owner=caller.user)
            told["operation"].pop("format")
            store.put("request", {"id": store.next_id("request"), "body": {**told, "result_id": made["id"]}})
        return VndJson({"rq_id": number}, 202)

    @api.get("/reports")
    def reports(request: Request) -> VndJson:
        """Reports, newest first: of a task, a project, a job, or the parts of another."""
        caller = sandbox.caller(request)
        query = request.query_params
        found = [r for r in store.all("quality_report") if _seen(caller, r)]
        for name in ("task_id", "project_id", "job_id", "parent_id"):
            if name in query:
                found = [r for r in found if r[name] == int(query[name])]
        if "target" in query:
            found = [r for r in found if _target(r) == query["target"]]
        return paged(request, found, lambda report: _listed(caller, report))

    @api.get("/reports/{number}")
    def report(number: int, request: Request) -> VndJson:
        """One report, summed up."""
        caller = sandbox.caller(request)
        return VndJson(_listed(caller, _report(caller, number)))

    @api.get("/reports/{number}/data")
    def data(number: int, request: Request) -> JSONResponse:
        """One report in full."""
        caller = sandbox.caller(request)
        return JSONResponse(_in_full(caller, _report(caller, number)))

    @api.get("/conflicts")
    def conflicts(request: Request) -> VndJson:
        """Conflicts of a report; a task's are those of its jobs."""
        caller = sandbox.caller(request)
        query = request.query_params
        mine = {r["id"]: r for r in store.all("quality_report") if _seen(caller, r)}
        if "report_id" in query:
            number = int(query["report_id"])
            mine = {key: r for key, r in mine.items() if number in (key, r["parent_id"])}
        found = [row for row in store.all("quality_conflict") if row["report_id"] in mine]
        return paged(request, found, lambda row: row)

    return api


def _report(caller: Caller, number: int) -> Document:
    kept = caller.store.get("quality_report", number)
    if kept is None or not _seen(caller, kept):
        raise Problem(404, {"detail": "No QualityReport matches the given query."})
    return kept


def _seen(caller: Caller, report: Document) -> bool:
    task = caller.store.get("task", report["task_id"])
    return task is not None and (caller.rights.everything or caller.rights.has_task(task))


def _target(report: Document) -> str:
    return "job" if report["job_id"] else "task"


def _listed(caller: Caller, report: Document) -> Document:
    """A report as lists tell of it."""
    whole = report["comparison_summary"]
    frames, share = whole["frame_count"], whole["frame_share"]
    summary = {"total_frames": whole["total_frames"], "frame_count": frames, "validation_frames": frames}
    summary |= {"frame_share": share, "validation_frame_share": share}
    summary |= {k: whole[k] for k in ("conflict_count", "warning_count", "error_count", "conflicts_by_type")}
    names = ("valid_count", "ds_count", "gt_count", "total_count", "accuracy", "precision", "recall")
    summary |= {name: whole["annotations"][name] for name in names}
    if whole["jobs"]:
        kinds = ("total", "excluded", "not_checkable", "included")
        summary["jobs"] = {kind: whole["jobs"][f"{kind}_count"] for kind in kinds}
    return {
        **{name: report[name] for name in ("id", "job_id", "task_id", "project_id", "parent_id")},
        "target": _target(report),
        "summary": summary,
        **{name: report[name] for name in ("created_date", "target_last_updated", "gt_last_updated")},
        "assignee": caller.views.basic_user(report["assignee"]),
    }


def _in_full(caller: Caller, report: Document) -> Document:
    """A report's data file; its dates are written as Python does."""
    told = {name: report[name] for name in ("id", "job_id", "task_id", "project_id", "parent_id") if report[name]}
    for name in ("created_date", "target_last_updated", "gt_last_updated"):
        told[name] = report[name].replace("T", " ").replace("Z", "+00:00")
    who = caller.views.basic_user(report["assignee"])
    told["assignee"] = {k: v for k, v in who.items() if k != "url"} if who else None
    told |= {name: report[name] for name in ("parameters", "comparison_summary")}
    return {**told, "frame_results": _with_addresses(caller, report), "conflicts": report["conflicts"]}


def _with_addresses(caller: Caller, report: Document) -> Document:
    """Results by frame, in which every shape says where it can be seen."""
    found = {}
    for frame, result in report["frame_results"].items():
        rows = [
            {**row, "annotation_ids": [{**i, "url": _address(caller, report, frame, i)} for i in row["annotation_ids"]]}
            for row in result["conflicts"]
        ]
        found[frame] = {**result, "conflicts": rows}
    return found


def _address(caller: Caller, report: Document, frame: str, named: Document) -> str:
    where = f"{caller.views.base}/tasks/{report['task_id']}/jobs/{named['job_id']}"
    return f"{where}?frame={frame}&type={named['type']}&serverID={named['obj_id']}"
