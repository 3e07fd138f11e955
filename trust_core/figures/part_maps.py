"""The heatmaps of one part as the page shows them: raw values, masks, pictures.

The masks are those of the score: the same rule on the same rounded maps, on the comparison grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from trust_core.data.images import read_mask
from trust_core.explanation.overlap import mask_of
from trust_core.figures import overlays
from trust_core.figures.overlays import LINES, RAMPS, Box, Mask, Outline
from trust_core.storage.audit_files import Audit

PANEL_SIDE = 560  # pixels along the longer side: about twice what a panel has on a screen
STRIP_SIDE = 220
PANEL_LINE, STRIP_LINE = 3, 2  # width of an outline
SIDES = ("defect", "good", "agnostic")


@dataclass(frozen=True)
class PartMaps:
    """Maps of one image at one strength; keys `defect`, `good`, `agnostic`.

    Attributes:
        raw: values as the network gave them, `(h, w)`.
        masks: of the score, `(s, s)` on the comparison grid.
    """

    raw: Mapping[str, npt.NDArray[np.float32]]
    masks: Mapping[str, Mask]


def map_name(audit: Audit, side: str) -> str:
    """The kept map that a side of the score was made from."""
    return str(audit.manifest["settings"]["agnostic"][0]) if side == "agnostic" else side


def display_scale(audit: Audit, side: str) -> float:
    """The raw value at the end of the colour scale, one for the whole data set."""
    scales = {entry["name"]: entry["display_scale"] for entry in audit.manifest["maps"]}
    return float(scales[map_name(audit, side)]) or 1.0


def maps_of(audit: Audit, score: Mapping[str, object]) -> PartMaps:
    """The maps of one row of `scores.parquet`.

    Args:
        audit: the audit.
        score: the row, with `row` and `scale_NAME` of each map.
    """
    row = int(score["row"])  # type: ignore[call-overload]
    raw, masks = {}, {}
    for side in SIDES:
        name = map_name(audit, side)
        stored = np.nan_to_num(
            np.array(audit.maps(name)[row], dtype=np.float32), posinf=0, neginf=0
        )
        scale = np.nan_to_num(np.float32(score[f"scale_{name}"]))  # type: ignore[arg-type]
        raw[side] = stored * scale
        masks[side] = _mask(audit, stored, side)
    return PartMaps(raw, masks)


def with_map(audit: Audit, maps: PartMaps, side: str, values: npt.NDArray[np.float32]) -> PartMaps:
    """The same part with another map in the place of one, and the mask that follows from it."""
    return PartMaps(
        dict(maps.raw) | {side: values}, dict(maps.masks) | {side: _mask(audit, values, side)}
    )


def seen_by_network(audit: Audit, size: tuple[int, int]) -> Box:
    """What the network saw of a photograph of this (width, height)."""
    rule = audit.manifest["model"]["preprocessing"]
    height, width = rule["size"]
    return overlays.seen_box(size, (height, width), rule["resize"])


def fitted(photo: Image.Image, side: int) -> Image.Image:
    """The photograph with its longer side at `side` pixels, enlarged if it must be."""
    factor = side / max(photo.size)
    width, height = (max(1, round(length * factor)) for length in photo.size)
    return photo.resize((width, height), Image.Resampling.BILINEAR)


def truth_mask(path: Path, size: tuple[int, int]) -> Mask:
    """The ground-truth mask at (width, height) of the picture.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    mask = Image.fromarray(read_mask(path))
    return np.asarray(mask.resize(size, Image.Resampling.NEAREST), dtype=bool)


def photo_panel(photo: Image.Image, truth: Mask | None) -> bytes:
    """The photograph in its own colours, with the defect outlined where it is known."""
    pixels = np.asarray(photo.convert("RGB"))
    if truth is not None:
        pixels = overlays.outlined(pixels, [_true(truth)], PANEL_LINE)
    return overlays.as_jpeg(pixels)


def map_panel(
    photo: Image.Image,
    box: Box,
    maps: PartMaps,
    side: str,
    scale: float,
    opacity: float,
    truth: Mask | None = None,
) -> bytes:
    """One map over the grey photograph: heat, its mask, and what that shares with all it looks at.

    Args:
        photo: at panel size.
        box: what the network saw of it.
        maps: of the part.
        side: which map.
        scale: raw value at the end of the colour scale.
        opacity: of the strongest colour; 0 leaves the outlines.
        truth: the ground-truth mask at panel size, if it is to be outlined too.
    """
    size = (photo.height, photo.width)
    pixels = overlays.grey(photo, box)
    share = overlays.spread(maps.raw[side] / scale, box, size)
    pixels = overlays.heat(pixels, share, RAMPS[side], opacity)
    masks = {name: overlays.spread_mask(maps.masks[name], box, size) for name in (side, "agnostic")}
    outlines = [Outline(masks["agnostic"], LINES["agnostic"], dashed=True)]
    if side != "agnostic":
        pixels = overlays.hatch(pixels, masks[side] & masks["agnostic"])
        outlines.append(Outline(masks[side], LINES[side]))
    if truth is not None:
        outlines.append(_true(truth))
    return overlays.as_jpeg(overlays.outlined(pixels, outlines, PANEL_LINE))


def strip_picture(photo: Image.Image, box: Box, maps: PartMaps) -> bytes:
    """A small picture of all three masks over the grey photograph, without heat."""
    size = (photo.height, photo.width)
    outlines = [
        Outline(overlays.spread_mask(maps.masks[side], box, size), LINES[side], side == "agnostic")
        for side in ("agnostic", "good", "defect")
    ]
    return overlays.as_jpeg(overlays.outlined(overlays.grey(photo, box), outlines, STRIP_LINE))


def _true(mask: Mask) -> Outline:
    return Outline(mask, LINES["truth"], around=True)


def _mask(audit: Audit, values: npt.NDArray[np.float32], side: str) -> Mask:
    rule = str(audit.manifest["mask"])
    mask = mask_of(torch.from_numpy(values)[None], rule, specific=side != "agnostic")
    return np.asarray(mask[0].numpy())


MASK_LINE, TRUE_LINE = LINES["defect"], LINES["truth"]
RAMP = RAMPS["defect"]


@dataclass(frozen=True)
class Seen:
    """What a picture of masks is drawn from.

    Attributes:
        photo: the photograph, at the size of the picture.
        box: what the network saw of it.
        cells: what the predicted mask is cut from, `(h, w)`; None without an answer.
        truth: the true mask at the size of the picture; None when nothing is marked or known.
    """

    photo: Image.Image
    box: Box
    cells: npt.NDArray[np.float32] | None
    truth: Mask | None


def masks_picture(seen: Seen, threshold: float, line: int, opacity: float = 0.0) -> bytes:
    """The grey photograph with the predicted mask (solid) and the true one (dashed) outlined.

    Args:
        seen: what it is drawn from.
        threshold: from which a pixel belongs to the predicted mask.
        line: width of the outlines in pixels.
        opacity: of the values themselves, drawn as heat up to 1; 0 leaves them out.
    """
    size = seen.photo.height, seen.photo.width
    pixels = overlays.grey(seen.photo, seen.box)
    outlines = []
    if seen.cells is not None:
        values = overlays.spread(seen.cells, seen.box, size)
        if opacity:
            pixels = overlays.heat(pixels, values, RAMP, opacity)
        outlines.append(Outline(values >= np.float32(threshold), MASK_LINE))
    if seen.truth is not None:
        outlines.append(Outline(seen.truth, TRUE_LINE, dashed=True, around=True))
    return overlays.as_jpeg(overlays.outlined(pixels, outlines, line))
