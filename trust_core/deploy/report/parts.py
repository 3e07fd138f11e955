"""The worst parts of a report: photograph and heatmaps of what the second look overlooks, or sends.

The pictures are those of the page Parts, smaller.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

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
        rows = parts.rows(places[:most])
        found.append((heading, len(places), [_shown(audit, point, row) for row in _records(rows)]))
    return found


def _records(rows: pd.DataFrame) -> Sequence[dict[str, object]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _shown(audit: Audit, point: OperatingPoint, row: dict[str, object]) -> ShownPart:
    described = ShownPart(
        path=str(row["path"]),
        outcome=str(row["outcome"]),
        kind=str(row["kind"]),
        p_defect=float(row["p_defect"]),  # type: ignore[arg-type]
        indicator=float(row["indicator"]),  # type: ignore[arg-type]
        pictures=(),
    )
    try:
        pictures = _pictures(audit, point, row)
    except UnreadableImage as problem:
        return ShownPart(**vars(described) | {"reason": str(problem)})
    return ShownPart(**vars(described) | {"pictures": pictures})


def _pictures(audit: Audit, point: OperatingPoint, row: dict[str, object]) -> tuple[str, ...]:
    original = audit_picture(audit, str(row["path"]))
    photo = fitted(original, SIDE)
    box = audit_box(audit, original.size)
    mask = str(row["mask_path"] or "")
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
