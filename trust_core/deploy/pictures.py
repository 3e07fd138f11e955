"""What a guard saw of one part: its photograph and heatmaps with their masks, as pictures."""

import numpy as np
import torch
from PIL import Image

from trust_core.deploy.inspection import Inspection, Inspector
from trust_core.explanation.overlap import mask_of
from trust_core.figures.part_maps import SIDES, PartMaps, fitted, map_panel, photo_panel
from trust_core.model.placement import seen_box

OPACITY = 0.7


def inspection_pictures(
    guard: Inspector, inspection: Inspection, photo: Image.Image, side: int
) -> list[bytes]:
    """Photograph, evidence for a defect and for a good part, and where the network looks.

    Each map is drawn up to its own largest value. Without maps it is the photograph alone.

    Returns:
        JPEG files.
    """
    shown = fitted(photo, side)
    pictures = [photo_panel(shown, None)]
    names = dict(zip(SIDES, ("defect", "good", guard.policy.maps.agnostic[0]), strict=True))
    kept = inspection.maps or {}
    if any(name not in kept for name in names.values()):
        return pictures
    raw = {which: np.nan_to_num(kept[name]) for which, name in names.items()}
    masks = {
        which: mask_of(
            torch.from_numpy(values)[None], guard.policy.mask, specific=which != "agnostic"
        )[0].numpy()
        for which, values in raw.items()
    }
    seen = guard.policy.model_preprocessing
    box = seen_box(photo.size, seen.size, seen.resize)
    maps = PartMaps(raw, masks)
    return pictures + [
        map_panel(shown, box, maps, which, float(raw[which].max()) or 1.0, OPACITY)
        for which in SIDES
    ]
