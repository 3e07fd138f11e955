"""The bundled network: small, opened without an option, better than chance, and not perfect."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trust_core.data.surfaces import AUDIT_SEED, render_part
from trust_core.model import demo_training
from trust_core.model.demo_training import TRAINING_SEED, train, training_set
from trust_core.model.detector import Detector
from trust_core.model.opening import open_detector

NETWORK = Path(demo_training.__file__).with_name("demo_network.safetensors")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return open_detector(NETWORK)


def test_small_enough_to_ship() -> None:
    assert NETWORK.stat().st_size <= 5_000_000


def test_opens_by_its_card(detector: Detector) -> None:
    assert detector.architecture == demo_training.CARD.architecture
    assert detector.preprocessing == demo_training.CARD.preprocessing
    assert detector.convention == demo_training.CARD.convention


def test_explained_on_a_grid_of_8_by_8(detector: Detector) -> None:
    assert [detector.grids[layer] for layer in detector.layers] == [(8, 8)]


def test_audited_on_parts_it_was_not_trained_on() -> None:
    assert TRAINING_SEED != AUDIT_SEED
    seen, audited = training_set(1).pixels, render_part(AUDIT_SEED, 0).photos[0]
    shown = demo_training.CARD.preprocessing.pixels(Image.fromarray(audited))[:1]
    assert not np.array_equal(seen[0].numpy(), shown)


def test_finds_most_defects_passes_most_good_parts_and_misses_some(detector: Detector) -> None:
    parts = [render_part(AUDIT_SEED, k, photos=1) for k in range(160)]
    pixels = [detector.preprocessing.pixels(Image.fromarray(part.photos[0])) for part in parts]
    z = detector.log_odds(torch.from_numpy(np.stack(pixels)).float() / 255)
    called, defective = z >= 0, torch.tensor([part.kind != "" for part in parts])
    assert 0.65 < called[defective].float().mean() < 0.92
    assert called[~defective].float().mean() < 0.12


def test_close_ups_of_defective_parts_show_the_defect() -> None:
    data = training_set(12, seed=3)
    twins = [render_part(3, k, photos=1, emphasis=0).photos[0] for k in range(12)]
    flawless = torch.from_numpy(
        np.stack([demo_training.CARD.preprocessing.pixels(Image.fromarray(t))[:1] for t in twins])
    )
    rows = torch.arange(12)
    torch.manual_seed(0)
    shown = demo_training._close_ups(data, rows)
    torch.manual_seed(0)
    without = demo_training._close_ups(
        demo_training.TrainingSet(flawless, data.labels, data.centres), rows
    )
    assert shown.shape == (12, 1, 128, 128)
    differs = (shown != without).flatten(1).any(1)
    assert differs.tolist() == data.labels.bool().tolist()


def test_training_follows_from_its_seed() -> None:
    data = training_set(32, seed=3)
    first, second, other = (train(data, close_up_epochs=1, epochs=1, seed=s) for s in (1, 1, 2))
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in (first, second, other)]
    assert not first.training
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_command_writes_a_network_that_opens(tmp_path: Path) -> None:
    out = tmp_path / "tiny.safetensors"
    demo_training.main(
        ["--out", str(out), "--parts", "32", "--close-up-epochs", "1", "--epochs", "1"]
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", out.name]
    assert open_detector(out).convention == demo_training.CARD.convention
