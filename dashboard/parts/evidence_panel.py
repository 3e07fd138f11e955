"""One picture of the evidence view: a component that tells the bits under its cursor.

Streamlit's own images know no cursor. Pictures drawn side by side share one: pointing at the
photograph shows the place, and its bits, on every map beside it.
"""

import base64
from dataclasses import asdict

from dashboard.shell import STATIC, component
from trust_core.figures.evidence import Cells
from trust_core.model.placement import Box

STYLE = STATIC / "evidence.css"
NARROWEST, WIDEST = 0.62, 1.6  # width of a frame as a multiple of its height
FAINT = 0.005  # share of the scale below which bits are not told apart
FRAME = (
    '<div class="evidence-panel"><div role="img" tabindex="0"></div>'
    '<i class="across"></i><i class="down"></i><output aria-live="polite"></output></div>'
)
WORDS = {
    "defect": "speaks for defective",
    "good": "speaks for good",
    "neither": "speaks for neither",
    "unseen": "the detector does not see this",
}


def panel(
    picture: bytes,
    size: tuple[int, int],
    grid: tuple[int, int],
    box: Box,
    cells: Cells | None,
    scale: float = 1.0,
    *,
    key: str,
    alt: str,
) -> None:
    """Draw a picture with its cursor.

    Args:
        picture: JPEG.
        size: (width, height) of it.
        grid: (H, W) of the network's input, in which places are told.
        box: what the network saw of the picture.
        cells: the evidence below it; None for a bare photograph.
        scale: bits at the end of the colours.
        key: of the element. The same key with another picture is drawn over the old one.
        alt: one sentence that says what it shows.
    """
    width, height = size
    known = asdict(cells) if cells else {"rows": grid[0], "columns": grid[1]}
    data = known | {
        "picture": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}",
        "width": width,
        "height": height,
        "frame": min(max(width / height, NARROWEST), WIDEST),
        "high": grid[0],
        "wide": grid[1],
        "box": box,
        "least": scale * FAINT,
        "alt": alt,
        "words": WORDS,
    }
    component("evidence", FRAME)(data=data, key=key)
