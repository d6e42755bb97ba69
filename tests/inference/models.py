"""Engines with known answers, for testing what is made of a model's outputs."""

import numpy as np

from inference.polygons import polygon_crop

PROTOS = 32


class OracleEngine:
    """Knows every colony of a picture and recognises where a view was cut from it.

    The picture is coded: red and green hold the column, blue and green the row (12 bits each), so that a view tells
    where it comes from. Colonies are rings (class, ring) in pixels of the picture.
    """

    name, device, input_shape, batch_limit = "oracle", "cpu", (None, 3, None, None), None

    def __init__(self, colonies, classes, answer):
        self.colonies, self.classes, self.answer = colonies, classes, answer
        self.calls = []

    def load(self):
        pass

    def unload(self):
        pass

    def predict(self, batch):
        self.calls.append(batch.shape)
        answers = [self.answer(self, *self._seen(view)) for view in batch]
        return tuple(np.stack(parts) for parts in zip(*answers, strict=True))

    def _seen(self, view):
        """Masks of the colonies in a view, mirrored when the view is."""
        red, green, blue = np.rint(view * 255).astype(int)
        column, row = red * 16 + green // 16, blue * 16 + green % 16
        side = view.shape[1]
        inside = ~((red == 114) & (green == 114) & (blue == 114))
        mirrored = bool(column[0, inside[0]][0] > column[0, inside[0]][-1])
        if mirrored:
            column, row, inside = column[:, ::-1], row[:, ::-1], inside[:, ::-1]
        left, top = int(column[0, 0]), int(row[0, 0])
        masks = []
        for label, ring in self.colonies:
            mask = np.zeros((side, side), np.uint8)
            crop, x, y = polygon_crop(ring, [], (left, top, left + side, top + side))
            mask[y - top : y - top + crop.shape[0], x - left : x - left + crop.shape[1]] = crop
            mask &= inside
            if mask.any():
                masks.append((label, mask[:, ::-1] if mirrored else mask))
        return side, masks


def coded_picture(width, height):
    """A picture that tells every pixel's place; see :class:`OracleEngine`."""
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    return np.dstack([column >> 4, (column & 15) << 4 | (row & 15), row >> 4]).astype(np.uint8)


def semantic_answer(engine, side, masks):
    """Logits of background and classes."""
    logits = np.zeros((1 + engine.classes, side, side), np.float32)
    logits[0] = 4
    for label, mask in masks:
        logits[1 + label][mask > 0] = 8
    return (logits,)


def core_answer(engine, side, masks):
    """As the shipped network answers, at full size."""
    import cv2

    core = np.full((1, side, side), -8, np.float32)
    for _, mask in masks:
        depth = cv2.distanceTransform(np.pad(mask, 1, mode="edge"), cv2.DIST_L2, 3)[1:-1, 1:-1]
        core[0][depth > 0.3 * depth.max()] = 8
    return (np.concatenate([semantic_answer(engine, side, masks)[0], core]),)


def _boxes_and_protos(side, masks):
    """Each mask gets a prototype of its own (so at most 32 in a view)."""
    protos = np.full((PROTOS, side // 4, side // 4), -1, np.float32)
    found = []
    for number, (label, mask) in enumerate(masks[:PROTOS]):
        protos[number] = mask.reshape(side // 4, 4, side // 4, 4).mean(axis=(1, 3)) * 2 - 1
        ys, xs = np.nonzero(mask)
        found.append(
            (label, (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), np.eye(PROTOS, dtype=np.float32)[number])
        )
    return found, protos


def yolo_answer(engine, side, masks):
    """The layout up to YOLO11: every colony twice, a little beside, as before thinning out."""
    found, protos = _boxes_and_protos(side, masks)
    out = np.zeros((4 + engine.classes + PROTOS, 200), np.float32)
    for number, (label, (x0, y0, x1, y1), coefficients) in enumerate(found):
        for copy, score in ((0, 0.9), (1, 0.6)):
            at = 2 * number + copy
            out[:4, at] = (x0 + x1) / 2 + copy, (y0 + y1) / 2, x1 - x0, y1 - y0
            out[4 + label, at] = score
            out[4 + engine.classes :, at] = coefficients
    return out, protos


def end_to_end_answer(engine, side, masks):
    """The layout of YOLO26."""
    found, protos = _boxes_and_protos(side, masks)
    out = np.zeros((300, 6 + PROTOS), np.float32)
    for number, (label, box, coefficients) in enumerate(found):
        out[number] = np.concatenate([box, [0.9, label], coefficients])
    return out, protos
