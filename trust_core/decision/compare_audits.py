"""Two audits on the images that both hold: which parts changed side, how far their masks differ.

An image is the same when path and content are.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from trust_core.decision.bootstrap import Estimate
from trust_core.decision.localization.audit_masks import ImageMasks
from trust_core.decision.localization.metrics import METRICS, localize, metric_difference
from trust_core.storage.audit_columns import Places
from trust_core.storage.audit_files import SAMPLES, Audit

# (outcome there, outcome here): what it means that a part went from one to the other.
CHANGES = {
    ("FN", "TP"): "missed there, caught here",
    ("TP", "FN"): "caught there, missed here",
    ("FP", "TN"): "false alarm there, passed here",
    ("TN", "FP"): "passed there, false alarm here",
}
RELABELLED = "the label differs"


@dataclass(frozen=True)
class OutcomeComparison:
    """Outcomes of this audit beside those of another.

    `counts` are outcome → (there, here) on the `shared` images; `changed` are those whose side
    changed: `sample_id, path, kind, role, change`, the missed defects first.
    """

    shared: int
    counts: dict[str, tuple[int, int]]
    changed: pd.DataFrame


@dataclass(frozen=True)
class MaskComparison:
    """Masks of this audit beside those of another; estimates by metric.

    `differences` are here minus there, paired by image, with an interval over groups.
    """

    shared: int
    here: dict[str, Estimate]
    there: dict[str, Estimate]
    differences: dict[str, Estimate]


def same_images(audit: Audit, other: Audit) -> Places:
    """Places of the images that both audits hold, same path and same bytes, `(n, 2)`."""
    table = audit.query(
        """SELECT here.file_row_number, there.file_row_number
           FROM places AS here JOIN read_parquet($1, file_row_number = true) AS there
           ON here.sample_id = there.sample_id AND here.sha256 = there.sha256
           ORDER BY here.sample_id""",
        [glob.escape(str(other.folder / SAMPLES))],
    )
    return table.to_numpy(dtype=np.int64)


def compare_outcomes(audit: Audit, other: Audit, roles: Sequence[str]) -> OutcomeComparison:
    """Compare two audits on images of these roles of the open one.

    An image that a model cannot read has no side.
    """
    here, there = (
        _samples(one).iloc[places].reset_index(drop=True)
        for one, places in zip((audit, other), same_images(audit, other).T, strict=True)
    )
    both = here.assign(label_there=there["label"], outcome_there=there["outcome"])
    both = both[both["role"].isin(list(roles))]
    counts = {
        name: (int((both["outcome_there"] == name).sum()), int((both["outcome"] == name).sum()))
        for name in ("FN", "TP", "TN", "FP")
    }
    pairs = list(zip(both["outcome_there"], both["outcome"], strict=True))
    order = {change: place for place, change in enumerate((*CHANGES.values(), RELABELLED))}
    change = [
        RELABELLED if a != b else CHANGES.get(pair, "")
        for a, b, pair in zip(both["label_there"], both["label"], pairs, strict=True)
    ]
    changed = both.assign(change=change, place=[order.get(name, -1) for name in change])
    changed = changed[changed["place"] >= 0].sort_values(["place", "path"], ignore_index=True)
    columns = ["sample_id", "path", "kind", "role", "change"]
    return OutcomeComparison(len(both), counts, changed[columns])


def compare_masks(
    here: ImageMasks, there: ImageMasks, same: Places, min_area: float = 0.0
) -> MaskComparison:
    """Compare the masks of two audits; what either cannot judge is left out.

    Labels and groups are those of the first; each audit has its own pixels at its true masks.
    `same` is of `same_images`, `min_area` as in `metrics.localize`.
    """
    known = [found.images.places[found.judgeable] for found in (here, there)]
    both = same[np.isin(same[:, 0], known[0]) & np.isin(same[:, 1], known[1])]
    mine, theirs = (
        found.truth.at(np.searchsorted(places, column))
        for found, places, column in zip((here, there), known, both.T, strict=True)
    )
    theirs = replace(theirs, codes=mine.codes, defective=mine.defective)
    judgeable = mine.known & theirs.known
    mine, theirs = mine.at(judgeable), theirs.at(judgeable)
    one, other = localize(mine, min_area), localize(theirs, min_area)
    return MaskComparison(
        int(judgeable.sum()),
        {name: getattr(one, name) for name in METRICS},
        {name: getattr(other, name) for name in METRICS},
        {name: metric_difference(theirs, mine, name, min_area) for name in METRICS},
    )


def _samples(audit: Audit) -> pd.DataFrame:
    return audit.query(
        "SELECT sample_id, path, kind, role, label, outcome FROM places ORDER BY file_row_number"
    )
