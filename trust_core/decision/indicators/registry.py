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
INDICATOR_NAMES: dict[str, str] = {}  # what an indicator is called where people read it

DEFAULT_INDICATOR = "iou_difference"
THRESHOLD_SHIFT = "p_defect"


def register(name: str, title: str) -> Callable[[Indicator], Indicator]:
    """Enter the decorated function as an indicator, and what people read as its name."""
    INDICATOR_NAMES[name] = title
    return INDICATORS.register(name)


def _column(table: Columns, name: str) -> Floats:
    return np.asarray(table[name], dtype=np.float64)


@register(DEFAULT_INDICATOR, "IoU difference")
def iou_difference(at: Columns, clean: Columns) -> Floats:
    """Δ = IoU(M_defect, M_agnostic) − IoU(M_good, M_agnostic), on x_ε."""
    return _column(at, "iou_difference")


@register("iou_defect", "overlap with the defect map")
def iou_defect(at: Columns, clean: Columns) -> Floats:
    """IoU(M_defect, M_agnostic), on x_ε."""
    return _column(at, "iou_defect")


@register("good_disagreement", "disagreement with the good map")
def good_disagreement(at: Columns, clean: Columns) -> Floats:
    """1 − IoU(M_good, M_agnostic), on x_ε."""
    return 1.0 - _column(at, "iou_good")


@register("iou_difference_shift", "change of the IoU difference under perturbation")
def iou_difference_shift(at: Columns, clean: Columns) -> Floats:
    """Δ(x_ε) − Δ(x): what the enhancement moved."""
    return _column(at, "iou_difference") - _column(clean, "iou_difference")


@register(THRESHOLD_SHIFT, "threshold shift")
def p_defect(at: Columns, clean: Columns) -> Floats:
    """`p` of the clean image: flagging by it is moving the decision threshold. The rival."""
    return _column(clean, "p_defect")


@register("log_odds", "evidence for a defect under perturbation")
def log_odds(at: Columns, clean: Columns) -> Floats:
    """z(x_ε): the enhancement without any heatmap."""
    return _column(at, "log_odds")


@register("log_odds_shift", "change of the evidence under perturbation")
def log_odds_shift(at: Columns, clean: Columns) -> Floats:
    """z(x_ε) − z(x)."""
    return _column(at, "log_odds") - _column(clean, "log_odds")


@register("iou_difference_clean", "IoU difference without perturbation")
def iou_difference_clean(at: Columns, clean: Columns) -> Floats:
    """Δ(x): the overlap without the enhancement."""
    return _column(clean, "iou_difference")


_ONE_OUTPUT = "with one output it would rank as p does"
_NO_REFERENCE = "it needs penultimate features and 20 good images of train or tune"
_NO_PROBES = (
    "it needs the activations that audits keep now (run the audit again, into a new folder) "
    "and, in tune, 5 groups with a defect, 5 with a good part and 20 good images passed"
)
_AUTOTUNE = Message(
    "run `python -m trust_core autotune AUDIT` first",
    "“Try every choice” on Decide adds it once test is opened",
)

# The columns of `indicators.parquet`: what each is called, and why an audit may not have it.
STORED: dict[str, tuple[str, str]] = {
    "max_logit": ("weakness of the strongest output", _ONE_OUTPUT),
    "energy": ("energy of the outputs", _ONE_OUTPUT),
    "gradient_norm": ("sensitivity to the pixels", "audit at a strength above 0 too"),
    "tta_spread": (
        "change of the evidence when the image is flipped",
        Message("run the audit with {tta}", "it needs an audit that asks about flipped images too"),
    ),
    "knn": ("distance to the nearest good parts", _NO_REFERENCE),
    "mahalanobis": ("distance from the cloud of good parts", _NO_REFERENCE),
    "defect_area": ("area of the defect map", "run the audit again"),
    "defect_entropy": ("scatter of the defect map", "run the audit again"),
    "evidence_mass": (
        "concentration of the evidence for a defect",
        Message("run the audit with evidence among the forms of {specific}"),
    ),
    "mask_alarm": ("alarm of the predicted mask", "it needs a network with a mask head"),
    "iou_random": ("overlap with a random map", "run the audit again"),
    "combination": ("evidence and IoU difference combined", "run the audit again"),
    "consensus": ("consensus of evidence, IoU difference and features", _NO_REFERENCE),
    "consensus_blind": ("consensus without heatmaps", _NO_REFERENCE),
    "probe": ("second reading of the activations", _NO_PROBES),
    "probe_combination": ("evidence and second reading of the activations", _NO_PROBES),
    "best_overlap": ("best overlap found on the tuning parts", _AUTOTUNE),
    "overlap_profile": ("overlap profile", _AUTOTUNE),
}
ABSENT = {name: reason for name, (_, reason) in STORED.items()}


def _stored(name: str) -> Indicator:
    def stored(at: Columns, clean: Columns) -> Floats:
        if name not in clean:
            raise SettingsError(
                Message(
                    "This audit has no indicator '{name}': {reason}.",
                    name=name,
                    reason=ABSENT[name],
                )
            )
        return _column(clean, name)

    return stored


for _name, (_title, _) in STORED.items():
    register(_name, _title)(_stored(_name))

SHIFT_NAME = INDICATOR_NAMES[THRESHOLD_SHIFT]


def indicator_name(indicator: str) -> str:
    """What an indicator is called."""
    return INDICATOR_NAMES.get(indicator, indicator.replace("_", " "))


def check_strength(audit: Audit, strength: float) -> None:
    """Refuse an ε that an audit does not have.

    Raises:
        SettingsError: it was not audited.
    """
    if strength not in audit.strengths:
        known = ", ".join(f"{e:g}" for e in audit.strengths)
        raise SettingsError(f"Strength {strength:g} was not audited; choose from {known}.")


def available(audit: Audit) -> tuple[str, ...]:
    """The indicators that an audit has, in the registry's order."""
    stored = audit.stored_indicators  # looks at the file
    return tuple(name for name in INDICATORS if name not in ABSENT or name in stored)


def absent(audit: Audit) -> dict[str, str]:
    """The indicators that an audit does not have, and why."""
    stored = audit.stored_indicators
    return {name: why for name, why in ABSENT.items() if name not in stored}
