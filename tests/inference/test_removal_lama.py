"""LaMa: the pinned file and no other, and a picture that comes back whole."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest

from inference.removal import Mask, RemovalError, open_lama, remove
from inference.removal.lama import LamaEngine

torch = pytest.importorskip("torch", reason="LaMa runs on torch")


class StandIn(torch.nn.Module):
    """As LaMa is called: a picture and a mask whose sides are multiples of 8, paint out."""

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mid-grey in the mask."""
        assert image.shape[2] % 8 == 0 and image.shape[3] % 8 == 0
        assert image.shape[1] == 3 and mask.shape[1] == 1
        return image * (1 - mask) + 0.4 * mask


@pytest.fixture(scope="module")
def weights() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(StandIn()), buffer)
    return buffer.getvalue()


def pinned(weights: bytes) -> str:
    return hashlib.sha256(weights).hexdigest()


def test_a_picture_of_any_size_is_padded_painted_and_cut_back(tmp_path, weights) -> None:
    (tmp_path / "big-lama.pt").write_bytes(weights)
    engine = open_lama(tmp_path / "big-lama.pt", pinned(weights).upper())
    picture = np.random.default_rng(0).integers(0, 256, (61, 75, 3), dtype=np.uint8)
    mask = Mask.of(np.eye(61, 75, k=3))
    clean = remove(picture, mask, "lama", engine=engine)
    assert (clean[mask.alpha > 0] == 102).all()
    assert np.array_equal(clean[mask.alpha == 0], picture[mask.alpha == 0])
    assert engine.reference == f"lama@file#{pinned(weights)[:12]}"


def test_another_file_than_the_pinned_one_is_refused(weights) -> None:
    with pytest.raises(RemovalError, match="not the pinned one") as told:
        LamaEngine(weights[:-1], pinned(weights))
    assert "\n" not in str(told.value)


def test_a_missing_file_is_said_in_one_line(tmp_path) -> None:
    with pytest.raises(RemovalError, match=r"cannot be read.*put big-lama.pt there") as told:
        open_lama(tmp_path / "big-lama.pt", "0" * 64)
    assert "\n" not in str(told.value)


def test_a_pinned_file_that_is_no_torchscript_is_said_in_one_line() -> None:
    junk = b"not a model"
    with pytest.raises(RemovalError, match="no TorchScript") as told:
        remove(np.zeros((16, 16, 3), np.uint8), Mask.of(np.eye(16)), "lama", engine=LamaEngine(junk, pinned(junk)))
    assert "\n" not in str(told.value)
