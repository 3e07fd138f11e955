"""The mask head beside the decision: found, read by the convention, kept row for row."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from tests.small import SIDE, Stop, small_dataset, small_detector, small_network, stopped_after
from trust_core.audit.decode import read_batch
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.model.detector import Detector
from trust_core.model.outputs import Convention, mask_logits_of
from trust_core.storage.audit_files import MASKS
from trust_core.storage.manifest import MaskHeadRecord
from trust_core.storage.shards import read_shard, shard_path, write_shard
from trust_core.storage.workspace import WORKSPACE_VARIABLE

SETTINGS = AuditSettings(strengths=(0, 2))


class Masked(nn.Module):
    """The small network with a mask of its own: a 1x1 convolution on the first layer's grid."""

    def __init__(self, channels: int = 1):
        super().__init__()
        self.decision = small_network()
        torch.manual_seed(1)
        self.mask = nn.Conv2d(8, channels, 1)

    def forward(self, x):
        early = self.decision[:2](x)
        return self.mask(early), self.decision[2:](early.clone())


def masked_detector(channels: int = 1) -> Detector:
    plain = small_detector()
    return Detector(Masked(channels), plain.preprocessing, plain.convention)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images", 24)


@pytest.fixture(scope="module")
def finished(dataset, tmp_path_factory):
    return run_audit(masked_detector(), dataset, SETTINGS, tmp_path_factory.mktemp("audit") / "one")


TWO = Convention(2, defect=(0,), good=(1,))
THREE = Convention(3, defect=(1, 2), good=(0,))
ONE_MEANS_GOOD = Convention(1, (), (), -1)


def test_one_channel_is_taken_as_it_is_whatever_the_label_means():
    grid, label = torch.randn(2, 1, 4, 6), torch.randn(2, 1)
    for convention in (ONE_MEANS_GOOD, TWO, THREE):
        assert mask_logits_of((grid, label), convention) is grid
    assert mask_logits_of({"logits": label, "masks": grid, "deep": grid}, TWO) is grid


def test_a_channel_for_each_class_is_read_as_the_classes_are():
    grid = torch.randn(2, 2, 4, 6)
    evidence = mask_logits_of((grid, torch.zeros(2, 2)), TWO)
    assert torch.equal(evidence, grid[:, :1] - grid[:, 1:])
    grid = torch.randn(2, 3, 4, 6)
    evidence = mask_logits_of([torch.zeros(2, 3), grid], THREE)
    by_hand = torch.log(grid[:, 1].exp() + grid[:, 2].exp()) - grid[:, 0]
    assert evidence.shape == (2, 1, 4, 6)
    torch.testing.assert_close(evidence[:, 0], by_hand)


@pytest.mark.parametrize(
    "output",
    [
        torch.zeros(2, 2),
        torch.zeros(2, 2, 1, 1),
        (torch.zeros(2, 2), torch.zeros(2, 512, 7, 7)),  # features, not a mask
        (torch.zeros(2, 2), torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 8, 8)),
        None,
    ],
)
def test_what_is_no_mask(output):
    assert mask_logits_of(output, TWO) is None


def test_a_detector_says_its_grid_and_answers_on_it():
    detector = masked_detector()
    pixels = torch.rand(3, 3, SIDE, SIDE)
    response = detector.forward_with_gradients(pixels, input_gradient=True)
    assert detector.mask_grid == (16, 16)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.5,) * 3, (0.25,) * 3))
    masks, logits = detector.module((pixels - mean) / std)
    torch.testing.assert_close(response.mask_logits, masks.detach())
    torch.testing.assert_close(response.logits, logits.detach())
    assert not response.mask_logits.requires_grad
    assert small_detector().mask_grid is None
    assert small_detector().forward_with_gradients(pixels).mask_logits is None


def test_masks_are_kept_row_for_row(finished, dataset):
    masks = finished.masks()
    samples = finished.query("SELECT sample_id FROM samples ORDER BY sample_id")
    assert finished.manifest.mask_head == MaskHeadRecord(grid=(16, 16))
    assert isinstance(masks, np.memmap)
    assert masks.dtype == np.float16
    assert masks.shape == (len(samples), 16, 16)
    detector = masked_detector()
    batch = read_batch(dataset, detector.preprocessing, slice(0, None))
    assert list(batch.sample_ids) == list(samples["sample_id"])
    pixels = torch.from_numpy(batch.pixels).float() / 255
    probabilities = detector.forward_with_gradients(pixels).mask_logits[:, 0].sigmoid().numpy()
    np.testing.assert_allclose(masks, probabilities, atol=1e-3)


def test_the_mask_head_changes_no_score(finished, dataset, tmp_path):
    plain = run_audit(small_detector(layers=("2",)), dataset, SETTINGS, tmp_path / "plain")
    assert plain.masks() is None
    assert plain.manifest.mask_head is None
    scores, others = (a.query("SELECT * FROM scores ORDER BY row") for a in (finished, plain))
    np.testing.assert_allclose(scores["log_odds"], others["log_odds"], atol=1e-4)


def test_an_unreadable_image_has_no_mask(tmp_path):
    dataset = small_dataset(tmp_path / "images", 24)
    broken = dataset.samples["path"].iloc[5]
    (dataset.root / broken).write_bytes(b"no image")
    masks = run_audit(masked_detector(), dataset, SETTINGS, tmp_path / "audit").masks()
    lost = np.isnan(masks).all(axis=(1, 2))
    assert list(np.flatnonzero(lost)) == [5]
    assert np.isfinite(masks[~lost]).all()


def test_a_shard_keeps_masks(finished, dataset, tmp_path):
    from trust_core.audit.score import score_batch

    detector = masked_detector()
    batch = read_batch(dataset, detector.preprocessing, slice(0, 4))
    shard = score_batch(detector, SETTINGS, batch)
    assert shard.masks.shape == (4, 16, 16)
    write_shard(tmp_path, 0, shard)
    np.testing.assert_array_equal(read_shard(tmp_path, 0).masks, shard.masks)
    write_shard(tmp_path, 1, dataclasses.replace(shard, masks=None))
    assert read_shard(tmp_path, 1).masks is None
    assert shard_path(tmp_path, 1).is_dir()


def test_a_stopped_run_and_an_adopted_one_have_the_same_masks(
    finished, dataset, tmp_path, monkeypatch
):
    with pytest.raises(Stop):
        run_audit(
            masked_detector(),
            dataset,
            SETTINGS,
            tmp_path / "audit",
            progress=stopped_after(0),
            batch_size=8,
        )
    resumed = run_audit(masked_detector(), dataset, SETTINGS, tmp_path / "audit", batch_size=8)
    np.testing.assert_allclose(resumed.masks(), finished.masks(), atol=2e-3)

    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    first = run_audit(masked_detector(), dataset, SETTINGS)
    other = dataclasses.replace(SETTINGS, mask="otsu")
    adopted = run_audit(masked_detector(), dataset, other)
    assert adopted.folder != first.folder
    assert (adopted.folder / MASKS).stat().st_ino == (first.folder / MASKS).stat().st_ino
    assert adopted.manifest.mask_head == first.manifest.mask_head


class MaskedLast(Masked):
    """The mask is made after the decision, from a layer before it, as a decoder does."""

    def forward(self, x):
        early = self.decision[:2](x)
        label = self.decision[2:](early.clone())
        return self.mask(early), label


def test_a_mask_made_after_the_last_layer_in_bf16(dataset, tmp_path):
    plain = small_detector()
    settings = AuditSettings(strengths=(0,), precision="bf16")
    masks = []
    for network in (Masked(), MaskedLast()):
        detector = Detector(network, plain.preprocessing, plain.convention)
        audit = run_audit(detector, dataset, settings, tmp_path / type(network).__name__)
        masks.append(audit.masks().astype(float))
    np.testing.assert_allclose(*masks, atol=2e-3)
