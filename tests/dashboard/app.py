"""A page of the dashboard without a browser."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest, local_script_runner

from dashboard.person import PERSON
from trust_core.storage.manifest import MANIFEST

APP = Path(__file__).parents[2] / "app.py"
SECONDS = 60  # that a run may take
MARKED = re.compile(r'<span class="term"[^>]*>([^<]*)</span>')
READER = "Ada"  # who sits at the screen


def open_page(name: str = "", **query: str) -> AppTest:
    """The page `pages/NAME.py`, or Home, with this query, after its first run for `READER`."""
    app = AppTest.from_file(APP, default_timeout=SECONDS)
    if name:
        app.switch_page(f"pages/{name}.py")
    for key, value in query.items():
        app.query_params[key] = value
    app.session_state[PERSON] = READER
    return again(app)


def fine(app: AppTest) -> AppTest:
    """The page itself, if it did not fail."""
    assert not app.exception, app.exception[0].message
    assert 'class="problem fault"' not in html(app), texts(app)
    return app


def again(app: AppTest) -> AppTest:
    """The page after another run."""
    return fine(app.run())


def alone(app: AppTest) -> list[AppTest]:
    """Every fragment of the page run alone, as Streamlit does when a control in it is used."""
    pages = []
    for fragment in list(app._fragment_storage._fragments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                local_script_runner, "RerunData", partial(RerunData, fragment_id=fragment)
            )
            pages.append(app.run())
    return pages


def query(app: AppTest, name: str) -> str | None:
    """A parameter of its URL; None where it is not there."""
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def change_manifest(folder: Path, **manifest: object) -> None:
    """Change the manifest of an audit, as a program that notes no hash of it would have it."""
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    content.pop("sha256", None)
    path.write_text(json.dumps(content | manifest))


def unmarked(body: str) -> str:
    """HTML without the help marks of its terms."""
    return MARKED.sub(r"\1", body)


def html(app: AppTest) -> str:
    """The HTML it wrote, tags and all, with plain spaces."""
    return "\n".join(element.proto.body for element in app.get("html")).replace("\xa0", " ")


def texts(app: AppTest) -> str:
    """What it says, tags left out: HTML and captions."""
    said = " ".join([*(h.proto.body for h in app.get("html")), *(c.value for c in app.caption)])
    return re.sub(r"<[^>]+>", "", said).replace("\xa0", " ")


def links(app: AppTest) -> list[str]:
    """What its links to other pages say."""
    return [element.proto.label for element in app.get("page_link")]
