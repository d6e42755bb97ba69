"""What a person sees of the sandbox: projects, tasks and jobs, and the pictures of a task with their shapes."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse

from deploy.local.sandbox.http import Problem, Sandbox
from deploy.local.sandbox.media import picture_path
from deploy.local.sandbox.store import Document, Store

_STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#123}
.note{background:#fff4d6;border-left:4px solid #e0a800;padding:.6rem 1rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .8rem;border-bottom:1px solid #dde}
figure{margin:1rem 0}figcaption{color:#567}svg{width:100%;height:auto;background:#eef}a{color:#06c}
</style>"""
_NOTE = """<p class="note">This is the CVAT sandbox of reefline, for trying and testing. It is not CVAT, and nobody can
draw here.</p>"""


def page_routes(sandbox: Sandbox) -> APIRouter:
    """The pages. They show what lies there to everyone on this machine, and change nothing."""
    pages = APIRouter()
    store = sandbox.store

    @pages.get("/")
    def front() -> HTMLResponse:
        """All projects with their tasks."""
        parts = []
        for project in store.all("project"):
            rows = "".join(_task_row(store, t) for t in store.all("task", project_id=project["id"]))
            empty = '<tr><td colspan="4">no tasks</td></tr>'
            head = "<tr><th>task</th><th>pictures</th><th>jobs completed</th><th>status</th></tr>"
            parts.append(f"<h2>{escape(project['name'])}</h2><table>{head}{rows or empty}</table>")
        return _page("CVAT sandbox", "".join(parts) or "<p>No projects yet: run <code>reefline cvat apply</code>.</p>")

    @pages.get("/tasks/{number}")
    def task(number: int) -> HTMLResponse:
        """The pictures of a task with their shapes."""
        found = store.get("task", number)
        if found is None:
            raise Problem(404, {"detail": "no such task"})
        colors = {label["id"]: label["color"] for label in store.all("label", project_id=found["project_id"])}
        kept = [store.get("annotations", j["id"]) for j in store.all("job", task_id=number)]
        shapes = [s for k in kept if k for s in k["shapes"]]
        figures = "".join(_figure(number, i, f, shapes, colors) for i, f in enumerate(found["frames"]))
        return _page(found["name"], f'<p><a href="/">all tasks</a></p>{figures}')

    @pages.get("/pictures/{number}/{frame}")
    def picture(number: int, frame: int) -> FileResponse:
        """One picture."""
        found = store.get("task", number)
        if found is None or not 0 <= frame < len(found["frames"]):
            raise Problem(404, {"detail": "no such picture"})
        return FileResponse(picture_path(sandbox, found, frame))

    @pages.get("/tasks/{number}/jobs/{job}")
    def job(number: int, job: int, request: Request) -> HTMLResponse:
        """A job's address in CVAT leads to its task."""
        return task(number)

    return pages


def _page(title: str, body: str) -> HTMLResponse:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return HTMLResponse(f"<!doctype html><html lang=en>{head}{_STYLE}<h1>{escape(title)}</h1>{_NOTE}{body}</html>")


def _task_row(store: Store, task: Document) -> str:
    jobs = store.all("job", task_id=task["id"])
    done = sum(j["state"] == "completed" for j in jobs)
    name = f'<a href="/tasks/{task["id"]}">{escape(task["name"])}</a>'
    return f"<tr><td>{name}</td><td>{task['size']}</td><td>{done} of {len(jobs)}</td><td>{task['status']}</td></tr>"


def _figure(task: int, index: int, frame: Document, shapes: list[Document], colors: dict[int, str]) -> str:
    drawn = "".join(
        _drawing(s, colors.get(s["label_id"], "#f0f"), frame["width"]) for s in shapes if s["frame"] == index
    )
    size = f"{frame['width']} {frame['height']}"
    image = f'<image href="/pictures/{task}/{index}" width="{frame["width"]}" height="{frame["height"]}"/>'
    caption = f"<figcaption>{index}: {escape(frame['name'])}</figcaption>"
    return f'<figure><svg viewBox="0 0 {size}" loading="lazy">{image}{drawn}</svg>{caption}</figure>'


def _drawing(shape: Document, color: str, width: int) -> str:
    stroke = max(1.0, width / 500)
    if shape["elements"]:
        dots = (
            f'<circle cx="{e["points"][0]:.1f}" cy="{e["points"][1]:.1f}" r="{2 * stroke:.1f}" '
            f'fill="{"none" if e["outside"] else color}" stroke="#fff" stroke-width="{stroke / 2:.1f}"/>'
            for e in shape["elements"]
        )
        return "".join(dots)
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(shape["points"][::2], shape["points"][1::2], strict=False))
    return (
        f'<polygon points="{points}" fill="{color}" fill-opacity=".25" stroke="{color}" stroke-width="{stroke:.1f}"/>'
    )
