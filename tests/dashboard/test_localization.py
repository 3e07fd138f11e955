"""The Localization page: its words are the report's, its controls and its URL are one."""

import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.localization import pixel_counting
from dashboard.localization.sentences import iou_text
from tests.dashboard.app import again, fine, links, open_page, query, unmarked
from tests.fakes import copy_audit, random_parts, write_fake_audit
from trust_core.decision.journal import entries
from trust_core.decision.localization.audit_masks import (
    Contradiction,
    contradicting,
    report,
)
from trust_core.decision.localization.pixel_counts import MASK_HEAD, make_counts
from trust_core.storage.audit_files import SAMPLES, Audit

RECALL = re.compile(
    r"marks (\d+) of (\d+) defective photos and \d+ of \d+ good ones; photo by photo"
)


@pytest.fixture(autouse=True)
def fresh():
    """Tests change audits behind their key, which nobody else does."""
    yield
    st.cache_data.clear()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("counted") / "mine"
    made = write_fake_audit(folder, random_parts(160), mask_head=True)
    for source in (MASK_HEAD, "defect"):
        make_counts(made, source)
    return made


@pytest.fixture
def audit(workspace: Path, whole: Audit) -> Audit:
    return copy_audit(whole, workspace / "mine")


def opened(page: str = "localization", **query: str) -> AppTest:
    return open_page(page, audit="mine", **query)


def texts(app: AppTest) -> str:
    pages = [element.proto.body for element in app.get("html")]
    shown = [page for page in pages if not page.startswith("/*")]  # style sheets
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", unmarked(" ".join(shown))))


def recall(app: AppTest) -> tuple[int, int]:
    found = RECALL.search(texts(app))
    assert found, texts(app)
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("options", [{}, {"mask": "0.8"}, {"area": "0.02", "mask": "0.55"}])
def test_its_counts_are_those_of_the_report(audit: Audit, options: dict[str, str]) -> None:
    app = opened(**options)
    told = report(
        audit,
        make_counts(audit, MASK_HEAD),
        float(options.get("mask", 0.5)),
        float(options.get("area", 0)),
    )
    assert recall(app) == (told.metrics.seg_recall.hits, told.metrics.seg_recall.total)
    alarms = told.metrics.false_alarms
    assert f" {alarms.hits:.0f} of {alarms.total} " in texts(app)
    assert f" {iou_text(told.metrics.seg_miou.value)} " in texts(app)
    assert f" {iou_text(told.metrics.pooled_miou.value)} " in texts(app)
    marked = len(told.contradictions["good_marked"])
    assert f"{marked} of " in texts(app)
    assert entries(audit) == []


def test_the_slider_moves_the_cards_and_the_address(audit: Audit) -> None:
    app = opened()
    before = recall(app)
    fine(app.slider("mask").set_value(0.9).run())
    assert query(app, "mask") == "0.9"
    assert recall(app)[0] < before[0]
    assert recall(app)[1] == before[1]


def test_loose_and_strict_and_the_smallest_mask(audit: Audit) -> None:
    app = opened(mask="0.3")
    assert "Defective photos with a mask" in texts(app)
    fine(app.get("button_group")[0].set_value("strict").run())
    assert query(app, "form") == "strict"
    assert "touches the defect on" in texts(app)
    fine(app.select_slider("area").set_value(0.05).run())
    assert query(app, "area") == "0.05"
    told = report(audit, make_counts(audit, MASK_HEAD), 0.3, 0.05)
    assert f"{told.metrics.seg_recall_strict.hits:.0f} of " in texts(app)


def test_without_a_mask_head_it_offers_the_heatmap_and_says_so(
    workspace: Path,
) -> None:
    make_counts(write_fake_audit(workspace / "mine", random_parts(80)), "defect")
    app = opened(mask="0.1")
    told = texts(app)
    assert "This network has no mask head. Judged here is the explanation" in told
    assert "The heatmap marks" in told
    assert "contradict their own mask" not in told
    assert app.selectbox("source").value == "defect"


def test_without_true_masks_there_is_no_page_and_no_link_to_it(audit: Audit) -> None:
    assert "Localization" in links(opened("decide"))
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id").assign(mask_path="")
    samples.to_parquet(audit.folder / SAMPLES, index=False)
    st.cache_data.clear()
    assert "Localization" not in links(opened("decide"))
    app = opened()
    assert "marks no defect, so there is nothing to compare with" in texts(app)


def test_sealed_images_stay_sealed(audit: Audit) -> None:
    app = opened(role="test")
    assert "The photos kept for test are sealed." in texts(app)
    assert not RECALL.search(texts(app))
    assert entries(audit) == []
    fine(app.checkbox("seal-sure").check().run())
    fine(app.button("seal-open").click().run())
    assert [entry["role"] for entry in entries(audit)] == ["test"]
    told = report(audit, make_counts(audit, MASK_HEAD), role="test")
    assert recall(app) == (told.metrics.seg_recall.hits, told.metrics.seg_recall.total)


def test_another_audit_stands_beside_this_one(audit: Audit, workspace: Path) -> None:
    other = write_fake_audit(workspace / "other", random_parts(160), mask_head=True)
    blind = np.zeros_like(other.masks())
    np.save(other.folder / "masks.npy", blind)
    make_counts(other, MASK_HEAD)
    app = opened(**{"with": "other"})
    told = texts(app)
    assert re.search(
        r"Photo by photo,\s+mine\s+agrees better with the true masks than\s+other", told
    )
    assert "Its mask threshold" in [slider.label for slider in app.slider]


def test_the_old_address_leads_to_the_page_with_all_it_says(audit: Audit) -> None:
    app = again(opened("localisation", mask="0.8", area="0.02"))
    assert (query(app, "audit"), query(app, "mask"), query(app, "area")) == ("mine", "0.8", "0.02")
    assert recall(app) == recall(opened(mask="0.8", area="0.02"))


@pytest.mark.parametrize(
    "nonsense", [{"mask": "7"}, {"mask": "x", "area": "-1", "form": "odd"}, {"source": "?"}]
)
def test_what_means_nothing_in_the_address_is_passed_over(
    audit: Audit, nonsense: dict[str, str]
) -> None:
    assert recall(opened(**nonsense)) == recall(opened())


def test_parts_shows_the_contradicting_ones(audit: Audit) -> None:
    wanted = contradicting(audit, Contradiction("good_marked", 0.5, 0.0))
    wanted = wanted & (audit.query("SELECT role FROM samples ORDER BY sample_id")["role"] == "tune")
    app = opened("parts", contra="good_marked", mask="0.5")
    assert f"of {wanted.sum()} photos" in texts(app)
    fine(app.button("parts-contra").click().run())
    assert "contra" not in app.query_params


def test_the_part_view_shows_the_mask_with_its_numbers(audit: Audit) -> None:
    counts = make_counts(audit, MASK_HEAD)
    predicted, overlap, true, _ = counts.at(0.5)
    samples = audit.query("SELECT * FROM samples ORDER BY sample_id")
    place = int(np.flatnonzero((overlap > 0) & (samples["role"] == "tune"))[0])
    app = opened("parts", part=samples["sample_id"][place], look="mask", mask="0.5")
    union = predicted[place] + true[place] - overlap[place]
    told = texts(app)
    assert f"{predicted[place]} pixels" in told
    assert f"{overlap[place] / union:.3f}" in told
    fine(app.slider("mask").set_value(0.99).run())
    assert "The mask marks nothing from this threshold on." in texts(app)


def test_counts_that_are_not_there_yet_are_made_by_a_process(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_fake_audit(workspace / "mine", random_parts(24), mask_head=True)
    asked = []
    monkeypatch.setattr(pixel_counting.jobs, "start", lambda words, folder: asked.append(words))
    app = opened()
    assert "are being counted" in texts(app)
    assert asked == [["localize", str(made.folder), "--source", "mask", "--json"]]
    again(app)
    assert len(asked) == 1  # not again by itself when it ends without a result
