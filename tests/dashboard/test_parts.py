"""The page Parts, driven without a browser."""

import io
import json
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.picking import pictures_zip
from dashboard.parts.sentences import doubt_caption, outcome_html
from tests.dashboard.app import again, fine, open_page, query, unmarked
from tests.fakes import Part, copy_audit, passed_parts, random_parts, write_fake_audit
from trust_core.decision.journal import SEAL_OPENED, dispute, disputes, entries
from trust_core.decision.label_review import labels_to_check, recount
from trust_core.decision.operating_point import OperatingPoint
from trust_core.decision.part_filter import Filters, page_of_parts
from trust_core.figures.words.point import caught_sentence
from trust_core.storage.audit_files import Audit

POINT = OperatingPoint("iou_difference", 0.0, 0.25, "tune")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return write_fake_audit(tmp_path_factory.mktemp("parts") / "demo", random_parts(120))


@pytest.fixture
def audit(workspace: Path, whole: Audit) -> Audit:
    return copy_audit(whole, workspace / "demo")


def opened(**query: str) -> AppTest:
    return open_page("parts", **({"audit": "demo", "eps": "0", "tau": "0.25"} | query))


def texts(app: AppTest) -> str:
    return unmarked(" ".join(block.body for block in app.get("html"))).replace("\xa0", " ")


def captions(app: AppTest) -> list[str]:
    bodies = (block.body.replace("\xa0", " ") for block in app.get("html"))
    return [body for body in bodies if 'class="tile-words"' in body]


def rows(audit: Audit, **filters: str) -> pd.DataFrame:
    return page_of_parts(audit, POINT, Filters(**filters), 1)


def test_the_grid_shows_a_page_with_outcome_score_and_flag(audit: Audit):
    app = opened()
    found = rows(audit)
    assert len(captions(app)) == len(found) == 24
    for caption, row in zip(captions(app), found.to_dict("records"), strict=True):
        names = {"FN": "Missed defect", "TN": "Passed good photo", "TP": "Caught", "FP": "False"}
        assert names.get(row["outcome"], "Not readable") in caption
        assert ("flagged" in caption) == row["flagged"]


def test_choosing_what_to_show_goes_into_the_url_and_to_the_first_page(audit: Audit):
    app = opened(page="2")
    app.get("button_group")[0].set_value("fn")
    again(app)
    assert query(app, "show") == "fn"
    assert query(app, "page") is None
    assert len(captions(app)) == len(rows(audit, show="fn")) > 0
    assert all("Missed defect" in caption for caption in captions(app))


def test_kind_order_and_search_go_into_the_url(audit: Audit):
    app = opened()
    app.selectbox(key="parts-kind").set_value("pit").run()
    app.selectbox(key="parts-sort").set_value("path").run()
    app.text_input(key="parts-search").set_value("PIT/").run()
    fine(app)
    assert [query(app, name) for name in ("kind", "sort", "search")] == ["pit", "path", "PIT/"]
    assert len(captions(app)) == len(rows(audit, kind="pit", sort="path"))


def test_a_url_is_enough_and_nonsense_in_it_is_passed_over(audit: Audit):
    app = opened(show="fn", sort="unlikely")
    assert app.selectbox(key="parts-sort").value == "unlikely"
    nonsense = opened(show="x", sort="y", kind="z", page="-7e9", tau="nan", **{"from": "never"})
    assert "No photo is like that." in texts(nonsense)
    opened(page="99999")
    opened(page="²")


def test_pages(audit: Audit):
    app = opened()
    first = captions(app)
    app.button(key="page-next").click()
    again(app)
    assert query(app, "page") == "2"
    assert captions(app) != first
    app.button(key="page-previous").click()
    again(app)
    assert query(app, "page") is None
    assert captions(app) == first


def test_changed_side_is_told_in_words(workspace: Path):
    write_fake_audit(workspace / "demo", passed_parts([0.5, 0.3], [0.35, 0.1]))
    app = opened(show="changed", tau="0.2", **{"from": "0.4"})
    assert "changes the side of <b>2</b> photos" in texts(app)
    assert "1 missed photo newly flagged; 1 good photo newly flagged" in texts(app)
    assert len(captions(app)) == 2


def test_changed_side_between_strengths_is_told_in_words(workspace: Path):
    write_fake_audit(workspace / "demo", random_parts(120))
    app = opened(show="changed", **{"from": "0.25", "fromeps": "4"})
    assert "Moving the adversarial strength from <b>4</b> to <b>0</b> changes" in texts(app)
    app = opened(show="changed", **{"from": "0.25", "fromeps": "99", "fromind": "nothing"})
    assert "changes the side of no photos" in texts(app)


def test_a_part_opens_and_closes_and_the_grid_is_as_it_was(audit: Audit):
    app = opened(show="tn", page="2")
    app.button(key="open-part-1").click()
    again(app)
    row = page_of_parts(audit, POINT, Filters("tn"), 2).iloc[1]
    assert query(app, "part") == row["sample_id"]
    assert row["path"] in texts(app)
    assert "26 of" in texts(app)
    app.button(key="part-back").click()
    again(app)
    assert [query(app, name) for name in ("part", "show", "page")] == [None, "tn", "2"]


def test_previous_and_next_walk_through_the_grid_and_stop_at_its_ends(audit: Audit):
    ids = rows(audit, show="fn")["sample_id"].tolist()
    app = opened(show="fn", part=ids[0])
    assert app.button(key="part-previous").disabled
    for sample_id in ids[1:4]:
        app.button(key="part-next").click()
        again(app)
        assert query(app, "part") == sample_id
    app.button(key="part-previous").click()
    again(app)
    assert query(app, "part") == ids[2]
    assert opened(show="fn", part=ids[-1]).button(key="part-next").disabled


def test_a_passed_part_has_all_strengths_and_another_only_the_first(audit: Audit):
    app = opened(part=rows(audit, show="fn")["sample_id"].iloc[0])
    strengths = [caption for caption in captions(app) if "ε =" in caption]
    assert len(strengths) == 3
    app.button(key="open-strength-2").click()
    again(app)
    assert query(app, "view") == "4"
    assert "at adversarial strength ε = 4" in texts(app)
    caught = opened(part=rows(audit, show="tp")["sample_id"].iloc[0])
    assert len([caption for caption in captions(caught) if "ε =" in caption]) == 1
    assert "measured at ε = 0 only" in texts(caught)


def test_an_unknown_part_is_said_and_the_way_back_works(audit: Audit):
    app = opened(part="../../etc/passwd")
    assert "This audit has no such photo." in texts(app)
    app.button(key="part-back").click()
    again(app)
    assert len(captions(app)) == 24


def test_photographs_that_vanished_leave_the_page_alive(audit: Audit):
    found = rows(audit)
    for path in found["path"]:
        audit.data_file(path).unlink()
    app = opened()
    assert "None of these photographs can be read." in texts(app)
    assert all("the file is not there" in caption for caption in captions(app))
    part = opened(part=found["sample_id"].iloc[0])
    assert "the file is not there." in texts(part)
    assert "Defect probability" in texts(part)


def test_a_mask_that_vanished_is_said_and_the_maps_stay(audit: Audit):
    row = rows(audit, show="fn").iloc[0]
    audit.data_file(row["mask_path"]).unlink()
    app = opened(part=row["sample_id"])
    assert "The mask cannot be shown" in texts(app)
    assert "Where it looks" in texts(app)


@pytest.mark.parametrize("show", ["unscored", "tp", "fp"])
def test_parts_without_score_open(audit: Audit, show: str):
    for sample_id in rows(audit, show=show)["sample_id"]:
        assert "Defect probability" in texts(opened(part=sample_id))


def test_sealed_images_are_shown_after_a_deliberate_click_that_is_logged(audit: Audit):
    app = opened(role="test")
    assert "are sealed" in texts(app)
    assert captions(app) == []
    assert app.button(key="seal-open").disabled
    assert not entries(audit)
    app.checkbox(key="seal-sure").check().run()
    app.button(key="seal-open").click()
    again(app)
    assert [(e["what"], e["role"]) for e in entries(audit)] == [(SEAL_OPENED, "test")]
    assert captions(app)
    assert "test was opened on" in texts(app)


def test_a_link_to_a_sealed_part_does_not_open_it(audit: Audit):
    sealed = audit.query("SELECT sample_id, path FROM samples WHERE role = 'certify'").iloc[0]
    app = opened(part=sealed["sample_id"])
    assert "are sealed" in texts(app)
    assert sealed["path"] not in texts(app)
    assert not entries(audit)


def test_a_label_is_called_wrong_shown_and_not_applied(audit: Audit):
    row = rows(audit, show="fn").iloc[0]
    app = opened(part=row["sample_id"])
    app.text_area(key=f"dispute-note-{row['sample_id']}").set_value("only <b>dust</b>")
    next(b for b in app.button if b.label == "Note it").click()
    again(app)
    assert [entry.note for entry in disputes(audit)] == ["only <b>dust</b>"]
    assert "only &lt;b&gt;dust&lt;/b&gt;" in texts(app)
    pd.testing.assert_series_equal(rows(audit, show="fn").iloc[0], row)
    assert any("label disputed" in caption for caption in captions(opened(show="fn")))


def test_an_empty_note_is_not_taken(audit: Audit):
    app = opened(part=rows(audit, show="fn")["sample_id"].iloc[0])
    next(b for b in app.button if b.label == "Note it").click()
    again(app)
    assert disputes(audit) == []
    assert "Say in a few words" in texts(app)


def test_the_check_says_when_the_model_cannot_be_opened(audit: Audit):
    app = opened(part=rows(audit, show="fn")["sample_id"].iloc[0])
    app.button(key="part-check").click()
    again(app)
    assert "does not say where its model file lies" in texts(app)


def test_names_from_outside_are_text(workspace: Path):
    hostile = "<img src=x onerror=alert(1)>"
    parts = [Part(True, 0.2, (0.5,), kind="<script>", group=hostile)] * 2
    audit = write_fake_audit(workspace / "demo", parts)
    for app in (opened(), opened(group=hostile), opened(part=rows(audit)["sample_id"].iloc[0])):
        assert "<img src=x" not in texts(app)
        assert "<script>" not in texts(app)


def test_a_map_scale_of_nothing_is_no_division(audit: Audit):
    file = audit.folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest.pop("sha256", None)
    for entry in manifest["maps"]:
        entry["display_scale"] = 0.0
    file.write_text(json.dumps(manifest))
    assert "Where it looks" in texts(opened(part=rows(audit, show="fn")["sample_id"].iloc[0]))


def test_a_wrong_label_is_recounted_on_request_and_taken_back(audit: Audit):
    row = rows(audit, show="fn").iloc[0]
    dispute(audit, row["sample_id"], "only <b>dust</b>", "Ada")
    app = opened(labels="1")
    assert "<b>1</b> label was called wrong" in texts(app)
    assert "only &lt;b&gt;dust&lt;/b&gt;" in texts(app)
    assert "With 1 label turned" not in texts(app)
    app.toggle(key="labels-recount").set_value(True)
    again(app)
    told = recount(audit, POINT, [row["sample_id"]])
    assert "With 1 label turned" in texts(app)
    for side in (told.before, told.after):
        for name, number in side.outcomes.items():
            assert outcome_html(name) + f" <b>{number}</b>" in texts(app)
        assert caught_sentence(side.counts)[1:] in texts(app)
    app.button(key="called-back-0").click()
    again(app)
    assert "No labels were called wrong" in texts(app)
    assert disputes(audit) == []
    doubts = labels_to_check(audit)
    assert doubts
    assert [doubt_caption(doubt) for doubt in doubts] == [
        re.sub(r'^<div class="tile-words">|</div>$', "", caption) for caption in captions(app)
    ]


def test_from_an_open_part_a_wrong_label_is_taken_back_too(audit: Audit):
    row = rows(audit, show="fn").iloc[0]
    dispute(audit, row["sample_id"], "dust", "Ada")
    app = opened(part=row["sample_id"])
    app.button(key="dispute-back").click()
    again(app)
    assert disputes(audit) == []
    assert "was called wrong" not in texts(app)


def test_cards_carry_names_and_heat_on_demand_and_several_are_picked(audit: Audit):
    found = rows(audit)
    plain = opened()
    names = [Path(path).name for path in found["path"]]
    assert not any(name in caption for name, caption in zip(names, captions(plain), strict=True))
    app = opened(names="1", heat="1", cards="large")
    assert all(name in caption for name, caption in zip(names, captions(app), strict=True))
    pictures = [[image.proto.imgs[0].url for image in one.get("imgs")] for one in (plain, app)]
    assert len(set(pictures[0]) & set(pictures[1])) <= 2  # those that cannot be read or scored
    app.toggle(key="parts-picking").set_value(True)
    again(app)
    picks = [box for box in app.checkbox if str(box.key).startswith("pick-")]
    assert len(picks) == len(found)
    keys = [str(box.key) for box in picks[:2]]
    for key in keys:
        app.checkbox(key=key).check()
        again(app)
    assert "2 photos picked" in texts(app)
    ids = [key.removeprefix("pick-") for key in keys]
    with zipfile.ZipFile(io.BytesIO(pictures_zip(audit, ids))) as file:
        chosen = found[found["sample_id"].isin(ids)]["path"]
        assert sorted(file.namelist()) == sorted(chosen)
        assert all(file.read(path) == audit.data_file(path).read_bytes() for path in chosen)
    app.button(key="pick-none").click()
    again(app)
    assert "no photos picked" in texts(app)


def test_the_scale_of_the_maps_is_a_choice(audit: Audit):
    part = rows(audit, show="fn")["sample_id"].iloc[0]
    shared = re.findall(r"</i><span>([\d.]+)( and more)?</span>", texts(opened(part=part)))
    assert shared[0] == shared[1]  # the defect map and the good map
    app = opened(part=part, scale="data", colours="viridis")
    assert (
        re.findall(r"</i><span>([\d.]+)( and more)?</span>", texts(app)) == [("2", " and more")] * 3
    )
    assert app.selectbox(key="part-scale").value == "data"
    app.selectbox(key="part-scale").set_value("own")
    again(app)
    assert query(app, "scale") == "own"
