"""What the platform says of itself and of the reef: rows of the tables that hold no people's clicks."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from deploy.local.sample.plan import DONE, GATES, MODELS, OPEN, PEOPLE, PICTURES, SITES, TAXA, Batch, Review

Rows = list[dict[str, Any]]
STAGES = {
    "corners": ("images/raw", "corners/proposed", "corners/reviewed"),
    "lattice": ("images/rectified", "lattice/proposed", "lattice/reviewed"),
    "corals": ("images/clean", "corals/proposed", "corals/reviewed"),
}
MILLISECONDS = {"images/raw": 40, "corners/proposed": 95, "images/rectified": 160, "lattice/proposed": 260,
                "images/clean": 480, "corals/proposed": 610}  # fmt: skip
REASONS = {"images/raw": "the file ends too early", "corners/proposed": "fewer than four corners found",
           "images/rectified": "the corners do not form a square", "lattice/proposed": "no lattice found",
           "images/clean": "the lattice covers too much", "corals/proposed": "the model gave no answer"}  # fmt: skip
_COVER = {"Acropora": 0.085, "Millepora": 0.014, "Montipora": 0.046, "Pocillopora": 0.062, "Porites": 0.11}


def tables(batches: list[Batch], now: datetime) -> dict[str, Rows]:
    """Rows by table."""
    random = Random(11)  # noqa: S311
    made: dict[str, Rows] = {"batches": [], "reviews": [], "images": [], "quality": [], "cover": []}
    made |= {"objects": [], "object_changes": []}
    for batch in batches:
        made["batches"].append(_of(batch) | {"photos": PICTURES, "keep_days": 0, "loaded_at": now})
        made["reviews"] += [_review(review, now) for review in batch.reviews]
        made["images"] += _images(random, batch, now)
        if batch.done:
            _results(random, batch, now, made)
    made["people"] = [
        {"user_id": p.user_id, "user_name": p.name, "pseudonym": p.pseudonym, "seen_at": now} for p in PEOPLE
    ]
    made["models"] = [
        {"name": "reef-corals", "version": m.version, "reference": m.reference, "task": "corals",
         "promoted": int(m is MODELS[-1]), "metrics": {"ap50": 0.5 + m.accepted / 4}, "trained_on": f"reef@{i + 1}.0",
         "loaded_at": now}
        for i, m in enumerate(MODELS)
    ]  # fmt: skip
    return made


def _of(batch: Batch) -> dict[str, Any]:
    return {"batch": batch.key, "survey": batch.survey}


def _images_of(batch: Batch) -> list[str]:
    return [f"{batch.key}-{number:03d}" for number in range(PICTURES)]


def _review(review: Review, now: datetime) -> dict[str, Any]:
    waiting = review.state == OPEN
    begun = bool(review.work_days)
    return {
        "batch": review.batch,
        "gate": review.gate,
        "task_id": review.task_id,
        "state": review.state,
        "jobs_done": 4 if review.state == DONE else 2 * int(begun),
        "jobs_total": 4,
        "since": review.asked_at,
        "loaded_at": now,
        "survey": review.survey,
        "asked_at": review.asked_at,
        "collected_at": review.collected_at,
        "pictures": PICTURES,
        "waiting_for": [review.person.name] if waiting and begun else [],
        "stages": ["annotation"] if waiting else [],
        "url": f"https://cvat.reef.example/tasks/{review.task_id}",
    }


def _images(random: Random, batch: Batch, now: datetime) -> Rows:
    rows: Rows = []
    alive = _images_of(batch)
    for gate, review in zip(GATES, batch.reviews, strict=False):
        for stage in STAGES[gate]:
            if stage.endswith("reviewed") and review.state != DONE:
                continue
            failed = {image for image in alive if random.random() < 0.004} if stage in MILLISECONDS else set()
            rows += [
                {
                    **_of(batch),
                    "stage": stage,
                    "image_id": image,
                    "status": "failed" if image in failed else "ok",
                    "reason": REASONS[stage] if image in failed else "",
                    "model": batch.model.reference if stage == "corals/proposed" else "",
                    "duration_ms": MILLISECONDS.get(stage, 0) * random.lognormvariate(0, 0.25),
                    "person": int(stage.endswith("reviewed")),
                    "loaded_at": now,
                }
                for image in alive
            ]
            alive = [image for image in alive if image not in failed]
    return rows


def _results(random: Random, batch: Batch, now: datetime, made: dict[str, Rows]) -> None:
    review = batch.reviews[-1]
    number = int(batch.key[-1])
    for place, image in enumerate(_images_of(batch)):
        site = SITES[place % len(SITES)]
        quadrat = {**_of(batch), "image_id": image, "site": site, "year": batch.year, "loaded_at": now}
        for taxon in TAXA:
            shapes = max(1, int(random.gauss(5, 2)))
            _outlines(random, batch, review, image, taxon, shapes, now, made)
            made["cover"].append(quadrat | _cover(random, batch.year, site, taxon, shapes, place, number))
    measured = (review.collected_at or now) + timedelta(minutes=20)
    common = {**_of(batch), "measured_at": measured, "loaded_at": now}
    good = batch.model.accepted
    for gate, against, measure, usual in (
        ("corals", "review", "precision", 0.30 + 0.75 * good),
        ("corals", "review", "recall", 0.25 + 0.75 * good),
        ("corals", "review", "mean_iou", 0.55 + 0.38 * good),
        ("corals", "truth", "kappa", 0.81),
        ("corners", "review", "rms_px", 6.5 - 4 * good),
        ("lattice", "review", "rms_px", 3.1 - 2 * good),
    ):
        value = usual * random.uniform(0.97, 1.03)
        spread = 0.06 * value
        made["quality"].append({**common, "gate": gate, "measure": measure, "who": "", "against": against,
                                "value": value, "low": value - spread, "high": value + spread})  # fmt: skip
    for person in PEOPLE:
        for measure, lift in (("accuracy", -0.02), ("precision", 0.0), ("recall", -0.03), ("mean_iou", -0.05)):
            value = min(0.99, person.care + lift + random.uniform(-0.02, 0.02))
            made["quality"].append({**common, "gate": "corals", "measure": measure, "who": person.name,
                                    "against": "truth", "value": value, "low": None, "high": None})  # fmt: skip


def _outlines(random: Random, batch: Batch, review: Review, image: str, taxon: str, shapes: int,
              now: datetime, made: dict[str, Rows]) -> None:  # fmt: skip
    kept = sum(random.random() < batch.model.accepted for _ in range(shapes))
    rest = shapes - kept
    relabelled = min(rest, int(random.random() < 0.3))
    changes = {"unchanged": kept, "relabelled": relabelled, "reshaped": rest - relabelled}
    changes |= {"deleted": int(random.random() < 0.5 - 0.5 * batch.model.accepted), "added": int(random.random() < 0.2)}
    who = {**_of(batch), "image_id": image, "label": taxon, "loaded_at": now, "annotator": review.person.name}
    for source, count in (("model", kept), ("edited", rest), ("human", changes["added"])):
        if count:
            model = "" if source == "human" else batch.model.reference
            made["objects"].append({**who, "gate": "corals", "source": source, "model": model, "reviewer": "tehani",
                                    "task_id": review.task_id, "job_id": review.job_id, "shapes": count,
                                    "updated_at": review.collected_at})  # fmt: skip
    for what, count in changes.items():
        if count:
            before = random.choice(TAXA) if what == "relabelled" else taxon
            iou = {"unchanged": 1.0, "relabelled": 0.98, "reshaped": random.uniform(0.7, 0.93)}.get(what)
            made["object_changes"].append({**who, "what": what, "label_before": before if what != "added" else "",
                                           "model": "" if what == "added" else batch.model.reference, "shapes": count,
                                           "changed_px": 0.0 if what == "unchanged" else 900.0 * count,
                                           "iou_sum": (iou or 0) * count, "ious": count if iou else 0})  # fmt: skip


def _cover(random: Random, year: int, site: str, taxon: str, shapes: int, place: int, number: int) -> dict[str, Any]:
    """Tiahura recovers; Vaipahu loses Acropora in 2025 and begins to come back."""
    trend = {"Tiahura": (1.0, 1.09, 1.21), "Vaipahu": (1.12, 0.74, 0.83)}[site][year - 2024]
    if site == "Vaipahu" and taxon == "Acropora":
        trend *= (1.0, 0.55, 0.62)[year - 2024]
    share = min(0.6, _COVER[taxon] * trend * random.lognormvariate(0, 0.45))
    return {"quadrat": f"{number}{place // 2:02d}", "taxon": taxon, "share": share, "cm2": share * 10_000,
            "colonies": shapes, "inpainted_share": random.uniform(0.04, 0.07)}  # fmt: skip
