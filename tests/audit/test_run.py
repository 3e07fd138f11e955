"""One audit from images to folder: nothing depends on the batch, the order or an interruption."""

import errno
import hashlib
import itertools
import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.small import Stop, small_dataset, small_detector, stopped_after
from trust_core.audit import run
from trust_core.audit.decode import read_batch
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.errors import DataError, StoreError
from trust_core.explanation.overlap import overlap
from trust_core.storage.atomic import write_json
from trust_core.storage.audit_files import open_audit
from trust_core.storage.locks import LOCK, writer_lock
from trust_core.storage.progress import PROGRESS, Progress, read_progress
from trust_core.storage.shards import RETRY

SETTINGS = AuditSettings(
    strengths=(0, 1, 4), specific=("gradcam", "layercam"), agnostic=("gradient", "eigen")
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images")


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    return run_audit(small_detector(), dataset, SETTINGS, tmp_path_factory.mktemp("audit") / "one")


def tables(audit):
    return audit.query("SELECT * FROM samples ORDER BY sample_id"), audit.query(
        "SELECT * FROM scores ORDER BY row"
    )


def assert_same_scores(one, two):
    """The tolerances of the design: z to 1e-4·(1+|z|), maps to 1e-3, Δ by a few cells."""
    (samples, scores), (other_samples, other_scores) = tables(one), tables(two)
    z = samples["log_odds"].to_numpy()
    assert np.all(np.abs(z - other_samples["log_odds"]) <= 1e-4 * (1 + np.abs(z)))
    pd.testing.assert_series_equal(samples["outcome"], other_samples["outcome"])
    pd.testing.assert_frame_equal(
        scores[["sample_id", "strength", "status"]],
        other_scores[["sample_id", "strength", "status"]],
    )
    np.testing.assert_allclose(scores["iou_difference"], other_scores["iou_difference"], atol=5e-3)
    for name in ("defect", "good", "gradient"):
        np.testing.assert_allclose(
            one.maps(name).astype(float), two.maps(name).astype(float), atol=2e-3
        )


def test_the_tables_hold_what_the_design_says(finished, dataset):
    samples, scores = tables(finished)
    assert list(samples["sample_id"]) == sorted(dataset.samples["sample_id"])
    assert {
        "path",
        "sha256",
        "label",
        "kind",
        "split",
        "role",
        "group",
        "mask_path",
        "log_odds",
    } < set(samples.columns)
    assert list(scores["row"]) == list(range(len(scores)))
    keys = list(zip(scores["sample_id"], scores["strength"], strict=True))
    assert keys == sorted(keys)
    passed = samples[samples["predicted"] == 0]["sample_id"]
    assert 0 < len(passed) < len(samples)
    expected = {(i, 0.0) for i in samples["sample_id"]} | set(itertools.product(passed, (1.0, 4.0)))
    assert set(keys) == expected
    for name in ("defect", "good", "gradient", "eigen", "layercam_defect", "layercam_good"):
        assert finished.maps(name).shape == (len(scores), 8, 8)
        assert np.abs(finished.maps(name)).max() <= 1
        assert f"scale_{name}" in scores
    features = np.load(finished.folder / "features.npy")
    assert features.shape == (len(samples), 12)
    assert finished.manifest.status == "finished"
    assert not (finished.folder / "shards").exists()
    assert "NaN" not in (finished.folder / "manifest.json").read_text()


def test_outcomes_follow_from_label_and_decision(finished):
    samples, _ = tables(finished)
    defective = samples["p_defect"] >= 0.5
    truth = samples["label"] == 1
    assert (samples["outcome"] == "FN").equals(truth & ~defective)
    assert (samples["outcome"] == "TP").equals(truth & defective)
    counts = finished.manifest.counts
    assert counts.total == len(samples)
    by_split = finished.manifest.counts_by_split.values()
    for outcome in ("tp", "fn", "tn", "fp"):
        assert sum(getattr(part, outcome) for part in by_split) == getattr(counts, outcome)


def test_scores_equal_scores_of_the_kept_maps_exactly(finished):
    _, scores = tables(finished)
    maps = [
        torch.from_numpy(np.array(finished.maps(n))).float() for n in ("defect", "good", "gradient")
    ]
    again = overlap(*maps)
    for column in ("iou_defect", "iou_good", "iou_difference"):
        np.testing.assert_array_equal(scores[column], getattr(again, column))


def test_log_odds_equal_a_plain_forward(finished, dataset):
    detector = small_detector()
    batch = read_batch(dataset, detector.preprocessing, slice(0, None))
    plain = detector.module((torch.from_numpy(batch.pixels).float() / 255 - 0.5) / 0.25)
    samples, _ = tables(finished)
    z = (plain[:, 1] - plain[:, 0]).detach().numpy()
    np.testing.assert_allclose(samples["log_odds"], z, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_scores_do_not_depend_on_the_batch(finished, dataset, tmp_path, batch_size):
    other = run_audit(
        small_detector(), dataset, SETTINGS, tmp_path / "audit", batch_size=batch_size
    )
    assert_same_scores(finished, other)


def test_a_stopped_run_resumes_and_computes_only_what_is_missing(
    finished, dataset, tmp_path, monkeypatch
):
    with pytest.raises(Stop):
        run_audit(
            small_detector(),
            dataset,
            SETTINGS,
            tmp_path / "a",
            progress=stopped_after(16),
            batch_size=8,
        )
    with pytest.raises(StoreError, match="has not finished"):
        open_audit(tmp_path / "a")
    computed = []
    original = run.score_batch

    def counted(detector, settings, batch, surroundings):
        computed.append(len(batch.sample_ids))
        return original(detector, settings, batch, surroundings)

    monkeypatch.setattr(run, "score_batch", counted)
    kept = 8 * len(list((tmp_path / "a" / "shards").glob("[0-9]*")))
    assert kept >= 16  # the batch after that may have been in the network, and was kept too
    before = Progress(done=kept, total=40, seconds=1000.0)
    write_json(tmp_path / "a" / PROGRESS, asdict(before))
    states = []
    resumed = run_audit(
        small_detector(), dataset, SETTINGS, tmp_path / "a", batch_size=5, progress=states.append
    )
    assert sum(computed) == len(dataset.samples) - kept
    timings = resumed.manifest.timings  # of both runs
    assert timings.images == 40
    assert 1000 < states[0].seconds < timings.seconds < 1100
    assert read_progress(tmp_path / "a").done == 40  # while the worker ends, it has not begun anew
    assert_same_scores(finished, resumed)


def test_a_run_that_goes_on_with_another_mask_rule_has_one_rule(finished, dataset, tmp_path):
    before, folder = replace(SETTINGS, mask="otsu"), tmp_path / "a"
    with pytest.raises(Stop):
        run_audit(
            small_detector(), dataset, before, folder, progress=stopped_after(16), batch_size=8
        )
    resumed = run_audit(small_detector(), dataset, SETTINGS, folder)
    assert resumed.manifest.mask == SETTINGS.mask == "half"
    assert_same_scores(finished, resumed)


def test_a_corrected_label_runs_no_model(finished, dataset, tmp_path, monkeypatch):
    folder = tmp_path / "audit"
    shutil.copytree(finished.folder, folder)
    monkeypatch.setattr(run, "score_batch", None)
    samples = dataset.samples.copy()
    samples.loc[0, "label"] = 1 - samples.loc[0, "label"]
    relabelled = run_audit(small_detector(), replace(dataset, samples=samples), SETTINGS, folder)
    assert relabelled.manifest.model_pass == finished.manifest.model_pass
    assert relabelled.manifest.table != finished.manifest.table
    before, after = tables(finished)[0]["outcome"], tables(relabelled)[0]["outcome"]
    assert (before != after).sum() == 1
    pd.testing.assert_frame_equal(tables(finished)[1], tables(relabelled)[1])


def test_another_mask_rule_rescores_the_kept_maps(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    first = run_audit(small_detector(), dataset, SETTINGS)
    fresh = run_audit(
        small_detector(),
        dataset,
        replace(SETTINGS, mask="top:0.2"),
        tmp_path / "elsewhere" / "fresh",
    )
    monkeypatch.setattr(run, "score_batch", None)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("{")
    other = replace(SETTINGS, mask="top:0.2")
    adopted = run_audit(small_detector(), dataset, other, tmp_path / "other")
    assert adopted.folder != first.folder
    assert first.folder.parent == adopted.folder.parent
    pd.testing.assert_frame_equal(tables(adopted)[1], tables(fresh)[1])
    assert (tables(first)[1]["iou_difference"] != tables(adopted)[1]["iou_difference"]).any()


def test_strength_zero_alone_needs_no_input_gradient(dataset, tmp_path):
    audit = run_audit(small_detector(), dataset, AuditSettings(strengths=(0,)), tmp_path / "a")
    assert audit.strengths == (0.0,)
    assert len(tables(audit)[1]) == len(dataset.samples)


def test_one_output_with_either_sign_gives_mirrored_maps(dataset, tmp_path):
    audits = []
    for sign in ("defect", "good"):
        detector = small_detector(1)
        detector.convention = replace(detector.convention, sign=1 if sign == "defect" else -1)
        audits.append(run_audit(detector, dataset, AuditSettings(strengths=(0,)), tmp_path / sign))
    one, two = audits
    np.testing.assert_array_equal(one.maps("defect"), two.maps("good"))
    np.testing.assert_array_equal(one.maps("good"), two.maps("defect"))
    assert one.maps("good").any()
    assert one.maps("defect").any()


def test_unreadable_images_become_rows_with_a_reason(dataset, tmp_path):
    root = tmp_path / "images"
    shutil.copytree(dataset.root, root)
    broken = dataset.samples["path"].iloc[3]
    (root / broken).write_bytes(b"no image at all")
    damaged = replace(dataset, root=root)
    audit = run_audit(small_detector(), damaged, SETTINGS, tmp_path / "a", batch_size=8)
    samples, scores = tables(audit)
    row = samples[samples["path"] == broken].iloc[0]
    assert row["status"] == "unreadable"
    assert row["reason"]
    assert row["outcome"] == ""
    assert pd.isna(row["predicted"])
    assert row["sample_id"] not in set(scores["sample_id"])
    assert audit.manifest.unreadable == 1
    assert audit.manifest.counts.total == len(samples) - 1


def test_a_dead_network_is_no_score_and_counts_as_suspicious(dataset, tmp_path):
    detector = small_detector()
    with torch.no_grad():
        for weight in detector.module[2].parameters():
            weight.zero_()
        detector.module[6].bias.copy_(torch.tensor([1.0, 0.0]))
    audit = run_audit(detector, dataset, SETTINGS, tmp_path / "a")
    samples, _ = tables(audit)
    assert set(samples["status"]) == {"no score"}
    assert set(samples["reason"]) == {"the agnostic map is constant"}
    assert audit.manifest.unscored == len(samples)


def test_nothing_is_left_when_no_image_can_be_read(dataset, tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    for path in dataset.samples["path"]:
        (root / path).write_bytes(b"")
    samples = dataset.samples.assign(sha256=hashlib.sha256(b"").hexdigest())
    empty = replace(dataset, root=root, samples=samples)
    with pytest.raises(DataError, match=r"Of 40 images .* none can be read"):
        run_audit(small_detector(), empty, SETTINGS, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_folder_of_something_else_is_left_alone(finished, dataset, tmp_path):
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds other files"):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]
    with pytest.raises(StoreError, match="another model"):
        run_audit(small_detector(seed=1, sha256="other"), dataset, SETTINGS, finished.folder)
    assert open_audit(finished.folder).manifest == finished.manifest


def test_a_folder_that_cannot_be_made_is_one_sentence(dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot write the audit to .*--out"):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "file" / "audit")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(dataset, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run, "write_shard", full)
    with pytest.raises(StoreError, match="No space left on device"):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_two_runs_do_not_write_one_folder(dataset, tmp_path):
    (tmp_path / "a").mkdir()
    with writer_lock(tmp_path / "a" / LOCK, ""), pytest.raises(StoreError, match="another run"):
        run_audit(small_detector(), dataset, SETTINGS, tmp_path / "a")


def test_the_cost_is_one_backward_and_a_forward_for_each_strength(dataset, tmp_path, monkeypatch):
    detector = small_detector()
    calls = []
    original = detector.forward_with_gradients

    def counted(pixels, *, input_gradient=False, **options):
        calls.append((len(pixels), input_gradient))
        return original(pixels, input_gradient=input_gradient, **options)

    monkeypatch.setattr(detector, "forward_with_gradients", counted)
    audit = run_audit(detector, dataset, SETTINGS, tmp_path / "a", batch_size=40)
    passed = audit.manifest.counts.fn + audit.manifest.counts.tn
    assert calls == [(40, True), (passed, False), (passed, False)]


def test_progress_never_falls_when_images_are_tried_again(dataset, tmp_path, monkeypatch):
    """An image of each batch could not be read, so all are tried again: they were counted."""
    out = tmp_path / "a"
    original = run.score_batch

    def failing(detector, settings, batch, surroundings):
        shard = original(detector, settings, batch, surroundings)
        first = shard.samples.index == shard.samples.index[0]
        return replace(shard, samples=shard.samples.assign(**{RETRY: first}))

    monkeypatch.setattr(run, "score_batch", failing)
    states = []

    def stop(state):
        states.append(state)
        if state.done >= 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_audit(small_detector(), dataset, SETTINGS, out, progress=stop, batch_size=8)
    before = states[-1].done
    again = []
    monkeypatch.setattr(run, "score_batch", original)
    audit = run_audit(small_detector(), dataset, SETTINGS, out, progress=again.append)
    done = [state.done for state in again]
    assert done == sorted(done)
    assert done[0] >= before
    assert done[-1] == audit.manifest.timings.images == 40


def test_progress_counts_every_image_once(dataset, tmp_path):
    states = []
    run_audit(
        small_detector(), dataset, SETTINGS, tmp_path / "a", progress=states.append, batch_size=16
    )
    assert [state.done for state in states] == [16, 32, 40]
    assert states[0].seconds_left > 0
    assert states[-1].seconds_left == 0


def test_pgd_and_the_other_direction_move_the_log_odds_as_asked(dataset, tmp_path):
    moved = {}
    for name, settings in {
        "toward": AuditSettings(strengths=(0, 2)),
        "away": AuditSettings(strengths=(0, 2), direction="toward_good"),
        "pgd": AuditSettings(strengths=(0, 2), pgd_steps=4),
    }.items():
        _, scores = tables(run_audit(small_detector(), dataset, settings, tmp_path / name))
        z = scores.pivot_table(index="sample_id", columns="strength", values="log_odds").dropna()
        moved[name] = (z[2.0] - z[0.0]).mean()
    assert moved["away"] < 0 < moved["toward"]
    assert moved["pgd"] >= moved["toward"] * 0.999


def test_the_manifest_is_plain_json(finished):
    text = (finished.folder / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["layer"] in manifest["maps"][0]["file"]
    assert manifest["grid"] == [8, 8]
    assert all(entry["display_scale"] > 0 for entry in manifest["maps"][:3])
