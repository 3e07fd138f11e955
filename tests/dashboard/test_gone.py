"""An audit that is deleted or moved while it is open: every page and fragment says so."""

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shell import PAGES
from tests.dashboard.app import alone, html, open_page
from tests.fakes import copy_audit, random_parts, write_fake_audit
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.storage.audit_files import SAMPLES, Audit
from trust_core.storage.manifest import MANIFEST

NAMES = [Path(file).stem for file in PAGES if file.startswith("pages/")]
OF_THE_AUDIT = ("tradeoff", "decide", "localization")  # a fragment of theirs draws the audit
LOST = {  # what happened in another tab, and what this one says of it
    "deleted": (shutil.rmtree, "There is no audit"),
    "half deleted": (lambda folder: (folder / SAMPLES).unlink(), "samples.parquet is missing"),
    "moved": (lambda folder: folder.rename(folder.with_name("elsewhere")), "There is no audit"),
    "damaged": (lambda folder: (folder / MANIFEST).write_text("{"), "is damaged"),
}
CASES = [("deleted", name) for name in ("", *NAMES)]
CASES += [(lost, "tradeoff") for lost in LOST if lost != "deleted"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    made = write_fake_audit(
        tmp_path_factory.mktemp("whole") / "mine", random_parts(80), mask_head=True
    )
    make_counts(made, MASK_HEAD)
    return made


def is_sound(app: AppTest) -> None:
    assert not app.exception, app.exception[0].message
    assert 'class="problem fault"' not in html(app)


@pytest.mark.parametrize(("lost", "name"), CASES)
def test_an_audit_lost_in_another_tab_is_told_by_page_and_fragments(
    whole: Audit, workspace: Path, lost: str, name: str
) -> None:
    audit = copy_audit(whole, workspace / "mine")
    app = open_page(name, audit="mine")
    lose, sentence = LOST[lost]
    lose(audit.folder)
    said = []
    for fragment in alone(app):
        is_sound(fragment)
        said.append(html(fragment))
    assert any(sentence in each for each in said) == (name in OF_THE_AUDIT)
    is_sound(app.run())
    assert sentence in html(app)
