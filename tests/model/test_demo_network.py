"""The bundled network: small, opened without an option, better than chance, and not perfect."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trust_core.audit.demo import NETWORK
from trust_core.cli.main import build_parser
from trust_core.data.demo.surfaces import AUDIT_SEED, render_part
from trust_core.model.detector import Detector
from trust_core.model.open import open_detector
from trust_core.model.training.settings import TrainingSettings

FORMATS = Path(__file__).parents[2] / "docs" / "formats.md"
PARTS = 160


@pytest.fixture(scope="module")
def detector() -> Detector:
    return open_detector(NETWORK)


@pytest.fixture(scope="module")
def parts():
    return [render_part(AUDIT_SEED, k, photos=1) for k in range(PARTS)]


@pytest.fixture(scope="module")
def response(detector, parts):
    pixels = [detector.preprocessing.pixels(Image.fromarray(part.photos[0])) for part in parts]
    return detector.forward_with_gradients(torch.from_numpy(np.stack(pixels)).float() / 255)


def told(job: str):
    """A command of the documentation, as the command line reads it."""
    start = f"python -m trust_core {job} surfaces "
    line = next(line for line in FORMATS.read_text().splitlines() if line.startswith(start))
    return build_parser().parse_args(shlex.split(line)[3:])


def test_small_enough_to_ship() -> None:
    assert NETWORK.stat().st_size <= 3_000_000


def test_is_what_the_documented_command_makes(detector: Detector) -> None:
    options = told("train")
    given = {n: getattr(options, n) for n in TrainingSettings.__dataclass_fields__}
    settings = TrainingSettings(**{n: value for n, value in given.items() if value is not None})
    assert detector.architecture == settings.blueprint.name
    assert detector.preprocessing == settings.preprocessing
    assert detector.convention == settings.convention
    assert detector.notes == ()


def test_explained_on_a_grid_of_6_by_6_and_with_a_mask(detector: Detector) -> None:
    assert [detector.grids[layer] for layer in detector.layers] == [(6, 6)]
    assert detector.mask_grid == (48, 48)


def test_audited_on_parts_it_was_not_trained_on(parts) -> None:
    seed = told("surfaces").seed
    assert seed != AUDIT_SEED
    assert not np.array_equal(render_part(seed, 0, photos=1).photos[0], parts[0].photos[0])


def test_finds_most_defects_passes_most_good_parts_and_misses_some(response, parts) -> None:
    called, defective = response.log_odds >= 0, torch.tensor([part.kind != "" for part in parts])
    assert 0.65 < called[defective].float().mean() < 0.92
    assert called[~defective].float().mean() < 0.12


def test_its_mask_lies_on_the_defects(response, parts) -> None:
    cells = (response.mask_logits[:, 0] >= 0).numpy()
    hits = []
    for mask, part in zip(cells, parts, strict=True):
        if part.kind and mask.any():
            truth = Image.fromarray(part.masks[0]).resize((48, 48), Image.Resampling.BOX)
            hits.append((mask & (np.asarray(truth) > 0)).any())
    assert len(hits) > 20
    assert np.mean(hits) > 0.8
