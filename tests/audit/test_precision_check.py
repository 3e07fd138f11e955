"""What bf16 changes is measured and noted; what is in full precision stays so."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.model.networks import build
from tests.small import small_dataset, small_detector
from trust_core.audit.decode import read_batch
from trust_core.audit.precision_check import check_precision
from trust_core.audit.run import run_audit
from trust_core.audit.score import score_batch
from trust_core.audit.settings import AuditSettings
from trust_core.errors import SettingsError
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

LOW = AuditSettings(strengths=(0, 2), precision="bf16")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images")


@pytest.mark.parametrize("layers", [(), ("layer2",)])
@pytest.mark.parametrize("input_gradient", [True, False])
def test_the_network_is_rounded_and_the_decision_is_not(layers, input_gradient):
    detector = Detector(
        build("timm/test_resnet"), Preprocessing((64, 64)), choose_convention(2), layers
    )
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    full = detector.forward_with_gradients(pixels, input_gradient=input_gradient)
    low = detector.forward_with_gradients(pixels, input_gradient=input_gradient, precision="bf16")
    (layer,) = detector.layers
    for name in ("log_odds", "logits"):
        one, two = getattr(full, name), getattr(low, name)
        assert two.dtype == torch.float32
        assert not torch.equal(one, two)
        assert torch.allclose(one, two, rtol=0.1, atol=0.1)
        assert not torch.equal(two, two.bfloat16().float())  # finer than bf16 could tell
    assert low.activations[layer].dtype == low.gradients[layer].dtype == torch.float32
    assert torch.equal(
        detector.forward_with_gradients(pixels).log_odds,
        detector.forward_with_gradients(pixels).log_odds,
    )
    assert not torch.is_autocast_enabled("cpu")
    if input_gradient:
        cosine = torch.nn.functional.cosine_similarity(
            full.input_gradient.flatten(), low.input_gradient.flatten(), dim=0
        )
        assert 0.9 < cosine < 1


def test_an_audit_in_bf16_tells_what_it_changes(dataset, tmp_path):
    audit = run_audit(small_detector(), dataset, LOW, tmp_path / "low", batch_size=8)
    plain = run_audit(
        small_detector(), dataset, dataclasses.replace(LOW, precision="fp32"), tmp_path / "full"
    )
    assert plain.manifest.precision is None
    assert plain.manifest.model_pass != audit.manifest.model_pass
    check = audit.manifest.precision
    one, two = (a.query("SELECT * FROM samples ORDER BY sample_id") for a in (plain, audit))
    scores = [a.query("SELECT * FROM scores ORDER BY sample_id, strength") for a in (plain, audit)]
    assert check.images == len(dataset.samples)
    assert check.passed == (one["predicted"] == 0).sum()
    assert check.decisions_changed == (one["predicted"] != two["predicted"]).sum()
    both = scores[0].merge(scores[1], on=["sample_id", "strength"], suffixes=("", "_low"))
    both = both[both["sample_id"].isin(one[one["predicted"] == 0]["sample_id"])]
    apart = (both["iou_difference"] - both["iou_difference_low"]).abs()
    assert check.delta.largest == pytest.approx(apart.max(), abs=5e-3)
    assert check.log_odds > 0
    assert f"by {check.delta.median:.3f} in the median" in check.sentence


def test_the_flagged_set_is_compared_at_each_strength(dataset):
    detector = small_detector()
    batch = read_batch(dataset, detector.preprocessing, slice(0, None))
    reversed_scores = []

    def score(settings, batch):
        shard = score_batch(detector, dataclasses.replace(settings, precision="fp32"), batch)
        if settings.precision == "bf16":  # a precision that turns everything round
            shard.scores["iou_difference"] *= -1
            reversed_scores.append(shard)
        return shard

    check = check_precision(score, LOW, [batch])
    passed = check.passed
    assert check.flagged.of == 2 * max(1, round(passed / 10))
    assert check.flagged.same == 0
    assert check.decisions_changed == 0
    largest = reversed_scores[0].scores["iou_difference"].abs().max()
    assert check.delta.largest <= 2 * largest


def test_no_passed_image_is_said_so(dataset):
    detector = small_detector()
    detector.module[6].bias.data += torch.tensor([-1e4, 1e4])
    batch = read_batch(dataset, detector.preprocessing, slice(0, 8))
    check = check_precision(lambda s, b: score_batch(detector, s, b), LOW, [batch])
    assert check.passed == 0
    assert "not known" in check.sentence
    assert np.isfinite([check.log_odds, check.delta.median, check.delta.largest]).all()


def test_an_unknown_precision_is_refused():
    with pytest.raises(SettingsError, match="fp32, tf32, bf16"):
        AuditSettings(precision="fp16")
