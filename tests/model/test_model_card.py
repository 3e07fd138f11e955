import json

import pytest
import torch

from tests.model.networks import build
from trust_core.errors import ModelError, SettingsError, StoreError
from trust_core.model.open import ModelCard, ModelOptions, open_detector, read_card, write_model
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

GREY = Preprocessing((96, 64), "letterbox", "bicubic", "grey", (0.4,), (0.2,))
CARD = ModelCard("timm/test_resnet", GREY, choose_convention(3, good_index=[2]), "layer3")


@pytest.fixture
def written(tmp_path):
    module = build("timm/test_resnet", 3, in_chans=1)
    write_model(tmp_path / "net.safetensors", module, CARD)
    return tmp_path / "net.safetensors", module


def test_what_is_written_opens_without_an_option(written):
    path, module = written
    detector = open_detector(path)
    assert read_card(path) == CARD
    assert detector.preprocessing == GREY
    assert detector.convention == CARD.convention
    assert detector.layers == ("layer3",)
    assert detector.architecture == "timm/test_resnet"
    pixels = torch.rand(2, 1, 96, 64)
    with torch.no_grad():
        wanted = CARD.convention.log_odds(module((pixels - 0.4) / 0.2))
    assert torch.allclose(detector.log_odds(pixels), wanted, atol=1e-5)
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.json", "net.safetensors"]


def test_the_command_line_wins(written):
    path, _ = written
    detector = open_detector(
        path, ModelOptions(layers=("layer2",), size=(64, 64), mean=(0.0,), good_index=(0,))
    )
    assert detector.layers == ("layer2",)
    assert detector.preprocessing.size == (64, 64)
    assert (detector.preprocessing.mean, detector.preprocessing.std) == ((0.0,), (0.2,))
    assert detector.convention.good == (0,)
    with pytest.raises(ModelError, match="--arch says resnet18"):
        open_detector(path, ModelOptions(arch="resnet18"))
    with pytest.raises(SettingsError, match="one channel"):
        open_detector(path, ModelOptions(channels="rgb"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"size": None}, "size must be numbers"),
        ({"size": [8.5, 8]}, "whole"),
        ({"std": [0]}, "std"),
        ({"mean": "grey"}, "mean must be numbers"),
        ({"mean": [float("inf")]}, "mean must be numbers"),
        ({"std": [10**400]}, "std must be numbers"),
        ({"convention": {"outputs": 1, "defect": [float("nan")], "good": [], "sign": 1}}, "number"),
        ({"resize": 3}, "resize must be text"),
        ({"colour": "rgb"}, "unknown entry colour"),
        ({"convention": {"outputs": 2}}, "entries"),
        ({"convention": {"outputs": 3, "defect": [0], "good": [1], "sign": 1}}, "each output"),
        ({"convention": {"outputs": 2, "defect": [0, 1], "good": [], "sign": 1}}, "each output"),
        ({"convention": {"outputs": 1, "defect": [], "good": [], "sign": 2}}, "sign"),
        ({"convention": {"outputs": 2, "defect": [1], "good": [0], "sign": 1}}, "2 outputs"),
    ],
)
def test_a_wrong_card_is_refused(written, change, sentence):
    path, _ = written
    place = path.with_suffix(".json")
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(ModelError, match=sentence):
        open_detector(path)


def test_json_that_is_no_card_is_left_alone(written):
    path, _ = written
    path.with_suffix(".json").write_text('{"epochs": 3}')
    assert read_card(path) is None
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ModelError, match=r"net.json beside the model is not readable"):
        read_card(path)


def test_a_folder_that_cannot_be_written_to(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        write_model(tmp_path / "absent" / "net.safetensors", torch.nn.Linear(1, 1), CARD)


def test_a_card_of_a_billion_outputs_is_none(tmp_path):
    convention = {"outputs": 10**9, "defect": [1], "good": [0], "sign": 1}
    card = {"architecture": "resnet18", "size": [8, 8], "convention": convention}
    (tmp_path / "net.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="from 1 to 10,000"):
        read_card(tmp_path / "net.pt")
