"""What one trained network gives on `test`: its decisions, and its masks or its heatmap."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from trust_core.decision.localization.audit_masks import image_masks, images_of, sweep
from trust_core.decision.localization.metrics import SIZES, THRESHOLDS, localize, size_class
from trust_core.decision.localization.pixel_counts import MASK_HEAD, find_source, make_counts
from trust_core.storage.audit_files import Audit

ALARMS = 0.1
MASK_THRESHOLD = 0.5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Row:
    """One network on `test`.

    Attributes:
        values: by name; those of `DECISIONS` and `MASKS`.
        by_size: share of the defects of each size that are called defective at `ALARMS`.
        sizes: how many defects there are of each size.
        source: what the masks come from.
        threshold: where they are cut.
        groups: tiles in `test`.
    """

    values: dict[str, float]
    by_size: list[float]
    sizes: list[int]
    source: str
    threshold: float
    groups: int


DECISIONS = {
    "recall": "recall",
    "alarms": "false alarms",
    "recall_at_alarms": f"recall at {ALARMS:.0%} false alarms",
    "average_precision": "AP",
    "part_recall": "recall of parts",
    "part_average_precision": "AP of parts",
}
MASKS = {
    "seg_miou": "Seg_mIoU",
    "seg_recall": "Seg_Recall",
    "seg_recall_strict": "Seg_Recall, strict",
    "mask_alarms": "good images with a mask",
    "pooled_miou": "pooled mIoU",
    "mask_average_precision": "AP of the mask's alarm",
}


def row_of(audit: Audit) -> Row:
    """Measure a network; its masks are those of the mask head, else its heatmap for *defective*."""
    source = find_source(audit, MASK_HEAD if audit.masks() is not None else "defect")
    counts = make_counts(audit, source)
    threshold = MASK_THRESHOLD
    if source != MASK_HEAD:  # a share of the display scale means nothing by itself
        chosen = sweep(counts, images_of(audit, ["tune"]))["seg_miou"]
        threshold = float(THRESHOLDS[np.nanargmax(chosen)])
    judged = image_masks(counts, images_of(audit, ["test"]), threshold)
    found = localize(judged.truth)
    table = audit.query(
        """SELECT label, log_odds, "group", row FROM (
               SELECT *, row_number() OVER (ORDER BY sample_id) - 1 AS row FROM samples)
           WHERE role = 'test' ORDER BY row"""
    )
    z, defective = table["log_odds"].to_numpy(), table["label"].to_numpy() == 1
    parts = table.groupby("group")[["label", "log_odds"]].max()
    bad = parts["label"] == 1
    called = z > np.quantile(z[~defective], 1 - ALARMS, method="higher")
    truth = judged.masks
    placed = (truth.true > 0) & truth.defective
    sizes = size_class(truth.at(placed))
    answers = called[placed]
    masks = audit.masks()
    values = {
        "recall": float((z[defective] >= 0).mean()),
        "alarms": float((z[~defective] >= 0).mean()),
        "recall_at_alarms": float(called[defective].mean()),
        "average_precision": float(average_precision_score(defective, z)),
        "part_recall": float((parts["log_odds"][bad] >= 0).mean()),
        "part_average_precision": float(average_precision_score(bad, parts["log_odds"])),
        "seg_miou": found.seg_miou.value,
        "seg_recall": found.seg_recall.value,
        "seg_recall_strict": found.seg_recall_strict.value,
        "mask_alarms": found.false_alarms.value,
        "pooled_miou": found.pooled_miou.value,
        "mask_average_precision": float("nan")
        if masks is None
        else float(average_precision_score(defective, masks[table["row"]].max((1, 2)))),
    }
    return Row(
        values,
        [float(answers[sizes == k].mean()) for k in range(len(SIZES))],
        [int((sizes == k).sum()) for k in range(len(SIZES))],
        source,
        threshold,
        len(parts),
    )
