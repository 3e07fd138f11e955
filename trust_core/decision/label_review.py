"""Labels under review: which to check first, and what an audit would say with corrected ones.

No model runs: a label moves an image between FN and TN, or TP and FP, and leaves its scores as they
are. Nothing here changes an audit; only the data set can.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from trust_core.decision.auroc import share_below
from trust_core.decision.bootstrap import Flags
from trust_core.decision.curves import roles_of, scored, scores_and_misses
from trust_core.decision.indicators.probes import read_probes
from trust_core.decision.journal import disputes, require_open
from trust_core.decision.operating_point import FlagCounts, OperatingPoint, count_flags
from trust_core.decision.tradeoff import Floats, curve
from trust_core.decision.verdict import Verdict, verdict
from trust_core.storage.audit_columns import number_column, passed_rows, text_column
from trust_core.storage.audit_files import Audit

RELABELLED = {"FN": "TN", "TN": "FN", "TP": "FP", "FP": "TP", "": ""}
AGAINST = 0.5  # from here on a reader speaks against a label: as the middle of the other label does
SURE, NOT_AT_ALL = 0.9, 0.1  # how far apart two readers are that disagree with confidence
BOTH, READER, DETECTOR = "both", "reader", "detector"
CHUNK = 2048  # images whose activations are read at once
LEAST = 5  # images of each label that a share is taken of


@dataclass(frozen=True)
class LabelDoubt:
    """A label that is worth a second look.

    Attributes:
        sample_id: whose label.
        path: of the image.
        label: 0 good, 1 defective, as the data says.
        kind: of the defect.
        outcome: of the detector against that label.
        p_defect: the detector's probability.
        detector: how strongly the detector speaks against the label: the share of the images of
            the other label that it finds less typical of that label than this one.
        reader: the same of the second reader.
        against: who speaks against it: `BOTH`, or with confidence only the second `READER` or only
            the `DETECTOR`.
    """

    sample_id: str
    path: str
    label: int
    kind: str
    outcome: str
    p_defect: float
    detector: float
    reader: float
    against: str


@dataclass(frozen=True)
class LabelledResult:
    """What an audit says with one set of labels."""

    outcomes: dict[str, int]
    counts: FlagCounts
    verdict: Verdict


@dataclass(frozen=True)
class Recount:
    """An audit with the labels of the data, and with corrected ones."""

    role: str
    corrected: int
    before: LabelledResult
    after: LabelledResult


def corrected_ids(audit: Audit) -> list[str]:
    """Images whose label somebody called wrong and nobody took back, each once."""
    return list(dict.fromkeys(entry.sample_id for entry in disputes(audit)))


def corrected_table(audit: Audit) -> pd.DataFrame:
    """All labels of an audit with the wrong ones turned: a table that the next audit reads.

    Returns:
        `path, label, kind, split, role, group, mask_path` of every image. A defect that is none has
        no kind and no mask any more; one that was called good has no kind yet.
    """
    table = audit.query(
        'SELECT sample_id, path, label, kind, split, role, "group", mask_path '
        "FROM places ORDER BY file_row_number"
    )
    wrong = table["sample_id"].isin(corrected_ids(audit))
    label = table["label"].where(~wrong, 1 - table["label"])
    names = label.map({0: "good", 1: "defective"})
    bare = wrong & (label == 0)
    emptied = {name: table[name].mask(bare, "") for name in ("kind", "mask_path")}
    return table.assign(label=names, **emptied).drop(columns="sample_id")


def recount(audit: Audit, point: OperatingPoint, wrong: Collection[str]) -> Recount:
    """What an operating point and the verdict become when some labels are turned.

    The indicator of `point` is judged, on the images of its role; what of `wrong`, ids of the
    labels to turn, is not in the role is passed over.

    Raises:
        SettingsError: the role is sealed.
    """
    roles = roles_of(point.role)
    require_open(audit, roles)
    inside = text_column(audit, "role").equal(*roles)
    outcome = np.asarray(text_column(audit, "outcome").at(np.arange(len(inside))), dtype=object)
    turned = np.isin(_ids(audit), list(wrong)) & inside
    passed = scored(audit, roles, point.indicator, point.strength)
    flipped = np.where(turned, [RELABELLED[name] for name in outcome], outcome)
    before, after = (_result(passed, one, inside, point) for one in (outcome, flipped))
    return Recount(point.role, int(turned.sum()), before, after)


def labels_to_check(audit: Audit, role: str = "tune", most: int = 20) -> list[LabelDoubt] | None:
    """Labels that detector and second reader doubt, the strongest doubts first.

    First those that both speak against, in the order of the weaker of the two; then those where the
    two readers disagree with confidence. The probes have seen the labels of `tune`, those of images
    called defective even in their scores; they are biased towards these labels, never against.

    Returns:
        None where the audit has no second reader, or too few images of a label.

    Raises:
        SettingsError: the role is sealed.
    """
    roles = roles_of(role)
    require_open(audit, roles)
    second = second_readings(audit)
    if second is None:
        return None
    log_odds = number_column(audit, "log_odds")
    known = text_column(audit, "role").equal(*roles) & np.isfinite(log_odds) & np.isfinite(second)
    outcome = text_column(audit, "outcome")
    defective = outcome.equal("FN", "TP")
    places = np.flatnonzero(known)
    labels = defective[places]
    if min(labels.sum(), (~labels).sum()) < LEAST:
        return None
    detector, reader = (against_label(v[places], labels) for v in (log_odds, second))
    both = (detector >= AGAINST) & (reader >= AGAINST)
    only_reader = (reader >= SURE) & (detector <= NOT_AT_ALL)
    only_detector = (detector >= SURE) & (reader <= NOT_AT_ALL)
    listed = np.flatnonzero(both | only_reader | only_detector)
    weaker, stronger = np.minimum(detector, reader), np.maximum(detector, reader)
    order = sorted(listed.tolist(), key=lambda i: (not both[i], -weaker[i], -stronger[i], i))
    rows = _described(audit, places[order[:most]])
    names = np.select([both, only_reader], [BOTH, READER], DETECTOR)
    return [
        LabelDoubt(
            **row, detector=float(detector[i]), reader=float(reader[i]), against=str(names[i])
        )
        for i, row in zip(order[:most], rows, strict=True)
    ]


def against_label(values: Floats, defective: Flags) -> Floats:
    """How strongly a reader speaks against each label, from 0 to 1, `(n,)`.

    Of a good image: the share of the defective ones that look less defective than it. Of a
    defective one: the share of the good ones that look more defective. Equal values count half.
    `values`, higher = more defective, and `defective`, some of each, are `(n,)`.
    """
    found = np.empty(len(values))
    found[~defective] = share_below(np.sort(values[defective]), values[~defective])
    found[defective] = 1 - share_below(np.sort(values[~defective]), values[defective])
    return found


def second_readings(audit: Audit) -> Floats | None:
    """The second reader's mean score over its depths, of every image of an audit, `(S,)`.

    Those of `tune` that were passed come from probes that saw neither the image nor its group, all
    others from the probes that have seen all of `tune`.

    Returns:
        None where the audit has no probes or kept no activations; NaN where an image has none.
    """
    probes, activations = read_probes(audit), audit.activations()
    if probes is None or activations is None:
        return None
    found = np.empty(len(activations))
    for start in range(0, len(found), CHUNK):
        values = activations[start : start + CHUNK].astype(np.float64)
        scores = np.stack(
            [values[:, part] @ probes.weights[part] for part in probes.slices], axis=1
        )
        found[start : start + CHUNK] = (scores + probes.offsets).mean(axis=1)
    passed = passed_rows(audit)
    found[passed] = probes.depth_scores.astype(np.float64).mean(axis=1)
    return found


def _result(
    passed: pd.DataFrame, outcome: np.ndarray, inside: Flags, point: OperatingPoint
) -> LabelledResult:
    table = passed.assign(outcome=outcome[passed["place"]])
    scores, missed = scores_and_misses(table)
    points = curve(scores, missed)
    shift = curve(table["p_defect"].to_numpy(dtype=np.float64), missed)
    names, counts = np.unique(outcome[inside].astype(str), return_counts=True)
    number = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return LabelledResult(
        outcomes={name: number.get(name, 0) for name in ("FN", "TP", "TN", "FP")},
        counts=count_flags(points, shift, point),
        verdict=verdict(table),
    )


def _ids(audit: Audit) -> np.ndarray:
    table = audit.query("SELECT sample_id FROM places ORDER BY file_row_number")
    return table["sample_id"].to_numpy(dtype=str)


def _described(audit: Audit, places: np.ndarray) -> list[dict[str, Any]]:
    """Id, path, label, kind, outcome and p of images, in the order of their places."""
    table = audit.query(
        "SELECT file_row_number, sample_id, path, label, kind, outcome, p_defect FROM places "
        "WHERE list_contains($1, file_row_number)",
        [places.tolist()],
    )
    return list(table.set_index("file_row_number").loc[places].to_dict("records"))
