"""What the probes of an audit say of one image: the depth that speaks loudest for a defect."""

import math
from dataclasses import dataclass

import numpy as np

from trust_core.decision.indicators.probes import read_probes
from trust_core.decision.tradeoff import Floats
from trust_core.storage.audit_columns import passed_rows, text_column
from trust_core.storage.audit_files import Audit

CLEAR = 0.95  # share of the passed good images below a score from which on a depth sees a defect


@dataclass(frozen=True)
class DepthReading:
    """The loudest depth of one image.

    Attributes:
        depth: its place among the depths, from 0.
        depths: K, how many there are.
        layer: its name.
        weights: of the probe there, `(3 * C,)`.
        offset: of the probe there.
        score: of the image there, in standard deviations among passed good images of `tune`; an
            image of `tune` is scored by a probe that saw neither it nor its group.
        probe_score: the same by the probe of these weights, which has seen all of `tune`.
        louder: share of the passed good images of `tune` that score lower there.
    """

    depth: int
    depths: int
    layer: str
    weights: Floats
    offset: float
    score: float
    probe_score: float
    louder: float

    @property
    def seen(self) -> bool:
        """Whether the probe of these weights was fitted to this image too."""
        return not math.isclose(self.score, self.probe_score, rel_tol=1e-3, abs_tol=1e-3)

    @property
    def sees_defect(self) -> bool:
        """Whether the depth sees a defect as hardly a good part shows one."""
        return self.louder >= CLEAR


def loudest_depth(audit: Audit, sample_id: str) -> DepthReading | None:
    """The depth whose probe says *defective* loudest of an image.

    Returns:
        None where the audit has no probes, or nothing was kept of the image.
    """
    probes, activations = read_probes(audit), audit.activations()
    found = audit.query("SELECT file_row_number FROM places WHERE sample_id = ?", [sample_id])[
        "file_row_number"
    ]
    if probes is None or activations is None or found.empty:
        return None
    place = int(found.iloc[0])
    kept = activations[place].astype(np.float64)
    if not np.isfinite(kept).all():
        return None
    slices = probes.slices
    final = np.array([kept[part] @ probes.weights[part] for part in slices]) + probes.offsets
    passed = passed_rows(audit)
    own = np.flatnonzero(passed == place)
    scores = probes.depth_scores[own[0]].astype(np.float64) if len(own) else final
    depth = int(np.argmax(scores))
    good = text_column(audit, "outcome").equal("TN") & text_column(audit, "role").equal("tune")
    usual = probes.depth_scores[good[passed], depth]
    return DepthReading(
        depth,
        len(slices),
        probes.layers[depth],
        probes.weights[slices[depth]],
        float(probes.offsets[depth]),
        float(scores[depth]),
        float(final[depth]),
        float((usual < scores[depth]).mean()),
    )
