"""A walk over all pages without a browser, in a process of its own: what does the server load?

`python -m tests.dashboard.walk AUDIT GUARD MODEL DATA`, with `$TRUST_CORE_WORKSPACE`: an audit with
a decision in it, the zip of a guard of it, a model and images to look at. Exits with the names of
what a server must not load, if it has loaded it.
"""

import sys
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard import cache
from tests.dashboard.app import again, fine, open_page, texts
from trust_core.storage.audit_files import open_audit
from trust_core.storage.workspace import folder_of

HEAVY = ("torch", "torchvision", "timm", "onnxruntime", "pytorch_grad_cam")
SECONDS = 120


def press(app: AppTest, key: str) -> AppTest:
    """The page after a click."""
    app.button(key=key).click()
    return again(app)


def made(app: AppTest) -> AppTest:
    """The page when nothing is being made any more."""
    end = time.monotonic() + SECONDS
    while "eing made" in texts(app):
        assert time.monotonic() < end, texts(app)
        time.sleep(0.2)
        again(app)
    return app


def parts(audit: str) -> None:
    """The grid, a part with all that is computed of it anew, and another."""
    open_page("parts", audit=audit)
    table = open_audit(folder_of(audit)).query(
        "SELECT sample_id FROM samples WHERE role = 'tune' AND outcome = 'TN' ORDER BY sample_id"
    )
    first, second = table["sample_id"][:2]
    app = open_page("parts", audit=audit, part=first)
    assert "IoU difference" in texts(app), texts(app)
    fine(app.toggle("part-second-reading").set_value(True).run())
    assert "depth" in texts(app), texts(app)
    assert "Both give the same maps" in texts(press(app, "part-check")), texts(app)
    for part, form in ((first, "first-order"), (second, "saliency")):
        app = open_page("parts", audit=audit, part=part, look="evidence", form=form)
        assert "Check: for and against give" in texts(app), texts(app)


def deploy(audit: str, guard: Path, photo: Path) -> None:
    """The report, and a photo tried out."""
    # A page's own, so not before `main` has shared the sandbox.
    from dashboard.deploy import downloads

    downloads.guard_zip = lambda *_, **__: guard.read_bytes()  # made by a process of its own
    app = open_page("deploy", audit=audit)
    made(press(app, "make-report"))
    assert app.get("download_button"), texts(app)
    app.file_uploader[0].set_value([(photo.name, photo.read_bytes(), "image/png")])
    assert "indicator" in texts(made(again(app))), texts(app)


def decide(audit: str) -> None:
    """Every choice tried."""
    app = press(open_page("decide", audit=audit), "try-all")
    assert "choices rank the photos for choosing better" in texts(app), texts(app)


def main(audit: str, guard: str, model: str, data: str) -> str:
    """Walk; the names of what was loaded and must not be."""
    cache.WORKER = cache.BACKGROUND = cache.SANDBOX  # loading PyTorch once is enough here
    for page in ("", "tradeoff", "localization"):
        open_page(page, audit=audit)
    decide(audit)
    parts(audit)
    deploy(audit, Path(guard), next(Path(data).rglob("*.png")))
    app = open_page("run", model=model, data=data, size="64")
    assert "Photos of good parts as the network sees them" in texts(app), texts(app)
    return " ".join(name for name in HEAVY if name in sys.modules)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
