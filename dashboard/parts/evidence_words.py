"""What the evidence view says, as sentences and escaped HTML. No Streamlit."""

import math

from trust_core.explanation.evidence.agreement import Agreement
from trust_core.figures.evidence import BOTH, DEFECT, GOOD, css_signed
from trust_core.figures.words.numbers import count, counted, percent
from trust_core.messages import duration

FIRST_ORDER, PREDICTION_DIFFERENCE = "first-order", "prediction-difference"

# Forms that take one to a dozen gradients: they are shown at once.
AT_ONCE = {
    FIRST_ORDER: "First order",
    "second-order": "Second order",
    "path": "Along a path",
    "gradient-x-input": "Gradient × input",
    "saliency": "Saliency",
}
# Forms that ask the network again and again: a worker computes them.
PATIENT = {
    PREDICTION_DIFFERENCE: "Prediction difference",
    "plug-in": "Window by window",
    "corrected-plug-in": "Window by window, corrected",
    "coarse-to-fine": "Coarse to fine",
}
MEANINGS = {
    FIRST_ORDER: "Every window against what its surroundings suggest, by the slope of the "
    "detector's answer.",
    "second-order": "The same with the curvature of the answer, and with how much a window varies.",
    "path": "The slope averaged on the way from what is expected everywhere to this photograph.",
    "gradient-x-input": "The slope times the brightness: every window against black.",
    "saliency": "The slope alone: every window one grey step darker.",
    PREDICTION_DIFFERENCE: "Every window replaced by 10 draws that fit its surroundings, and the "
    "detector asked each time: the reference.",
    "plug-in": "Every window replaced once, by what its surroundings suggest.",
    "corrected-plug-in": "The same, corrected for how much a window varies.",
    "coarse-to-fine": "Large windows first; smaller ones only where they matter.",
}
CURSOR = "Point at a picture, or focus it and use the arrow keys, to read the bits there."
SIDE_NAMES = {BOTH: "Both", DEFECT: "For defective", GOOD: "For good"}
CLOSED = 0.1  # a gap up to this share of the larger sum is none
CLOSE, MOSTLY, PARTLY = 0.9, 0.7, 0.4  # rank correlations from which forms agree so far


def bits_text(bits: float) -> str:
    """A signed number of bits with two digits after the first that counts: `+0.013 bits`."""
    size = abs(bits)
    if size == 0:
        return "0 bits"
    digits = 1 if size >= 10 else min(4, 1 - math.floor(math.log10(size)))
    text = f"{size:.{digits}f}"
    if not float(text):
        return "under 0.0001 bits"
    return f"{'+' if bits > 0 else '−'}{text} bits"


def legend(scale: float) -> str:
    """The legend of the colours: from the end of *good* over nothing to that of *defective*."""
    end = f"{scale:.2g}"
    told = "One scale for the whole data set: 1 in 200 pixels lies beyond its ends."
    return (
        f'<div class="signed-scale" title="{told}"><span>−{end}</span>'
        f'<i style="background:{css_signed()},#8a8f98"></i><span>+{end} bits</span>'
        "<small><span>speaks for good</span><span>speaks for defective, outlined from half on"
        "</span></small></div>"
    )


def sums_sentence(supporting: float, opposing: float) -> str:
    """The sums of the windows for and against, as HTML."""
    return (
        "Against what their surroundings suggest, the windows that speak for a defect add up to "
        f"<b>{bits_text(supporting)}</b>, those that speak for a good part to "
        f"<b>{bits_text(opposing)}</b>. One bit doubles the odds."
    )


def check_sentence(total: float, lost: float) -> str:
    """The check sum, as one sentence of HTML.

    Args:
        total: bits of the windows that do not overlap, together.
        lost: bits that the detector moves by when all of them are replaced at once.
    """
    gap, largest = abs(total - lost), max(abs(total), abs(lost))
    if not largest:
        told = "there is no evidence either way"
    elif gap <= CLOSED * largest:
        told = f"the sum holds within {percent(max(0.01, gap / largest))}"
    else:
        told = (
            f"a gap of {bits_text(gap).lstrip('+')}, which windows make together or this form gets "
            "wrong"
        )
    return (
        f"Check: for and against give <b>{bits_text(total)}</b>; with all windows replaced "
        f"at once the detector moves by <b>{bits_text(lost)}</b>: {told}."
    )


def offer_html(form: str, windows: int, passes: int, seconds: float) -> str:
    """What the slow method is and costs, as HTML."""
    return (
        f"<p>{MEANINGS[form]}</p>"
        f"<p>{counted(windows, 'windows')}, up to {count(passes)} passes through the "
        f"network: about {duration(seconds)} on this machine. It goes on when this page is closed, "
        "and the result is kept with the audit.</p>"
    )


def agreement_sentence(form: str, slow: str, found: Agreement) -> str:
    """How far a form agrees with the slow one, as HTML."""
    same = f"{found.shared} of the {found.strongest} strongest windows are the same"
    if math.isnan(found.ranks):
        return f"<b>Nothing to compare:</b> one of the two is the same at every pixel; {same}."
    told = (
        "They agree closely"
        if found.ranks >= CLOSE
        else "They agree in the main"
        if found.ranks >= MOSTLY
        else "They agree only in part"
        if found.ranks >= PARTLY
        else "They do not agree: believe the slow one"
    )
    ranks = f"{found.ranks:.2f}".replace("-", "−")
    return (
        f"<b>{told}.</b> {same}; pixels ordered by evidence agree to {ranks} (1: the same order, "
        f"0: none). {PATIENT[slow]} finds {found.strength:.2g} times the bits of "
        f"{AT_ONCE[form].lower()}."
    )
