"""Indicators: any number per passed image; higher = more suspicious, NaN = unscored.

An indicator is a function of two tables with one row a passed image, in one order: `at` the chosen
strength ε and `clean` at ε = 0, with the columns of `scores.parquet`, `p_defect`, and the rivals of
`indicators.parquet` (`indicators.stored`), which are the same at every ε. Data frames or
`audit_columns.PassedColumns`, which reads only what is asked for.
"""

from collections.abc import Callable

import numpy as np

from trust_core.errors import SettingsError
from trust_core.messages import Message
from trust_core.registry import Registry
from trust_core.storage.audit_columns import Columns, Floats
from trust_core.storage.audit_files import Audit

Indicator = Callable[[Columns, Columns], Floats]

INDICATORS: Registry[Indicator] = Registry("indicator")

DEFAULT_INDICATOR = "iou_difference"
THRESHOLD_SHIFT = "p_defect"

_ONE_OUTPUT = "with one output it would rank as p does"
_NO_REFERENCE = "it needs penultimate features and 20 good images of train or tune"
_NO_PROBES = (
    "it needs the activations that audits keep now (run the audit again, into a new folder) "
    "and, in tune, 5 groups with a defect, 5 with a good part and 20 good images passed"
)
_AUTOTUNE = "run `python -m trust_core autotune AUDIT` first"

# The columns of `indicators.parquet`, and why an audit may not have one.
ABSENT: dict[str, str] = {
    "max_logit": _ONE_OUTPUT,
    "energy": _ONE_OUTPUT,
    "gradient_norm": "audit at a strength above 0 too",
    "tta_spread": Message("run the audit with {tta}"),
    "knn": _NO_REFERENCE,
    "mahalanobis": _NO_REFERENCE,
    "defect_area": "run the audit again",
    "defect_entropy": "run the audit again",
    "evidence_mass": Message("run the audit with evidence among the forms of {specific}"),
    "mask_alarm": "it needs a network with a mask head",
    "iou_random": "run the audit again",
    "combination": "run the audit again",
    "consensus": _NO_REFERENCE,
    "consensus_blind": _NO_REFERENCE,
    "probe": _NO_PROBES,
    "probe_combination": _NO_PROBES,
    "best_overlap": _AUTOTUNE,
    "overlap_profile": _AUTOTUNE,
}


# What an indicator is called where people read it.
INDICATOR_NAMES = {
    "iou_difference": "IoU difference",
    "iou_defect": "overlap with the defect map",
    "good_disagreement": "disagreement with the good map",
    "iou_difference_shift": "change of the IoU difference under perturbation",
    "p_defect": "just lowering the decision threshold",
    "log_odds": "evidence for a defect under perturbation",
    "log_odds_shift": "change of the evidence under perturbation",
    "iou_difference_clean": "IoU difference without perturbation",
    "max_logit": "weakness of the strongest output",
    "energy": "energy of the outputs",
    "gradient_norm": "sensitivity to the pixels",
    "tta_spread": "change of the evidence when the image is flipped",
    "knn": "distance to the nearest good parts",
    "mahalanobis": "distance from the cloud of good parts",
    "defect_area": "area of the defect map",
    "defect_entropy": "scatter of the defect map",
    "evidence_mass": "concentration of the evidence for a defect",
    "mask_alarm": "alarm of the predicted mask",
    "iou_random": "overlap with a random map",
    "combination": "evidence and IoU difference combined",
    "consensus": "consensus of evidence, IoU difference and features",
    "consensus_blind": "consensus without heatmaps",
    "probe": "second reading of the activations",
    "probe_combination": "evidence and second reading of the activations",
    "best_overlap": "best overlap found on the tuning parts",
    "overlap_profile": "overlap profile",
}
SHIFT_NAME = INDICATOR_NAMES[THRESHOLD_SHIFT]


def _column(table: Columns, name: str) -> Floats:
    return np.asarray(table[name], dtype=np.float64)


@INDICATORS.register(DEFAULT_INDICATOR)
def iou_difference(at: Columns, clean: Columns) -> Floats:
    """Δ = IoU(M_defect, M_agnostic) − IoU(M_good, M_agnostic), on x_ε."""
    return _column(at, "iou_difference")


@INDICATORS.register("iou_defect")
def iou_defect(at: Columns, clean: Columns) -> Floats:
    """IoU(M_defect, M_agnostic), on x_ε."""
    return _column(at, "iou_defect")


@INDICATORS.register("good_disagreement")
def good_disagreement(at: Columns, clean: Columns) -> Floats:
    """1 − IoU(M_good, M_agnostic), on x_ε."""
    return 1.0 - _column(at, "iou_good")


@INDICATORS.register("iou_difference_shift")
def iou_difference_shift(at: Columns, clean: Columns) -> Floats:
    """Δ(x_ε) − Δ(x): what the enhancement moved."""
    return _column(at, "iou_difference") - _column(clean, "iou_difference")


@INDICATORS.register(THRESHOLD_SHIFT)
def p_defect(at: Columns, clean: Columns) -> Floats:
    """`p` of the clean image: flagging by it is moving the decision threshold. The rival."""
    return _column(clean, "p_defect")


@INDICATORS.register("log_odds")
def log_odds(at: Columns, clean: Columns) -> Floats:
    """z(x_ε): the enhancement without any heatmap."""
    return _column(at, "log_odds")


@INDICATORS.register("log_odds_shift")
def log_odds_shift(at: Columns, clean: Columns) -> Floats:
    """z(x_ε) − z(x)."""
    return _column(at, "log_odds") - _column(clean, "log_odds")


@INDICATORS.register("iou_difference_clean")
def iou_difference_clean(at: Columns, clean: Columns) -> Floats:
    """Δ(x): the overlap without the enhancement."""
    return _column(clean, "iou_difference")


def _rival(name: str) -> Indicator:
    def rival(at: Columns, clean: Columns) -> Floats:
        if name not in clean:
            raise SettingsError(
                Message(
                    "This audit has no indicator '{name}': {reason}.",
                    name=name,
                    reason=ABSENT[name],
                )
            )
        return _column(clean, name)

    return rival


for _name in ABSENT:
    INDICATORS[_name] = _rival(_name)


def indicator_name(indicator: str) -> str:
    """What an indicator is called."""
    return INDICATOR_NAMES.get(indicator, indicator.replace("_", " "))


def available(audit: Audit) -> tuple[str, ...]:
    """The indicators that an audit has, in the registry's order."""
    return tuple(
        name for name in INDICATORS if name not in ABSENT or name in audit.stored_indicators
    )


def absent(audit: Audit) -> dict[str, str]:
    """The indicators that an audit does not have, and why."""
    return {name: why for name, why in ABSENT.items() if name not in audit.stored_indicators}
