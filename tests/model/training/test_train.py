"""Training: what a run leaves, what it follows from, and that an interruption changes nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.parts import parts_dataset, write_parts
from tests.small import Stop, stopped_after
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.errors import ModelError, SettingsError, StoreError
from trust_core.model.open import open_detector, read_card
from trust_core.model.training import loop
from trust_core.model.training.checkpoint import Epoch
from trust_core.model.training.loop import (
    best_epoch,
    finished_epoch,
    learning_rate,
    stops,
    total_loss,
)
from trust_core.model.training.settings import TrainingSettings
from trust_core.model.training.train import explained_layer, first_network, train
from trust_core.storage.locks import LOCK, writer_lock

SETTINGS = TrainingSettings(
    encoder="tu-test_efficientnet",
    decoder="FPN32@4",
    size=(64, 64),
    channels="grey",
    close_up_epochs=1,
    epochs=2,
    batch=6,
)
STEPS = 9  # 18 images to learn from, three epochs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return parts_dataset(tmp_path_factory.mktemp("data") / "parts")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["joint", "mask", "label"])
def finished(request, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "network.safetensors"
    return train(dataset, replace(SETTINGS, objective=request.param), out)


@pytest.fixture(scope="module")
def joint(dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("joint") / "network.safetensors"
    train(dataset, SETTINGS, out)
    return files(out)


def files(out):
    return {path.name: path.read_bytes() for path in sorted(out.parent.iterdir())}


def test_leaves_a_network_its_card_its_history_and_its_roles(finished, dataset):
    folder = finished.model.parent
    names = {"network.safetensors", "network.json", "network.history.csv", "network.roles.csv"}
    assert {path.name for path in folder.iterdir()} == names
    history = pd.read_csv(folder / "network.history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert history["close_ups"].tolist() == [True, False, False]
    assert finished.best == best_epoch(finished.history)
    roles = pd.read_csv(folder / "network.roles.csv").set_index("path")["role"]
    assert roles.to_dict() == dataset.samples.set_index("path")["role"].to_dict()


def test_the_auditor_opens_it_without_an_option(finished, dataset, tmp_path):
    objective = read_card(finished.model).architecture.partition("/")[2].partition(":")[0]
    detector = open_detector(finished.model)
    assert detector.notes == ()
    assert detector.mask_grid == (None if objective == "label" else (16, 16))
    assert set(detector.grids.values()) == {(2, 2)}
    audit = run_audit(detector, dataset, AuditSettings(strengths=(0, 1)), tmp_path / "audit")
    assert audit.manifest.counts.tp + audit.manifest.counts.fn == 18
    if objective != "label":
        masks = audit.masks().astype(np.float32)
        table = audit.query("SELECT sample_id, p_defect FROM samples ORDER BY sample_id")
        assert masks.shape == (36, 16, 16)
    if objective == "mask":
        np.testing.assert_allclose(table["p_defect"], masks.max((1, 2)), atol=1e-3)


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(step, marks=[pytest.mark.slow] * (step not in (1, 3, 5, STEPS)))
        for step in range(1, STEPS + 1)
    ],
)
def test_interrupted_at_any_step_gives_the_same_bytes(joint, dataset, tmp_path, step):
    """With a checkpoint at the last end of an epoch, the rest is done again, the same way."""
    out = tmp_path / "network.safetensors"
    with pytest.raises(Stop):
        train(dataset, SETTINGS, out, progress=stopped_after(step))
    assert not out.exists()
    torch.rand(7)  # the caller's random numbers do not matter
    train(dataset, SETTINGS, out)
    assert files(out) == joint


def test_interrupted_again_and_again(finished, dataset, tmp_path, monkeypatch):
    """With a checkpoint at every step: each run takes two steps and is stopped."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    objective = read_card(finished.model).architecture.partition("/")[2].partition(":")[0]
    every = 2
    out, done = tmp_path / "network.safetensors", []
    for last in range(every, STEPS, every):
        with pytest.raises(Stop):
            train(
                dataset,
                replace(SETTINGS, objective=objective),
                out,
                progress=lambda state, last=last: (
                    done.append(state.done),
                    stopped_after(last)(state),
                ),
            )
    train(dataset, replace(SETTINGS, objective=objective), out)
    assert done == list(range(1, done[-1] + 1))
    assert files(out) == files(finished.model)


@pytest.mark.slow
def test_killed_without_a_warning_it_goes_on(tmp_path):
    """A real process, SIGKILL in the middle of an epoch, the same command again."""
    data = write_parts(tmp_path / "parts")
    command = [sys.executable, "-m", "trust_core", "train", str(data)]
    command += ["--samples", str(data / "samples.csv"), "--objective", "joint", "--size", "64"]
    command += ["--encoder", "tu-test_efficientnet", "--decoder", "FPN32@4", "--batch", "4"]
    command += ["--epochs", "16"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    outs = [tmp_path / name / "network.safetensors" for name in ("whole", "killed")]
    run = subprocess.Popen([*command, "--out", str(outs[1])], env=environment)
    progress = outs[1].with_suffix(".training") / "progress.json"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if progress.exists() and json.loads(progress.read_text())["epoch"] > 3:
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not outs[1].exists()
    assert (progress.parent / "checkpoint.safetensors").exists()
    for out in (outs[1], outs[0]):
        subprocess.run([*command, "--out", str(out)], env=environment, check=True)
    assert files(outs[0]) == files(outs[1])


def test_another_seed_is_another_network_and_the_callers_chance_is_left_alone(dataset, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = train(dataset, replace(SETTINGS, epochs=1), tmp_path / "one.safetensors")
    assert torch.equal(torch.rand(3), expected)
    two = train(dataset, replace(SETTINGS, epochs=1, seed=1), tmp_path / "two.safetensors")
    assert one.model.read_bytes() != two.model.read_bytes()


def test_all_objectives_begin_with_the_same_weights():
    joint, mask, label = (
        first_network(replace(SETTINGS, objective=name)).state_dict()
        for name in ("joint", "mask", "label")
    )
    assert all(torch.equal(joint[key], tensor) for key, tensor in (mask | label).items())
    assert mask.keys() | label.keys() == joint.keys()
    layers = {explained_layer(replace(SETTINGS, objective=n)) for n in ("joint", "mask", "label")}
    assert len(layers) == 1


def test_it_learns(tmp_path):
    """Bright blots: what a network of sixty thousand weights has learnt after a few seconds."""
    dataset = parts_dataset(tmp_path / "parts", 96)
    settings = replace(SETTINGS, close_up_epochs=4, epochs=8, batch=8, lr=4e-3)
    trained = train(dataset, settings, tmp_path / "network.safetensors")
    assert trained.best.tune_average_precision > 0.95
    assert trained.history[-1].mask_loss < 0.5 * trained.history[0].mask_loss


def test_bf16_runs_and_is_not_fp32(dataset, tmp_path):
    settings = replace(SETTINGS, epochs=1, close_up_epochs=0)
    out = [tmp_path / f"{name}.safetensors" for name in ("fp32", "bf16")]
    losses = [
        train(dataset, replace(settings, precision=path.stem), path).history[0].label_loss
        for path in out
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)
    assert out[0].stat().st_size == out[1].stat().st_size  # kept in fp32


def test_it_stops_early_and_keeps_the_best(dataset, tmp_path, monkeypatch):
    values = iter([0.9, 0.5, 0.6, 0.7, 0.1])

    def given(_, __, ___, number, ____):
        return epoch_of(number, next(values))

    monkeypatch.setattr(loop, "finished_epoch", given)
    settings = replace(SETTINGS, epochs=20, patience=2)
    trained = train(dataset, settings, tmp_path / "network.safetensors")
    assert [epoch.epoch for epoch in trained.history] == [1, 2, 3]
    assert trained.best.epoch == 1


def epoch_of(number, average_precision, loss=1.0):
    counts = {"tune_caught": 0, "tune_defective": 1, "tune_false_alarms": 0, "tune_good": 1}
    scores = {"tune_average_precision": average_precision, "tune_loss": loss}
    return Epoch(epoch=number, close_ups=False, **scores, **counts)


def test_patience_counts_epochs_on_whole_images():
    scores = [(0.9, 1), (0.5, 1), (0.5, 1), (0.9, 0.5), (0.9, 0.7)]
    epochs = [epoch_of(number, *score) for number, score in enumerate(scores, 1)]
    settings = replace(SETTINGS, close_up_epochs=2, patience=2)
    assert best_epoch(epochs[:3]).epoch == 1
    assert best_epoch(epochs).epoch == 4  # the lower loss decides
    assert [stops(epochs[:n], settings) for n in range(6)] == [False] * 6
    assert stops(epochs[:4] + [epoch_of(n, 0.5) for n in (5, 6)], settings)
    assert stops([*epochs[:3], epoch_of(4, 0.5)], settings)
    assert not stops(epochs * 9, replace(settings, patience=0))


def test_learning_rate_by_hand():
    rates = [learning_rate(2.0, step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == rates[10] == pytest.approx(2.0)
    assert rates[55] == pytest.approx(1.0)
    assert 0 < rates[99] < 0.001
    assert learning_rate(2.0, 0, 1) == pytest.approx(2.0)


def test_the_joint_loss_weighs_both():
    losses = {"mask": torch.tensor(2.0), "label": torch.tensor(4.0)}
    assert total_loss(losses, SETTINGS).item() == 3
    weighed = replace(SETTINGS, mask_weight=0.25, label_weight=1.0)
    assert total_loss(losses, weighed).item() == 4.5
    assert total_loss({"mask": torch.tensor(2.0)}, SETTINGS).item() == 2


class Mean(torch.nn.Module):
    """Answers with the mean of its input."""

    def forward(self, x):
        value = x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(value), value], 1)


def test_a_part_is_judged_by_its_most_suspicious_image():
    class Data:
        table = pd.DataFrame(
            {
                "group": ["a", "a", "b", "b", "c", "d"],
                "label": [1, 1, 0, 0, 1, 0],
            }
        )
        values = torch.tensor([0.1, 0.9, 0.7, 0.6, 0.2, 0.4])

        def rows(self, role):
            assert role == "tune"
            return np.arange(6)

        def batch(self, rows):
            pixels = self.values[rows].view(-1, 1, 1, 1).expand(-1, 1, 4, 4)
            labels = torch.tensor(self.table["label"].to_numpy(np.float32)[rows])
            return pixels, torch.zeros(len(rows), 1, 4, 4), labels, torch.ones(len(rows)).bool()

    settings = replace(SETTINGS, objective="label", close_up_epochs=0)
    found = finished_epoch(Mean(), Data(), settings, 1, {"label": 0.5})
    assert (found.epoch, found.label_loss, found.mask_loss) == (1, 0.5, None)
    assert found.tune_caught == 1
    assert (found.tune_defective, found.tune_good) == (2, 2)
    assert found.tune_false_alarms == 1
    assert found.tune_average_precision == pytest.approx((1 / 1 + 2 / 4) / 2)
    z = (Data.values - 0.5) / 0.5
    by_hand = torch.nn.functional.binary_cross_entropy_with_logits(
        z, torch.tensor([1.0, 1, 0, 0, 1, 0])
    )
    assert found.tune_loss == pytest.approx(by_hand.item(), abs=1e-6)


def test_places_that_cannot_be_used(dataset, tmp_path, monkeypatch):
    with pytest.raises(StoreError, match=r"ends in \.safetensors"):
        train(dataset, SETTINGS, tmp_path / "network.pt")
    (tmp_path / "there.safetensors").write_bytes(b"x")
    with pytest.raises(StoreError, match="is there already"):
        train(dataset, SETTINGS, tmp_path / "there.safetensors")
    with pytest.raises(StoreError, match=r"cannot be written.*--out"):
        train(dataset, SETTINGS, tmp_path / "there.safetensors" / "below.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]


def test_an_interrupted_run_of_other_settings_is_not_gone_on_with(dataset, tmp_path):
    out = tmp_path / "network.safetensors"
    with pytest.raises(Stop):
        train(dataset, SETTINGS, out, progress=stopped_after(4))
    with pytest.raises(StoreError, match="other settings or data"):
        train(dataset, replace(SETTINGS, seed=1), out)
    fewer = replace(dataset, samples=dataset.samples.drop(index=0).reset_index(drop=True))
    with pytest.raises(StoreError, match="other settings or data"):
        train(fewer, SETTINGS, out)
    with (
        writer_lock(out.with_suffix(".training") / LOCK, ""),
        pytest.raises(StoreError, match="being trained by another run"),
    ):
        train(dataset, SETTINGS, out)
    train(dataset, SETTINGS, out)


def test_a_run_that_was_refused_leaves_nothing(dataset, tmp_path):
    bare = replace(dataset, samples=dataset.samples.assign(mask_path=""))
    with pytest.raises(Exception, match="--objective label"):
        train(bare, SETTINGS, tmp_path / "network.safetensors")
    with pytest.raises(ModelError, match="no file of weights"):
        train(
            dataset,
            replace(SETTINGS, weights=str(tmp_path / "none.pth")),
            tmp_path / "network.safetensors",
        )
    with pytest.raises(ModelError, match="There is no encoder"):
        train(dataset, replace(SETTINGS, encoder="resnet99"), tmp_path / "network.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"objective": "both"}, 'joint, mask, label, not "both"'),
        ({"precision": "fp16"}, "fp32, tf32, bf16"),
        ({"channels": "bgr"}, "rgb, grey"),
        ({"size": (100, 64)}, "multiples of 64 with close-ups; the nearest is 128x64"),
        ({"size": (40, 64), "close_up_epochs": 0}, "multiples of 32; the nearest is 32x64"),
        ({"epochs": 0}, "--epochs is at least 1"),
        ({"batch": 1}, "--batch is at least 2"),
        ({"seed": -1}, "--seed is at least 0"),
        ({"lr": 0.0}, "--lr is a number above 0"),
        ({"lr": float("nan")}, "--lr is a number above 0"),
        ({"mask_weight": -1.0}, "Loss weights"),
        ({"std": (0.0,)}, "--std must be greater than 0"),
    ],
)
def test_settings_that_mean_nothing(change, sentence):
    with pytest.raises(SettingsError, match=sentence):
        replace(SETTINGS, **change)


def test_a_decoder_that_is_none():
    with pytest.raises(ModelError, match="FPN32@4"):
        replace(SETTINGS, decoder="PSPNet")
