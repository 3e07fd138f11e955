"""What to do after an audit, in one sentence, and why."""

from dataclasses import dataclass

from trust_core.decision.certify import Certificate
from trust_core.decision.indicators.registry import SHIFT_NAME, THRESHOLD_SHIFT, indicator_name
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.verdict import GREEN, RED, Verdict
from trust_core.figures.words.numbers import capital, counted, share, tau_text
from trust_core.figures.words.point import rule
from trust_core.figures.words.proof import WORTHLESS

GO, WAIT, STOP = "go", "wait", "stop"


@dataclass(frozen=True)
class Recommendation:
    """What to do."""

    way: str
    sentence: str
    reason: str


def recommend(
    point: OperatingPoint, judged: Verdict, certificate: Certificate | None
) -> Recommendation:
    """What to do with an operating point.

    `judged` is its indicator against threshold shift, a preview while `test` is sealed;
    `certificate` that of its indicator and strength, None while a seal is closed.
    """
    name = indicator_name(point.indicator)
    if certificate is None:
        return Recommendation(
            WAIT,
            "Do not take it to the line yet: nothing is proven.",
            "The photos kept for the proof are still sealed; open them on Decide.",
        )
    if judged.colour == RED:
        return Recommendation(
            STOP,
            f"Do not take it to the line: {SHIFT_NAME} does better.",
            f"On photos that had no say, {name} ranks missed defects worse than the detector's own "
            "probability does, which costs nothing.",
        )
    proof = certificate.ours.proof
    if not certificate.certified or proof.threshold is None:
        return Recommendation(
            STOP,
            "Do not rely on it: what was wanted cannot be proven.",
            certificate.sentence,
        )
    proven = f"{share(_floor(proof.recall_lower_bound))} of the parts with a missed defect"
    lost = certificate.ours.test.tn_loss
    if lost is not None and lost > WORTHLESS:
        return Recommendation(
            STOP,
            "Do not take it to the line: what is proven re-inspects almost everything.",
            f"From {tau_text(proof.threshold)} it is proven to catch {proven}, and so is "
            "looking at every part again.",
        )
    if point.threshold > proof.threshold:
        return Recommendation(
            WAIT,
            f"Lower the threshold to {tau_text(proof.threshold)} first.",
            f"That much is proven to catch {proven}; {tau_text(point.threshold)} flags less "
            "and is not covered.",
        )
    sure = f"at least {proven} are sent to re-inspection, {share(proof.confidence)} sure"
    if point.indicator == THRESHOLD_SHIFT:
        return Recommendation(
            GO,
            f"Lower the decision threshold to {tau_text(point.threshold)} on the line.",
            f"{capital(sure)}; no heatmap is needed for it.",
        )
    if judged.colour == GREEN:
        return Recommendation(
            GO,
            f"Take it to the line: send to re-inspection what {rule(point)}.",
            f"{capital(sure)}, and it is better than {SHIFT_NAME}.",
        )
    return Recommendation(*_undecided(name, sure, certificate))


def _undecided(name: str, sure: str, certificate: Certificate) -> tuple[str, str, str]:
    """Proven, but not shown to be better than its rival: the cheaper of the two."""
    mine, rival = certificate.ours.test.flagged_tn, certificate.threshold_shift.test.flagged_tn
    if mine is not None and rival is not None and rival <= mine:
        return (
            WAIT,
            f"Take {SHIFT_NAME} instead: it proves the same and re-inspects no more.",
            f"With {name}, {sure}, for {counted(mine, 'good photos')} of test; {SHIFT_NAME} needs "
            f"{counted(rival, 'good photos')}.",
        )
    return (
        GO,
        f"It can go to the line: {name} is proven, though not shown to be better than "
        f"{SHIFT_NAME}.",
        f"{capital(sure)}.",
    )


def _floor(value: float) -> float:
    return int(1000 * value + 1e-6) / 1000
