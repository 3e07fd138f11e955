"""Drift: whether the line still is what was audited, and what returned labels say of the recall.

Compared are the log of a guard and the reference that was exported with it (`reference`), by
`decision.exchangeability`: p, brightness and sharpness of all images, and the indicator of those
that passed. The evidence of the four is their mean, which is evidence again. A line has fewer
defects than a data set, which is no drift: the evidence is the least over shares of defective parts
in the reference, from none to as many as `tune` has.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from trust_core.decision.audited_recall import AuditedRecall, audited_recall
from trust_core.decision.exchangeability import conformal_shares, wealth
from trust_core.decision.json_object import json_object
from trust_core.decision.tradeoff import Floats
from trust_core.deploy.line_log import read_line, returned_labels
from trust_core.deploy.reference import NUMBERS, Reference
from trust_core.errors import SettingsError
from trust_core.figures.words.numbers import about, counted, number_text, percent

ALPHA = 0.05  # chance that a line without drift ever raises an alarm, at most
DEFECT_SHARES = (0.0, 0.5, 1.0)  # of the defective parts of the reference that are left in it
NUMBER_WORDS = {
    "p_defect": "the defect probability",
    "indicator": "the indicator",
    "brightness": "the brightness of the images",
    "sharpness": "the sharpness of the images",
}
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MUCH = 1_000_000  # evidence that needs no number any more
PATH_POINTS = 400  # of the evidence that are kept to be drawn
NO_AUDIT_SAMPLE = (
    "Labels of flagged parts alone cannot update the recall: what was overlooked is not among "
    "them. Export the guard with an audit rate, and label the parts it draws."
)


@dataclass(frozen=True)
class Shift:
    """A number on the line beside the audit; quantiles at `QUANTILES`.

    `audit` and `line` are quantiles; `evidence` is the largest against the two being alike.
    """

    name: str
    audit: tuple[float, ...]
    line: tuple[float, ...]
    evidence: float


@dataclass(frozen=True)
class Drift:
    """What the log of a line shows.

    Attributes:
        alarm: the evidence has reached 1/α.
        called_at: the image at which it did; None without an alarm.
        evidence: the largest so far.
        limit: 1/α.
        images: in the log.
        compared: of them, one of every `every`.
        every: photographs taken as one part.
        unreadable: images that could not be read.
        defective: share that the detector called defective.
        flagged: share of the passed images that was flagged.
        defective_audit: the same in the reference.
        flagged_audit: the same in the reference.
        shifts: of each number that both have.
        path: `(image, evidence)` to be drawn.
        recall: of returned labels; None without any, or where they cannot say.
        recall_sentence: what they say, or why they cannot; "" without labels.
    """

    alarm: bool
    called_at: int | None
    evidence: float
    limit: float
    images: int
    compared: int
    every: int
    unreadable: int
    defective: float
    flagged: float
    defective_audit: float
    flagged_audit: float
    shifts: tuple[Shift, ...]
    path: tuple[tuple[int, float], ...]
    recall: AuditedRecall | None = None
    recall_sentence: str = ""

    @property
    def sentence(self) -> str:
        """What it comes to."""
        if not self.compared:
            return "The log has no readable image yet, so there is nothing to compare."
        much = about(self.evidence) if self.evidence < MUCH else f"over {MUCH:,}"
        held = f"evidence {much}, {self.limit:g} calls it"
        if not self.alarm:
            return f"No drift to be seen in {counted(self.images, 'images')} ({held})."
        most = max(self.shifts, key=lambda shift: shift.evidence)
        middle = QUANTILES.index(0.5)
        before, now = (number_text(round(q[middle], 4)) for q in (most.audit, most.line))
        return (
            f"Drift, called at image {self.called_at:,}: these are no longer images like the "
            f"audit's ({held}). Most of it shows in {most.name}: median {now} instead of {before}. "
            "What was proven holds no longer; look at camera, light and product, and audit again."
        )

    def as_json(self) -> dict[str, Any]:
        """A JSON object with every number, and the sentence."""
        told = asdict(self)
        told.pop("path")
        return json_object(told | {"sentence": self.sentence})


def drift_of_files(reference: Reference, log: Path, labels: Path | None, threshold: float) -> Drift:
    """Compare the files of a line with the audit; raises as `drift` and what reads them."""
    table = read_line(log)
    returned = returned_labels(labels) if labels else None
    return drift(reference, table, threshold=threshold, labels=returned)


def drift(
    reference: Reference,
    log: pd.DataFrame,
    *,
    threshold: float,
    labels: Mapping[str, bool] | None = None,
    alpha: float = ALPHA,
    every: int | None = None,
    seed: int = 0,
) -> Drift:
    """Compare a line with the audit.

    Args:
        reference: of the guard.
        log: of `read_line`, in the order of the line.
        threshold: τ of the guard.
        labels: True for a defective part, by path, as they came back.
        alpha: chance of ever calling a drift where there is none, at most.
        every: photographs of one part that come one after the other, of which one counts; as the
            audit's groups have when None.
        seed: of the order of equal numbers.

    Raises:
        SettingsError: a setting that means nothing, or a reference too small for it.
    """
    if not 0 < alpha < 1:
        raise SettingsError(f"alpha {alpha:g}: write a chance between 0 and 1, such as 0.05.")
    every = every or max(1, round(reference.images_per_group))
    if every < 1:
        raise SettingsError(f"every {every}: write a whole number of at least 1.")
    if not len(reference.p_defect):
        raise SettingsError(
            "The audit had no image for choosing (tune), so there is nothing to compare with; "
            "audit more images, then export the guard again."
        )
    readable = log["p_defect"].notna().to_numpy(dtype=bool)
    seen = np.flatnonzero(readable)[::every]
    line = _numbers(log.iloc[seen])
    evidence, alone = _evidence(reference, line, seed)
    reached = np.flatnonzero(evidence >= 1 / alpha)
    called = log["decision"][readable]
    went = called != "defective"
    recall, recall_sentence = _recall(log, labels) if labels else (None, "")
    suspicious = reference.indicator[reference.passed] >= threshold
    return Drift(
        alarm=bool(len(reached)),
        called_at=int(seen[reached[0]]) + 1 if len(reached) else None,
        evidence=float(evidence.max(initial=1.0)),
        limit=1 / alpha,
        images=len(log),
        compared=len(seen),
        every=every,
        unreadable=int((~readable).sum()),
        defective=float((~went).mean()) if len(went) else np.nan,
        flagged=float((called[went] == "re_inspect").mean()) if went.any() else np.nan,
        defective_audit=float((~reference.passed).mean()),
        flagged_audit=float(suspicious.mean()) if len(suspicious) else np.nan,
        shifts=tuple(
            Shift(
                words,
                _quantiles(getattr(reference, name)),
                _quantiles(line[name]),
                alone[name],
            )
            for name, words in NUMBER_WORDS.items()
            if name in alone
        ),
        path=_thinned(seen, evidence),
        recall=recall,
        recall_sentence=recall_sentence,
    )


def _numbers(line: pd.DataFrame) -> dict[str, Floats]:
    """What is compared, by name, `(N,)`; NaN where an image has none.

    The indicator of an unscored part is +∞, of one called defective NaN.
    """
    found = {name: line[name].to_numpy(dtype=np.float64) for name in NUMBERS}
    passed = (line["decision"] != "defective").to_numpy(dtype=bool)
    found["indicator"] = np.where(passed, np.nan_to_num(found["indicator"], nan=np.inf), np.nan)
    return found


def _evidence(
    reference: Reference, line: Mapping[str, Floats], seed: int
) -> tuple[Floats, dict[str, float]]:
    """The evidence after each image, `(N,)`, and the largest of each number alone.

    A number that the audit or the line does not have is left out.
    """
    draw = np.random.default_rng(seed)
    draws = {name: draw.random(len(values)) for name, values in line.items()}
    order = draw.permutation(np.flatnonzero(reference.defective))
    good = np.flatnonzero(~reference.defective)
    together: list[Floats] = []
    alone: dict[str, float] = {}
    for share in DEFECT_SHARES:
        rows = np.concatenate([good, order[: round(share * len(order))]])
        held = []
        for name, values in line.items():
            audited, there = getattr(reference, name)[rows], ~np.isnan(values)
            audited = audited[~np.isnan(audited)]
            if not len(audited) or not there.any():
                continue
            bets = wealth(conformal_shares(audited, values[there], draws[name][there]))
            # After an image without this number the bets stand as they stood.
            held.append(np.concatenate(([1.0], bets))[np.cumsum(there)])
            alone[name] = min(alone.get(name, np.inf), float(bets.max()))
        together.append(np.mean(held, axis=0) if held else np.ones(len(line["p_defect"])))
    return np.min(together, axis=0), alone


def _recall(log: pd.DataFrame, labels: Mapping[str, bool]) -> tuple[AuditedRecall | None, str]:
    """What labels say of the recall.

    Those of passed parts that nobody drew are left out: they are no fair sample.
    """
    known = log["path"].map(labels)
    labelled = known.notna()
    flagged = log["decision"] == "re_inspect"
    unflagged = log["decision"] == "good"
    sampled = unflagged & log["audit_sample"]
    if not (sampled & labelled).any():
        return None, NO_AUDIT_SAMPLE
    if not (flagged & labelled).any():
        return None, "No flagged part is among the labels, so they say nothing of the recall."
    wrong = known.fillna(False).astype(bool)
    found = audited_recall(
        int((flagged & wrong).sum()),
        int((sampled & wrong).sum()),
        float((flagged & labelled).sum() / flagged.sum()),
        float((sampled & labelled).sum() / unflagged.sum()),
    )
    return found, recall_words(found)


def recall_words(found: AuditedRecall) -> str:
    """The recall of returned labels in a sentence."""
    defects = found.flagged_defects + found.audited_defects
    if not defects:
        return "No label that came back is that of a missed defect: the recall is not known yet."
    return (
        f"Of the missed defects on the line {percent(found.recall)} were flagged, "
        f"{percent(found.confidence)} sure between {percent(found.low)} and {percent(found.high)} "
        f"at every look: {found.flagged_defects:,} among the flagged parts, "
        f"{found.audited_defects:,} in an audit sample of {percent(found.audit_rate)} of the rest."
    )


def _quantiles(values: Floats) -> tuple[float, ...]:
    values = values[~np.isnan(values)]
    if not len(values):
        return (float("nan"),) * len(QUANTILES)
    # +∞ is an unscored part: the next lower number, not a mean with it.
    return tuple(float(q) for q in np.quantile(values, QUANTILES, method="lower"))


def _thinned(seen: npt.NDArray[np.int64], evidence: Floats) -> tuple[tuple[int, float], ...]:
    """Points of the evidence to be drawn: the largest of each stretch."""
    if not len(evidence):
        return ()
    stretches = np.array_split(np.arange(len(evidence)), min(PATH_POINTS, len(evidence)))
    best = [int(part[np.argmax(evidence[part])]) for part in stretches]
    return tuple((int(seen[i]) + 1, float(evidence[i])) for i in best)
