"""A release's YOLO archives as ultralytics itself loads them: its loader is the reader that counts."""

import io
import zipfile

import cv2
import numpy as np
import pytest
from shapely.geometry import Polygon

from analytics.release import write_release
from labels.formats.cvat.geometry import cut_holes
from tests.analytics.test_release import Shelf, load, plan

pytest.importorskip("torch", reason="needs the torch extra: make test-torch")
pytest.importorskip("ultralytics", reason="needs the torch extra: make test-torch")
pytestmark = pytest.mark.torch


@pytest.fixture
def unpacked(tmp_path):
    """Both YOLO archives of a small release, with a grey picture for every label file."""
    from inference.training.ultralytics_door import yolo_class

    yolo_class()  # closes torchvision's gap on CPU
    shelf = Shelf()
    write_release(plan(formats=("yolo",)), load, shelf)
    sizes = {"seg": (160, 200), "pose-corners": (240, 300)}
    for what, size in sizes.items():
        with zipfile.ZipFile(io.BytesIO(shelf.files[f"yolo/{what}.zip"])) as archive:
            archive.extractall(tmp_path / what)
            for line in archive.read("images.csv").decode().splitlines()[1:]:
                path = tmp_path / what / line.split(",")[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))
    return tmp_path


def loaded(folder, task):
    """What ultralytics' own dataset holds, by image id."""
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    data = check_det_dataset(str(folder / "data.yaml"), autodownload=False)
    found = {}
    for split in ("train", "val", "test"):
        if (folder / "images" / split).is_dir():
            dataset = YOLODataset(img_path=str(folder / "images" / split), data=data, task=task, augment=False)
            found |= {label["im_file"].rpartition("/")[2].partition(".")[0]: label for label in dataset.labels}
    return data, found


def test_every_outline_is_loaded_with_its_class_and_its_hole(unpacked):
    data, found = loaded(unpacked / "seg", "segment")
    source = {row["image_id"]: [] for batch in ("reef.0001", "reef.0002") for row in load(batch).images}
    assert found.keys() == source.keys()
    for batch in ("reef.0001", "reef.0002"):
        for shape in load(batch).shapes:
            source[shape.image_id].append(shape)
    for image_id, label in found.items():
        assert label["shape"] == (160, 200)
        mine = {shape.label: shape for shape in source[image_id]}
        assert len(label["segments"]) == len(mine)
        for number, ring in zip(label["cls"].ravel(), label["segments"], strict=True):
            shape = mine.pop(data["names"][int(number)])
            true = Polygon(np.reshape(cut_holes(shape.points, shape.holes) if shape.holes else shape.points, (-1, 2)))
            read = Polygon(np.asarray(ring) * (200, 160) - 0.5)
            assert read.area == pytest.approx(true.area, rel=1e-3)
            gap = read.buffer(0).symmetric_difference(true.buffer(0)).area
            assert gap / true.area < 1e-3, shape.label
        assert mine == {}


def test_corners_are_loaded_with_what_is_outside(unpacked):
    data, found = loaded(unpacked / "pose-corners", "pose")
    assert data["kpt_shape"] == [4, 3]
    for label in found.values():
        [points] = label["keypoints"]
        assert np.allclose(points[[0, 1, 3], :2] * (300, 240) - 0.5, [[10, 10], [290.25, 11], [12, 228]], atol=0.01)
        assert (points[:, 2] > 0).tolist() == [True, True, False, True]
