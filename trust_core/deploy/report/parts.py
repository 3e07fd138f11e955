"""The worst parts of a report: photograph and heatmaps of what the second look overlooks, or sends.

The pictures are those of the page Parts, smaller.
"""

import base64
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, Parts
from trust_core.errors import UnreadableImage
from trust_core.figures.part_maps import (
    SIDES,
    fitted,
    map_panel,
    map_scale,
    maps_of,
    photo_panel,
    truth_mask,
)
from trust_core.model.placement import audit_box, audit_picture
from trust_core.storage.audit_files import Audit

SIDE = 240  # pixels along the longer side
OPACITY = 0.7
PANEL_NAMES = ("Photograph", "Evidence for a defect", "Evidence for a good part", "Looks at")
SORTS = (  # heading, what is shown, its order
    ("Missed defects that the second look overlooks, too: the least suspicious first",
     Filters(show="overlooked", sort="trusted")),
    ("Parts it sends to re-inspection: the most suspicious first",
     Filters(show="flagged", sort="suspicious")),
)  # fmt: skip


@dataclass(frozen=True)
class ShownPart:
    """A part with its pictures.

    `pictures` are `data:` addresses in the order of `PANEL_NAMES`, none when it cannot be read, for
    the `reason`; `indicator` is NaN where it has no score.
    """

    path: str
    outcome: str
    kind: str
    p_defect: float
    indicator: float
    pictures: tuple[str, ...]
    reason: str = ""


def parts_with_pictures(
    audit: Audit, point: OperatingPoint, most: int
) -> list[tuple[str, int, list[ShownPart]]]:
    """Heading, number of all such parts, and the first `most` of them, for each sort of part."""
    found = []
    for heading, filters in SORTS:
        parts = Parts(audit, point, filters)
        places = parts.ordered()
        rows = parts.rows(places[:most]).to_dict("records")
        found.append((heading, len(places), [_shown(audit, point, row) for row in rows]))
    return found


def _shown(audit: Audit, point: OperatingPoint, row: Mapping[Hashable, Any]) -> ShownPart:
    try:
        pictures, reason = _pictures(audit, point, row), ""
    except UnreadableImage as problem:
        pictures, reason = (), str(problem)
    described = {name: row[name] for name in ("path", "outcome", "kind", "p_defect", "indicator")}
    return ShownPart(**described, pictures=pictures, reason=reason)


def _pictures(audit: Audit, point: OperatingPoint, row: Mapping[Hashable, Any]) -> tuple[str, ...]:
    original = audit_picture(audit, row["path"])
    photo = fitted(original, SIDE)
    box = audit_box(audit, original.size)
    mask = row["mask_path"]
    truth = truth_mask(audit.data_root, mask, photo.size) if mask else None
    if truth is not None and not truth.any():
        truth = None
    score = audit.query(
        "SELECT * FROM scores WHERE sample_id = $1 AND strength = $2",
        [row["sample_id"], point.strength],
    ).to_dict("records")[0]
    maps = maps_of(audit, score)
    panels = [
        photo_panel(photo, truth),
        *(
            map_panel(photo, box, maps, side, map_scale(audit, side), OPACITY, truth)
            for side in SIDES
        ),
    ]
    return tuple("data:image/jpeg;base64," + base64.b64encode(p).decode() for p in panels)
