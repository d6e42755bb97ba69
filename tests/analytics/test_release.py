"""A release: the same bytes whoever makes it, nothing missing, no ground in two splits."""

import io
import json
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.cover import COVER_SCHEMA
from analytics.release import CHECKSUMS, RELEASE_JSON, ReleaseInput, build_release, split_of, verify
from labels.schema import Kind, Shape
from labels.taxonomy import load_taxonomy


def image(n, site="Temae", year=2021, quadrat="1"):
    return {
        "image_id": f"{n:016x}",
        "batch": "reef.0001",
        "survey": "reef",
        "file": f"{site}_{year}_{quadrat}.jpg",
        "site": site,
        "year": year,
        "quadrat": quadrat,
        "width": 960,
        "height": 960,
        "raw_sha256": f"r{n}",
        "rectified_sha256": f"s{n}",
        "clean_sha256": f"c{n}",
        "clean_uri": f"images/clean/c{n}.jpg",
        "mask_sha256": None,
        "homography": [1.0, 0, 0, 0, 1, 0, 0, 0, 1],
        "side_px": 960,
        "frame_cm": 100.0,
    }


def given(shuffle=0):
    images = [image(n, year=2021 + n % 3, quadrat=str(n // 3)) for n in range(24)]
    shapes = [
        Shape(
            row["image_id"], f"{row['image_id']}:{k}", Kind.POLYGON, taxon, [1.0, 1, 90, 1, 90, 80, 1, 70], model="m@1"
        )
        for row in images
        for k, taxon in enumerate(("Porites", "Acropora"))
    ]
    cover = [
        {name: None for name in COVER_SCHEMA.names}
        | {"image_id": row["image_id"], "batch": "reef.0001", "survey": "reef", "taxon": taxon, "share": 0.1}
        | {"cm2": 1.0, "colonies": 1, "inpainted_share": 0.0, "valid_cm2": 10.0, "sd_labels": 0.0}
        | {"sd_corners": 0.0, "sd_inpainted": 0.0}
        for row in images
        for taxon in ("Porites", "Acropora")
    ]
    order = random.Random(shuffle)
    for rows in (images, shapes, cover):
        order.shuffle(rows)
    table = pa.Table.from_pylist(cover, schema=COVER_SCHEMA)
    taxonomy = load_taxonomy("demo-reef")
    return ReleaseInput("reef-1.0.0", ["reef.0001"], "", taxonomy, "CC-BY-4.0", None, images, shapes, table, {})


def test_the_order_of_the_inputs_does_not_change_a_byte():
    assert build_release(given(1)) == build_release(given(2))


def test_a_whole_release_verifies_and_a_changed_one_does_not():
    files = build_release(given())
    assert verify(files) == []
    assert verify({**files, "cover.csv": b"x"}) == ["cover.csv has changed"]
    assert verify({k: v for k, v in files.items() if k != "labels.parquet"}) == ["labels.parquet is missing"]
    forged = {**files, CHECKSUMS: files[CHECKSUMS].replace(b"cover.csv", b"other.csv")}
    assert any("is not the one" in defect for defect in verify(forged))
    assert verify({}) != []


def test_all_years_of_a_fixed_quadrat_are_in_one_split():
    files = build_release(given())
    rows = pq.read_table(io.BytesIO(files["images.parquet"])).to_pylist()
    splits = {}
    for row in rows:
        splits.setdefault((row["site"], row["quadrat"]), set()).add(row["split"])
    assert all(len(names) == 1 for names in splits.values())
    assert split_of("Temae", "1", "x") == split_of("Temae", "1", "y")


def test_splits_are_near_their_shares_over_many_quadrats():
    names = [split_of("site", str(n), "") for n in range(3000)]
    assert 0.67 < names.count("train") / 3000 < 0.73
    assert 0.12 < names.count("val") / 3000 < 0.18


def test_every_label_belongs_to_a_picture_and_counts_agree_everywhere():
    files = build_release(given())
    ids = set(pq.read_table(io.BytesIO(files["images.parquet"]))["image_id"].to_pylist())
    labels = pq.read_table(io.BytesIO(files["labels.parquet"])).to_pylist()
    assert {row["image_id"] for row in labels} <= ids
    coco = [json.loads(files[f"coco/instances_{split}.json"]) for split in ("train", "val", "test")]
    assert sum(len(c["images"]) for c in coco) == len(ids)
    assert sum(len(c["annotations"]) for c in coco) == len(labels)
    counts = json.loads(files[RELEASE_JSON])["counts"]
    assert (counts["images"], counts["colonies"]) == (24, 48)
    assert counts["models"] == ["m@1"]


@pytest.mark.parametrize("word", ["CC-BY-4.0", "reef.0001", "demo-reef", "| Porites | 24 |"])
def test_the_data_sheet_says_what_a_reader_needs(word):
    assert word in build_release(given())["README.md"].decode()
