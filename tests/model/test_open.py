import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.model.networks import adapted, build
from trust_core.data.images import read_image
from trust_core.data.layouts import read_dataset
from trust_core.errors import ModelError, SettingsError
from trust_core.model.open import ModelOptions, open_detector, open_for_audit

TILES = ModelOptions(size=(192, 192), mean=(0.5,), std=(0.5,))
CELLS = ModelOptions(size=(128, 128), mean=(0.5,), std=(0.25,))


def test_the_shared_networks_open_by_themselves(shared):
    tiles = open_detector(shared / "models/magnetic_tile_lite0.pth", TILES)
    assert tiles.architecture == "timm/tf_efficientnet_lite0"
    assert tiles.alternatives == ("timm/efficientnet_lite0",)
    assert tiles.grids == {"bn2": (6, 6)}
    assert (tiles.convention.outputs, tiles.convention.defect) == (2, (1,))
    cells = open_detector(shared / "models/elpv_resnet18.safetensors", CELLS)
    assert cells.architecture == "torchvision/resnet18"
    assert cells.grids == {"layer4": (4, 4)}
    assert (cells.convention.outputs, cells.convention.sign) == (1, 1)


def test_outcomes_on_some_tiles_are_those_of_the_training_run(shared):
    """Each fitted image is called right but for 10 false alarms of 607 (models/README.md)."""
    detector = open_detector(shared / "models/magnetic_tile_lite0.pth", TILES)
    fitted = (shared / "models/magnetic_tile_lite0_fitted.csv").read_text().split()[1:]
    some = [path for path in fitted if "Free" not in path][::9]
    root = shared / "data/magnetic_tile"
    pixels = [
        torch.from_numpy(detector.preprocessing.pixels(read_image(root / path))) for path in some
    ]
    assert len(some) == 20
    assert (detector.log_odds(torch.stack(pixels).float() / 255) >= 0).all()


def test_defaults_are_the_published_ones_and_said(tmp_path):
    save_file(build("timm/mobilenetv3_small_100").state_dict(), tmp_path / "net.safetensors")
    detector = open_detector(tmp_path / "net.safetensors")
    assert detector.preprocessing.size == (224, 224)
    assert detector.preprocessing.mean == (0.485, 0.456, 0.406)
    assert "size 224x224; mean 0.485,0.456,0.406; std 0.229,0.224,0.225" in detector.notes[-2]
    assert detector.notes[-1] == (
        "Not told, so by default: resize stretch; interpolation bilinear; antialias yes (published "
        "with crop:256, bicubic). If the network was trained otherwise, say --resize, "
        "--interpolation, --antialias no."
    )
    told = open_detector(tmp_path / "net.safetensors", ModelOptions(size=(128, 96)))
    assert "size" not in told.notes[-2].split(";")[0]
    assert told.grids == {"blocks": (4, 3)}


def test_a_grey_network_gets_grey_input_and_one_mean(tmp_path):
    torch.save(build("timm/test_resnet", in_chans=1).state_dict(), tmp_path / "net.pth")
    detector = open_detector(tmp_path / "net.pth", ModelOptions(size=(64, 64)))
    assert detector.preprocessing.channels == "grey"
    assert len(detector.preprocessing.mean) == 1


@pytest.mark.parametrize(
    ("outputs", "options", "error", "sentence"),
    [
        (3, ModelOptions(), ModelError, "3 outputs: say which mean good, e.g. --good-index 0"),
        (2, ModelOptions(defect_index=5), SettingsError, "no output 5"),
        (1, ModelOptions(defect_index=0), SettingsError, "--one-logit"),
        (2, ModelOptions(layers=("layer9",)), SettingsError, "no layer"),
        (2, ModelOptions(size=(1, 1)), ModelError, "nothing to explain"),
        (2, ModelOptions(arch="vgg11"), ModelError, "does not hold the weights of vgg11"),
        (2, ModelOptions(arch="resnet_eighteen"), ModelError, "no architecture"),
    ],
)
def test_what_must_be_told_or_cannot_be(tmp_path, outputs, options, error, sentence):
    torch.save(build("timm/test_resnet", outputs).state_dict(), tmp_path / "net.pth")
    with pytest.raises(error, match=sentence):
        open_detector(tmp_path / "net.pth", options)


def test_a_good_neighbour_of_each(tmp_path):
    torch.save(build("timm/test_resnet", 3).state_dict(), tmp_path / "net.pth")
    options = ModelOptions(arch="test_resnet", size=(64, 64), good_index=(1,), layers=("layer3",))
    assert open_detector(tmp_path / "net.pth", options).convention.defect == (0, 2)


def test_an_audit_opens_the_architecture_that_its_images_speak_for(tmp_path):
    rng = np.random.default_rng(0)
    for index in range(24):
        path = tmp_path / "parts" / ("good" if index % 2 else "crack") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(path)
    dataset = read_dataset(tmp_path / "parts")
    options = ModelOptions(size=(64, 64), mean=(0.0,), std=(1.0,))
    prepared = [read_image(path).convert("RGB") for path in sorted(tmp_path.rglob("*.png"))]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in prepared]))
    pixels = pixels.permute(0, 3, 1, 2).float() / 255
    network = adapted(build("timm/tf_mobilenetv3_small_075"), pixels)
    save_file(network.state_dict(), tmp_path / "net.safetensors")

    by_rule = open_detector(tmp_path / "net.safetensors", options)
    assert by_rule.architecture == "timm/mobilenetv3_small_075"
    audited = open_for_audit(tmp_path / "net.safetensors", options, dataset)
    assert audited.architecture == "timm/tf_mobilenetv3_small_075"
    assert "tf_mobilenetv3_small_075 was taken after all" in audited.notes[-1]
    with torch.no_grad():
        logits = network(pixels)
    assert torch.allclose(audited.logits(pixels), logits, atol=1e-4)
    assert not torch.allclose(by_rule.logits(pixels), logits, atol=1e-2)

    told = ModelOptions(**vars(options) | {"arch": "mobilenetv3_small_075"})
    audited = open_for_audit(tmp_path / "net.safetensors", told, dataset)
    assert audited.architecture == "timm/mobilenetv3_small_075"  # the user has said so


def test_sixteen_bit_pictures_are_read_by_the_bits_they_use(tmp_path):
    """12 bits in 16: the picture, not a sixteenth of its brightness; unless it is told."""
    save_file(build("timm/test_resnet").state_dict(), tmp_path / "net.safetensors")
    rng = np.random.default_rng(0)
    for name in ("good", "bad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for n in range(3):
            values = rng.integers(0, 4096, (32, 32), dtype=np.uint16)
            Image.fromarray(values).save(tmp_path / "data" / name / f"{n}.png")
    data = read_dataset(tmp_path / "data")
    detector = open_for_audit(tmp_path / "net.safetensors", ModelOptions(size=(32, 32)), data)
    assert detector.preprocessing.bits == 12
    assert (
        "of which 12 are used (6 looked at): their values are read from 0 to 4,095"
        in (detector.notes[-1])
    )
    told = open_for_audit(tmp_path / "net.safetensors", ModelOptions(size=(32, 32), bits=16), data)
    assert told.preprocessing.bits == 16


def test_turned_pictures_are_told(tmp_path):
    save_file(build("timm/test_resnet").state_dict(), tmp_path / "net.safetensors")
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("good", "bad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        picture = Image.new("RGB", (32, 24), (90, 90, 9 * len(name)))
        picture.save(tmp_path / "data" / name / "0.jpg", exif=exif if name == "bad" else b"")
    data = read_dataset(tmp_path / "data")
    options = ModelOptions(size=(32, 32))
    notes = open_for_audit(tmp_path / "net.safetensors", options, data).notes
    assert notes[-1].startswith("1 of 2 images looked at has an EXIF orientation")
    assert "--exif ignore" in notes[-1]
    told = ModelOptions(size=(32, 32), exif="upright")
    assert "EXIF" not in " ".join(open_for_audit(tmp_path / "net.safetensors", told, data).notes)
