"""The README of a release: what a reader needs to use, cite and judge it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analytics.release.exporters import chosen
from analytics.release.inputs import SPLIT_NAMES, ReleasePlan
from labels.formats.yolo import LOSS


def datasheet(plan: ReleasePlan, counts: Mapping[str, Any], checked: int) -> str:
    """Markdown text."""
    sources = ", ".join(f"{number} {source}" for source, number in counts["sources"].items())
    splits = ", ".join(f"{counts['splits'].get(split, 0)} {split}" for split in SPLIT_NAMES)
    how = "CVAT subset" if plan.by_subset else "fixed quadrat"
    return f"""# {plan.name}

{plan.reason or "A dataset release made by reefline."}

- Licence: {plan.licence}
- Cite as: {plan.citation or "(the survey file gives no citation)"}
{_people(plan)}- Taxonomy: {plan.taxonomy.name} version {plan.taxonomy.version}
- Batches: {", ".join(sorted(plan.batches))}
- Taken from them: {plan.filter.words()}
- Pictures: {counts["images"]} ({splits}; split by {how}, so no ground is in two splits)
- Colonies: {counts["colonies"]} ({sources})
- Corner skeletons: {counts["corners"]}, lattice skeletons: {counts["lattice"]}
- Models that pre-labelled: {", ".join(counts["models"]) or "none"}
- People who labelled or reviewed: {", ".join(counts["people"]) or "none is named"}
- Made with: reefline {plan.version or "(version not stated)"}
- Changes: {f"since {plan.previous}, see CHANGELOG.md" if plan.previous else "first of its surveys"}
{_exceptions(plan)}
| taxon | colonies | {" | ".join(SPLIT_NAMES)} |
|---|---|{"---|" * len(SPLIT_NAMES)}
{_balance(counts)}

## Files
- `images.parquet`: one row per picture; hashes of the raw, rectified and clean file, the homography raw -> rectified
  (3x3, row by row), side in pixels and centimetres, split.
- `labels.parquet`: one row per colony, in pixels of the clean picture (pixel centres have integer coordinates); holes,
  who made it, and with which model. Canonical: every other format is made from it. It opens with
  `pandas.read_parquet("labels.parquet")`, and in FiftyOne with the line below.
- `keypoints.parquet`: corners (pixels of the raw photo) and lattice (pixels of the rectified picture), node by node.
- `cover.parquet`, `cover.csv`: cover per picture and taxon. `share` (0 to 1) and `cm2` are of the ground that was seen
  (`valid_cm2`); ground that inpainting has invented is left out (`inpainted_share`). `sd_labels`, `sd_corners`,
  `sd_inpainted`: standard deviations of `share` from three sources; empty where it is not known.
- `quality.json`: what reviewers changed, per batch.
- `checksums.sha256`: check with `sha256sum -c checksums.sha256`.
{_formats(plan)}
FiftyOne: `fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.COCODetectionDataset, data_path=PICTURES,
labels_path="coco/instances_train.json", label_types="segmentations")`.

A label leads back to the photo by `image_id`: the inverse of `homography` maps its points to the raw photo whose hash
is `raw_sha256`.

## Checks
{_checks(counts, checked)}
"""


def _people(plan: ReleasePlan) -> str:
    """A line each for creators and contact, where the survey files name them."""
    lines = [f"- Creators: {'; '.join(person.name for person in plan.creators)}"] if plan.creators else []
    contact = plan.contact or (plan.creators[0] if plan.creators else None)
    if contact:
        lines.append(f"- Contact: {contact.name}{f' <{contact.email}>' if contact.email else ''}")
    return "".join(f"{line}\n" for line in lines)


def _balance(counts: Mapping[str, Any]) -> str:
    rows = []
    for taxon, number in counts["taxa"].items():
        mine = counts["balance"][taxon]
        rows.append(f"| {taxon} | {number} | " + " | ".join(str(mine.get(split, 0)) for split in SPLIT_NAMES) + " |")
    return "\n".join(rows)


def _formats(plan: ReleasePlan) -> str:
    others = {name: e for name, e in chosen(plan).items() if name != "parquet"}
    return "\n".join(f"- {name}: {exporter.about}." for name, exporter in others.items())


def _checks(counts: Mapping[str, Any], checked: int) -> str:
    return (
        f"Every format was read back by readers that share no code with the writers, for {checked} objects (all of "
        "the first 50,000, and one batch in twenty beyond). Masks agree with the source in at least 99.9 % (IoU per "
        f"object); outlines to the rounding of their coordinates (at most 0.0071 px). Loss in YOLO: {LOSS}."
        if checked
        else f"Read back: none of {counts['colonies']} objects."
    )


def _exceptions(plan: ReleasePlan) -> str:
    if not plan.unfit:
        return ""
    lines = [f"- Below its survey's thresholds: {batch}: {'; '.join(why)}" for batch, why in plan.unfit.items()]
    return "\n".join([*lines, f"- Released all the same because: {plan.override}"]) + "\n"
