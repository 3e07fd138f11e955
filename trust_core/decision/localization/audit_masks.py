"""How well the masks of an audit find its defects: what `python -m trust_core localize` prints.

The page shows the same numbers. Masks are those of the mask head, or a heatmap at a threshold: then
it is the explanation that is judged.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from trust_core.data.roles import ROLES
from trust_core.decision.bootstrap import Estimate, Flags, group_codes
from trust_core.decision.curves import roles_of
from trust_core.decision.json_object import json_object
from trust_core.decision.localization.metrics import (
    METRICS,
    THRESHOLDS,
    Localization,
    Masks,
    localize,
    metric_value,
)
from trust_core.decision.localization.pixel_counts import (
    MASK_HEAD,
    UNKNOWN,
    MaskCounts,
    read_counts,
)
from trust_core.decision.tradeoff import Counts, Floats
from trust_core.errors import SettingsError
from trust_core.messages import Message
from trust_core.storage.audit_columns import Places, number_column, text_column
from trust_core.storage.audit_files import Audit

DEFAULT_THRESHOLD = 0.5
GOOD_MARKED, DEFECTIVE_EMPTY = CONTRADICTIONS = ("good_marked", "defective_empty")
MISSED, FALSE_ALARM, LOWEST = WORST = ("missed", "false-alarm", "lowest")
SWEPT = ("seg_miou", "seg_recall", "pooled_miou", "false_alarms")


@dataclass(frozen=True)
class Images:
    """Images of some roles; each `(n,)`.

    `places` are those in `samples.parquet`, ascending; `called` are decisions of the detector,
    `codes` groups as numbers.
    """

    places: Places
    defective: Flags
    called: Flags
    codes: Counts


@dataclass(frozen=True)
class Contradiction:
    """One way in which a decision contradicts the network's own mask.

    `kind` is a key of `contradictions`; a mask below `min_area`, a share of the picture, is empty.
    """

    kind: str
    threshold: float
    min_area: float


@dataclass(frozen=True)
class ImageMasks:
    """The images of some roles with their masks at one threshold.

    Attributes:
        images: those with a prediction.
        masks: of these images, row for row.
        unanswered: images left out: not readable, or without a heatmap.
        no_mask: defective images whose true mask is missing or not readable; not in `judgeable`.
        judgeable: images whose true mask is known, as flags over `images`.
    """

    images: Images
    masks: Masks
    unanswered: int
    no_mask: int
    judgeable: Flags

    @property
    def truth(self) -> Masks:
        """The masks that can be compared with a true one."""
        return self.masks.at(self.judgeable)


@dataclass(frozen=True)
class LocalizationReport:
    """How well the masks of some images find the defects.

    Attributes:
        audit: its folder.
        source: of the masks.
        role: of the images.
        threshold: of the masks.
        min_area: share of the picture below which a mask counts as empty.
        masks: what was judged, and what was left out before.
        metrics: at the threshold.
        best: the threshold with the highest Seg_mIoU, and that; None when it is nowhere defined.
        contradictions: parts of which decision and mask contradict each other, by kind, as
            `parts_of`; None when the masks are not the network's own.
    """

    audit: str
    source: str
    role: str
    threshold: float
    min_area: float
    masks: ImageMasks
    metrics: Localization
    best: tuple[float, float] | None
    contradictions: Mapping[str, pd.DataFrame] | None

    def as_json(self) -> dict[str, Any]:
        """What `localize --json` prints."""
        found, parts = self.metrics, self.contradictions
        of_size = ("seg_recall", "seg_recall_strict", "iou")
        return json_object(
            {
                "audit": self.audit,
                "source": self.source,
                "role": self.role,
                "threshold": self.threshold,
                "min_area": self.min_area,
                "images": found.images,
                "groups": found.groups,
                "left_out": {
                    "unanswered": self.masks.unanswered,
                    "no_mask": self.masks.no_mask,
                    "empty_mask": found.no_location,
                    "good_but_marked": found.marked_good,
                },
                **{name: _estimate_json(getattr(found, name)) for name in METRICS},
                "by_size": [
                    {"size": size.name}
                    | {name: _estimate_json(getattr(size, name)) for name in of_size}
                    for size in found.by_size
                ],
                "best": self.best and dict(zip(("threshold", "seg_miou"), self.best, strict=True)),
                "contradictions": parts
                and {name: table.to_dict("records") for name, table in parts.items()},
            }
        )


def images_of(audit: Audit, roles: Sequence[str]) -> Images:
    """The images of these roles, in the order of `samples.parquet`."""
    places = np.flatnonzero(text_column(audit, "role").equal(*roles))
    return Images(
        places,
        number_column(audit, "label")[places] == 1,
        text_column(audit, "outcome").equal("TP", "FP")[places],
        group_codes(text_column(audit, "group").at(places)),
    )


def image_masks(counts: MaskCounts, images: Images, threshold: float) -> ImageMasks:
    """The masks of some images at a threshold.

    Raises:
        SettingsError: a threshold that no counts were kept for.
    """
    predicted, overlap, true, area = (
        column[images.places].astype(np.int64) for column in counts.at(threshold)
    )
    answered = area > 0
    some = Images(*(getattr(images, name)[answered] for name in images.__dataclass_fields__))
    masks = Masks(predicted, overlap, true, area, images.defective, images.codes).at(answered)
    known = masks.true > UNKNOWN
    no_mask = int((~known & some.defective).sum())
    return ImageMasks(some, masks, int((~answered).sum()), no_mask, known)


def part_masks(counts: MaskCounts, threshold: float, min_area: float = 0.0) -> Masks | None:
    """The masks of one image, from counts of it alone; None when the network gave no answer."""
    predicted, overlap, true, area = (rows.astype(np.int64) for rows in counts.at(threshold))
    if not area[0]:
        return None
    code = np.zeros(1, dtype=np.int64)
    return Masks(predicted, overlap, true, area, true > 0, code).without_small(min_area)


def worst_parts(found: ImageMasks, kind: str, min_area: float = 0.0) -> Places:
    """Images whose masks are wrong in one way, the worst first, as places in `found.masks`.

    `kind` is one of `WORST`: a defect without a predicted mask, a good part with one, or the least
    overlap; `min_area` as in `metrics.localize`.
    """
    masks = found.masks.without_small(min_area)
    chosen, order = {
        MISSED: (masks.defective & ~masks.found, -masks.true / masks.area),
        FALSE_ALARM: (~masks.defective & masks.found, -masks.predicted / masks.area),
        LOWEST: (masks.defective & masks.found, masks.iou),
    }[kind]
    places = np.flatnonzero(found.judgeable & masks.known & chosen)
    return places[np.argsort(order[places], kind="stable")]


def sweep(
    counts: MaskCounts, images: Images, min_area: float = 0.0, thresholds: Floats = THRESHOLDS
) -> dict[str, Floats]:
    """The metrics of `SWEPT` at every threshold, `(K,)` each, without intervals."""
    found: dict[str, list[float]] = {name: [] for name in SWEPT}
    for threshold in thresholds:
        masks = image_masks(counts, images, float(threshold)).truth
        masks = masks.at(masks.known).without_small(min_area)
        for name, values in found.items():
            values.append(metric_value(masks, name))
    return {name: np.array(values) for name, values in found.items()}


def contradictions(found: ImageMasks, min_area: float = 0.0) -> dict[str, Flags]:
    """Decisions that contradict the network's own mask, as flags over `found.images`.

    `good_marked`: called good, and the mask marks something; `defective_empty`: called defective,
    and the mask is empty.
    """
    marked, called = found.masks.without_small(min_area).found, found.images.called
    return {GOOD_MARKED: ~called & marked, DEFECTIVE_EMPTY: called & ~marked}


def contradicting(audit: Audit, wanted: Contradiction) -> Flags:
    """The images of an audit whose decision contradicts the mask, `(S,)` of all `S`.

    None of them where the masks were not counted yet.
    """
    images, counts = images_of(audit, ROLES), read_counts(audit, MASK_HEAD)
    flags = np.zeros(len(images.places), dtype=np.bool_)
    if counts is not None:
        found = image_masks(counts, images, wanted.threshold)
        flags[found.images.places] = contradictions(found, wanted.min_area)[wanted.kind]
    return flags


def report(
    audit: Audit,
    counts: MaskCounts,
    threshold: float = DEFAULT_THRESHOLD,
    min_area: float = 0.0,
    role: str = "tune",
) -> LocalizationReport:
    """Judge the masks of a role's images.

    Raises:
        SettingsError: no such threshold, area or role, or nothing to judge in it.
    """
    if not 0 <= min_area < 1:
        raise SettingsError(
            f"Minimum area {min_area:g}: a share of the picture, from 0 to below 1 (0.001 is 0.1 %)"
        )
    images = images_of(audit, roles_of(role))
    masks = image_masks(counts, images, threshold)
    found = localize(masks.truth, min_area)
    if not found.images:
        raise SettingsError(
            Message(
                "No image of role '{name}' has a known mask; try {role:all}.",
                "No image of role '{name}' has a known mask.",
                name=role,
            )
        )
    swept = sweep(counts, images, min_area)["seg_miou"]
    best = None if np.isnan(swept).all() else int(np.nanargmax(swept))
    return LocalizationReport(
        str(audit.folder),
        counts.source,
        role,
        threshold,
        min_area,
        masks,
        found,
        None if best is None else (float(THRESHOLDS[best]), float(swept[best])),
        {
            name: parts_of(audit, masks.images.places[flags])
            for name, flags in contradictions(masks, min_area).items()
        }
        if counts.source == MASK_HEAD
        else None,
    )


def parts_of(audit: Audit, places: Places) -> pd.DataFrame:
    """What a list of parts shows of each, in the order of `places`.

    Returns:
        Columns `sample_id, path, mask_path, kind, outcome, role, p_defect`.
    """
    table = audit.query(
        """SELECT file_row_number, sample_id, path, mask_path, kind, outcome, role, p_defect
           FROM places WHERE file_row_number IN (SELECT unnest($1))""",
        [places.tolist()],
    )
    return table.set_index("file_row_number").loc[places].reset_index(drop=True)


def _estimate_json(estimate: Estimate) -> dict[str, object]:
    """An estimate as JSON; no interval where it has none."""
    interval = None if math.isnan(estimate.interval[0]) else estimate.interval
    return asdict(estimate) | {"interval": interval}
