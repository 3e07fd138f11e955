"""The masks of two audits on the images that both hold."""

import glob
from dataclasses import dataclass, replace

import numpy as np

from trust_core.decision.localization import METRICS, difference, localize
from trust_core.decision.localized import Judged
from trust_core.decision.ratios import Estimate
from trust_core.storage.audit_columns import Places
from trust_core.storage.audit_files import SAMPLES, Audit


@dataclass(frozen=True)
class Pair:
    """Two audits compared; estimates by metric.

    Attributes:
        shared: images compared.
        here: of the first audit.
        there: of the other.
        differences: here minus there, paired by image, with an interval over groups.
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


def compare(here: Judged, there: Judged, same: Places, min_area: float = 0.0) -> Pair:
    """Compare the masks of two audits; what either cannot judge is left out.

    Labels and groups are those of the first; each audit has its own pixels at its true masks.

    Args:
        here: images of the first audit.
        there: images of the other.
        same: of `same_images`.
        min_area: as in `localization.localize`.
    """
    known = [judged.images.places[judged.judgeable] for judged in (here, there)]
    both = same[np.isin(same[:, 0], known[0]) & np.isin(same[:, 1], known[1])]
    mine, theirs = (
        judged.truth.at(np.searchsorted(places, column))
        for judged, places, column in zip((here, there), known, both.T, strict=True)
    )
    theirs = replace(theirs, codes=mine.codes, defective=mine.defective)
    judgeable = mine.known & theirs.known
    mine, theirs = mine.at(judgeable), theirs.at(judgeable)
    one, other = localize(mine, min_area), localize(theirs, min_area)
    return Pair(
        int(judgeable.sum()),
        {name: getattr(one, name) for name in METRICS},
        {name: getattr(other, name) for name in METRICS},
        {name: difference(theirs, mine, name, min_area) for name in METRICS},
    )
