"""Heatmap health: how many of the maps behind an indicator say anything at all.

An empty defect map of a good part is what one hopes for; where most maps are empty, or many images
have no score, an indicator that is made of them has little to go by.
"""

from dataclasses import dataclass

import numpy as np

from trust_core.storage.audit_files import Audit

MANY_EMPTY = 0.5  # share of empty maps of missed defects, above which the map is of little use
MANY_UNSCORED = 0.05


@dataclass(frozen=True)
class MapHealth:
    """One kept map among the passed images at ε = 0.

    Counts of passed images, and of missed defects among them; an empty map is zero everywhere.
    """

    name: str
    images: int
    empty: int
    missed: int
    empty_missed: int


@dataclass(frozen=True)
class HeatmapHealth:
    """The maps of the passed images, and what has no score.

    `unscored` are passed images without a score at ε = 0, by reason, the most frequent first.
    """

    maps: tuple[MapHealth, ...]
    unscored: tuple[tuple[str, int], ...]
    images: int

    @property
    def findings(self) -> tuple[str, ...]:
        """What is wrong with them, in sentences; none when nothing is."""
        said = []
        for one in self.maps:
            if one.missed and one.empty_missed / one.missed > MANY_EMPTY:
                said.append(
                    f"The map {one.name} is empty for {one.empty_missed:,} of {one.missed:,} "
                    "missed defects: it finds nothing there to compare; try another layer."
                )
        without = sum(count for _, count in self.unscored)
        if self.images and without / self.images > MANY_UNSCORED:
            said.append(
                f"{without:,} of {self.images:,} parts called good have no score and are always "
                "re-inspected; try another layer or map."
            )
        return tuple(said)


def heatmap_health(audit: Audit, roles: tuple[str, ...]) -> HeatmapHealth:
    """The health of the maps over the passed images of some roles.

    No seal is asked for, because only maps are counted.
    """
    table = audit.query(
        """SELECT outcome = 'FN' AS missed, scores.status AS status, scores.row AS row
           FROM scores JOIN samples USING (sample_id)
           WHERE strength = 0 AND outcome IN ('FN', 'TN') AND list_contains(?, role)
           ORDER BY scores.row""",
        [list(roles)],
    )
    missed = table["missed"].to_numpy(dtype=bool)
    rows = table["row"].to_numpy(dtype=np.int64)
    maps = []
    for name in (entry.name for entry in audit.manifest.maps):
        empty = ~audit.maps(name)[rows].any(axis=(1, 2))
        counts = len(rows), int(empty.sum()), int(missed.sum()), int((empty & missed).sum())
        maps.append(MapHealth(name, *counts))
    reasons = table["status"][table["status"] != "scored"].value_counts()
    return HeatmapHealth(
        tuple(maps), tuple((str(reason), int(n)) for reason, n in reasons.items()), len(table)
    )
