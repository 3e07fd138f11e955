"""Zoom and pan of all pictures of a part in step; Esc leaves a picture that fills the screen."""

from dashboard.shell import component

BUTTONS = (
    '<div class="part-zoom" role="group" aria-label="Zoom of all pictures" '
    'title="Ctrl and the wheel, or a double click; drag to move">'
    '<button type="button" aria-label="Zoom out">−</button>'
    '<button type="button" aria-label="The whole picture"><output>100&nbsp;%</output></button>'
    '<button type="button" aria-label="Zoom in">+</button></div>'
)


def zoom_buttons(part: str) -> None:
    """Draw the buttons; pictures also follow Ctrl and the wheel, a double click, and dragging.

    Args:
        part: whose pictures they are; another one begins with the whole picture.
    """
    component("zoom", BUTTONS)(data={"part": part}, key="part-zoom")
