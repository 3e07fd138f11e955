"""The ways to score by an overlap, against the audit's own scores."""

import numpy as np

from trust_core.decision.curves import scored
from trust_core.decision.tuning.candidates import VARIANTS, OverlapCandidate, overlap_table


def test_the_audits_own_recipe_gives_its_own_scores(audit):
    overlaps = overlap_table(audit)
    for strength in audit.strengths:
        for variant in VARIANTS:
            candidate = OverlapCandidate(overlaps.recipes[0], variant, strength)
            for role in ("tune", "test"):
                mine = overlaps.scored(overlaps.scores(candidate), role)
                wanted = scored(audit, [role], variant, strength)
                assert mine["outcome"].tolist() == wanted["outcome"].tolist()
                np.testing.assert_array_equal(mine["indicator"], wanted["indicator"])


def test_candidates_are_all_variants_at_all_strengths(audit):
    overlaps = overlap_table(audit)
    candidates = overlaps.candidates()
    assert candidates[0] == overlaps.default
    assert len(set(candidates)) == len(candidates) == len(overlaps.recipes) * (4 + 3)
    shift = OverlapCandidate(overlaps.recipes[5], "iou_difference_shift", 2.0)
    delta = [
        overlaps.scores(OverlapCandidate(overlaps.recipes[5], "iou_difference", e))
        for e in (2.0, 0.0)
    ]
    np.testing.assert_array_equal(overlaps.scores(shift), delta[0] - delta[1])
