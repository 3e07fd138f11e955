"""Pictures of one part: its photograph, its heatmaps with their masks, predicted and true masks.

The masks of the heatmaps are those of the score: the same rule on the same rounded maps, on the
comparison grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from trust_core.data.mask_decoding import read_masks
from trust_core.figures import overlays
from trust_core.figures.overlays import LINES, PANEL_LINE, RAMPS, Outline
from trust_core.model.placement import Box, Mask, Values, audit_box, spread
from trust_core.storage.audit_files import Audit

PANEL_SIDE = 560  # pixels along the longer side: about twice what a panel has on a screen
STRIP_SIDE, STRIP_LINE = 220, 2
CARD_HEAT = 0.75  # opacity of the strongest colour on a card
STRONGEST = 0.5  # of a probe's largest cell, from which its map is outlined
SIDES = ("defect", "good", "agnostic")
PART_SCALE, OWN_SCALE, DATA_SCALE = "part", "own", "data"  # what the colours of a map end at


@dataclass(frozen=True)
class PartMaps:
    """Maps of one image at one strength; keys `defect`, `good`, `agnostic`.

    `raw` are values as the network gave them, `(h, w)`, `masks` those of the score, on the
    comparison grid.
    """

    raw: Mapping[str, Values]
    masks: Mapping[str, Mask]


@dataclass(frozen=True)
class MaskedPhoto:
    """A photograph with what its predicted mask is cut from, and its true mask.

    Attributes:
        photo: at the size of the picture.
        box: what the network saw of it.
        cells: of the predicted mask, `(h, w)`; None without an answer.
        truth: the true mask at the size of the picture; None when nothing is marked or known.
    """

    photo: Image.Image
    box: Box
    cells: Values | None
    truth: Mask | None


def maps_of(audit: Audit, score: Mapping[str, object]) -> PartMaps:
    """The maps of one row of `scores.parquet`.

    `score` has `row`, and `scale_NAME` of each map.
    """
    raw, masks = {}, {}
    for side in SIDES:
        stored, scale = _stored(audit, score, side)
        raw[side] = stored * scale
        masks[side] = _mask(audit, stored, side)
    return PartMaps(raw, masks)


def heat_card(audit: Audit, photo: Image.Image, score: Mapping[str, object]) -> bytes:
    """The defect map over a small photograph, on the scale that it shares with the good map."""
    maps = {side: np.multiply(*_stored(audit, score, side)) for side in ("defect", "good")}
    end = max(float(values.max(initial=0)) for values in maps.values()) or 1.0
    box = audit_box(audit, photo.size)
    share = spread(maps["defect"] / end, box, (photo.height, photo.width))
    heat = RAMPS["defect"]
    return overlays.as_jpeg(overlays.add_heat(overlays.grey(photo, box), share, heat, CARD_HEAT))


def _stored(audit: Audit, score: Mapping[str, object], side: str) -> tuple[Values, np.float32]:
    """A kept map and what it was divided by."""
    name = _map_name(audit, side)
    row = int(score["row"])  # type: ignore[call-overload]
    stored = np.nan_to_num(np.array(audit.maps(name)[row], dtype=np.float32), posinf=0, neginf=0)
    return stored, np.nan_to_num(np.float32(score[f"scale_{name}"]))  # type: ignore[arg-type]


def with_map(audit: Audit, maps: PartMaps, side: str, values: Values) -> PartMaps:
    """The same part with another map in the place of one, and the mask that follows from it."""
    return PartMaps(
        dict(maps.raw) | {side: values}, dict(maps.masks) | {side: _mask(audit, values, side)}
    )


def map_scale(audit: Audit, side: str) -> float:
    """The raw value at the end of a map's colour scale, one for the whole data set."""
    scales = {entry.name: entry.display_scale for entry in audit.manifest.maps}
    return float(scales[_map_name(audit, side)]) or 1.0


def map_ends(audit: Audit, maps: PartMaps, scale: str = PART_SCALE) -> dict[str, float]:
    """The raw value at the end of the colours of each map of a part; above 0.

    Args:
        audit: the audit.
        maps: of the part.
        scale: `PART_SCALE`, one for the maps of the two classes, whose values mean the same: the
            strongest cell of both; the map of where the network looks counts something else and
            ends at its own. `OWN_SCALE`: each at its own strongest cell. `DATA_SCALE`: each at
            what 1 in 200 cells of the whole data set exceed.
    """
    if scale == DATA_SCALE:
        return {side: map_scale(audit, side) for side in SIDES}
    ends = {side: float(maps.raw[side].max(initial=0)) for side in SIDES}
    if scale == PART_SCALE:
        ends |= dict.fromkeys(("defect", "good"), max(ends["defect"], ends["good"]))
    return {side: end or 1.0 for side, end in ends.items()}


def fitted(photo: Image.Image, side: int) -> Image.Image:
    """The photograph with its longer side at `side` pixels, enlarged if it must be."""
    factor = side / max(photo.size)
    width, height = (max(1, round(length * factor)) for length in photo.size)
    return photo.resize((width, height), Image.Resampling.BILINEAR)


def truth_mask(root: Path, mask_path: str, size: tuple[int, int]) -> Mask:
    """The ground-truth mask at (width, height) of the picture; `mask_path` as in the sample table.

    Raises:
        UnreadableImage: with the file name and the reason.
    """
    mask = Image.fromarray(read_masks(root, mask_path))
    return np.asarray(mask.resize(size, Image.Resampling.NEAREST), dtype=bool)


def photo_panel(photo: Image.Image, truth: Mask | None) -> bytes:
    """The photograph in its own colours, with the defect outlined where it is known."""
    pixels = np.asarray(photo.convert("RGB"))
    if truth is not None:
        pixels = overlays.add_outlines(pixels, [overlays.true_outline(truth)], PANEL_LINE)
    return overlays.as_jpeg(pixels)


def map_panel(
    photo: Image.Image,
    box: Box,
    maps: PartMaps,
    side: str,
    scale: float,
    opacity: float,
    truth: Mask | None = None,
    colours: str = overlays.SIDES_OWN,
) -> bytes:
    """One map over the grey photograph: heat, its mask, and what that shares with all it looks at.

    Photo and `truth`, which is outlined too, are at panel size; `box` is what the network saw of
    the photo. `scale` is the raw value at the end of the `colours`, as `overlays.ramp` takes them;
    an opacity of 0 leaves the outlines.
    """
    size = (photo.height, photo.width)
    share = spread(maps.raw[side] / scale, box, size)
    heat = overlays.ramp(side, colours)
    pixels = overlays.add_heat(overlays.grey(photo, box), share, heat, opacity)
    masks = {name: overlays.spread_mask(maps.masks[name], box, size) for name in (side, "agnostic")}
    outlines = [Outline(masks["agnostic"], LINES["agnostic"], dashed=True)]
    if side != "agnostic":
        pixels = overlays.add_hatching(pixels, masks[side] & masks["agnostic"])
        outlines.append(Outline(masks[side], LINES[side]))
    if truth is not None:
        outlines.append(overlays.true_outline(truth))
    return overlays.as_jpeg(overlays.add_outlines(pixels, outlines, PANEL_LINE))


def probe_panel(
    photo: Image.Image, box: Box, cells: Values, opacity: float, truth: Mask | None = None
) -> bytes:
    """What a probe says for a defect over the grey photograph, its strongest half outlined.

    `cells` are of the probe's map, `(h, w)`; what speaks for a good part is left clear. All else is
    as of `map_panel`.
    """
    strongest = float(cells.max())
    share = spread(cells / strongest if strongest > 0 else cells, box, (photo.height, photo.width))
    pixels = overlays.add_heat(overlays.grey(photo, box), share, RAMPS["probe"], opacity)
    outlines = [Outline(share > STRONGEST, LINES["probe"])]
    if truth is not None:
        outlines.append(overlays.true_outline(truth))
    return overlays.as_jpeg(overlays.add_outlines(pixels, outlines, PANEL_LINE))


def strip_picture(photo: Image.Image, box: Box, maps: PartMaps) -> bytes:
    """A small picture of all three masks over the grey photograph, without heat."""
    size = (photo.height, photo.width)
    outlines = [
        Outline(overlays.spread_mask(maps.masks[side], box, size), LINES[side], side == "agnostic")
        for side in ("agnostic", "good", "defect")
    ]
    pixels = overlays.add_outlines(overlays.grey(photo, box), outlines, STRIP_LINE)
    return overlays.as_jpeg(pixels)


def masks_picture(masked: MaskedPhoto, threshold: float, line: int, opacity: float = 0.0) -> bytes:
    """The grey photograph with the predicted mask (solid) and the true one (dashed) outlined.

    A pixel belongs to the predicted mask from `threshold` on; outlines are `line` pixels wide.
    `opacity` is that of the values themselves, drawn as heat up to 1; 0 leaves them out.
    """
    photo, box = masked.photo, masked.box
    pixels = overlays.grey(photo, box)
    outlines = []
    if masked.cells is not None:
        values = spread(masked.cells, box, (photo.height, photo.width))
        if opacity:
            pixels = overlays.add_heat(pixels, values, RAMPS["defect"], opacity)
        outlines.append(Outline(values >= np.float32(threshold), LINES["defect"]))
    if masked.truth is not None:
        outlines.append(Outline(masked.truth, LINES["truth"], dashed=True, around=True))
    return overlays.as_jpeg(overlays.add_outlines(pixels, outlines, line))


def _map_name(audit: Audit, side: str) -> str:
    """The kept map that a side of the score was made from."""
    return audit.manifest.settings.agnostic[0] if side == "agnostic" else side


def _mask(audit: Audit, values: npt.NDArray[np.float32], side: str) -> Mask:
    # PyTorch takes seconds to load: only who looks at heatmaps waits for it.
    import torch

    from trust_core.explanation.overlap import mask_of

    rule = audit.manifest.mask
    mask = mask_of(torch.from_numpy(values)[None], rule, specific=side != "agnostic")
    return np.asarray(mask[0].numpy())
