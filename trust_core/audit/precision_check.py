"""What a lower precision changes, measured on the audit's own images before it is used."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from trust_core.audit.decode import Batch
from trust_core.audit.settings import AuditSettings
from trust_core.storage.manifest import DeltaChange, FlaggedChange, PrecisionCheck
from trust_core.storage.shards import Shard

FULL = "fp32"
PASSED_IMAGES = 64  # that are compared
FLAGGED_SHARE = 0.1  # of them are flagged, the most suspicious, for want of a threshold so early
KEYS = ["sample_id", "strength"]


def check_precision(
    score: Callable[[AuditSettings, Batch], Shard],
    settings: AuditSettings,
    batches: Iterable[Batch],
) -> PrecisionCheck:
    """Score the first images in both precisions.

    Batches are read until `PASSED_IMAGES` passed images have been seen.

    Returns:
        What changes; flagged are the `FLAGGED_SHARE` most suspicious images at each strength.
    """
    pairs: list[tuple[Shard, Shard]] = []
    passed = 0
    for batch in batches:
        pair = score(replace(settings, precision=FULL), batch), score(settings, batch)
        passed += int((pair[0].samples["predicted"] == 0).sum())
        pairs.append(pair)
        if passed >= PASSED_IMAGES:
            break
    samples = [pd.concat([pair[side].samples for pair in pairs]) for side in (0, 1)]
    scores = [pd.concat([pair[side].scores for pair in pairs]) for side in (0, 1)]
    answers = samples[0].merge(samples[1], on="sample_id", suffixes=("", "_low"))
    both = scores[0].merge(scores[1], on=KEYS, suffixes=("", "_low"))
    both = both[both["sample_id"].isin(answers.loc[answers["predicted"] == 0, "sample_id"])]
    moved = (both["iou_difference"] - both["iou_difference_low"]).abs().dropna()
    same = of = 0
    for _, part in both.groupby("strength"):
        count = max(1, round(FLAGGED_SHARE * len(part)))
        full, low = (
            set(part.nlargest(count, column)["sample_id"])
            for column in ("iou_difference", "iou_difference_low")
        )
        same, of = same + len(full & low), of + len(full)
    check = PrecisionCheck(
        precision=settings.precision,
        images=len(answers),
        passed=int((answers["predicted"] == 0).sum()),
        decisions_changed=int((answers["predicted"] != answers["predicted_low"]).sum()),
        log_odds=_largest(both["log_odds"] - both["log_odds_low"]),
        delta=DeltaChange(median=float(np.nan_to_num(moved.median())), largest=_largest(moved)),
        flagged=FlaggedChange(same=same, of=of),
    )
    return replace(check, sentence=_sentence(check))


def _largest(values: pd.Series) -> float:
    return float(np.nan_to_num(values.abs().max()))


def _sentence(check: PrecisionCheck) -> str:
    if not check.passed:
        return (
            f"{check.precision}: none of the {check.images} images that both precisions were "
            "tried on is called good, so what it changes is not known."
        )
    return (
        f"{check.precision} against {FULL} on {check.passed} parts called good: the IoU "
        f"difference moves by {check.delta.median:.3f} in the median and by "
        f"{check.delta.largest:.3f} at most; of the most suspicious tenth at each strength "
        f"{check.flagged.same} of {check.flagged.of} stay in it; "
        f"{check.decisions_changed} of {check.images} decisions change."
    )
