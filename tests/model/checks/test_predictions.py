import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.data.pictures import write_all
from tests.model.recognition.test_heads import resnet, shaken
from tests.small import small_dataset, small_detector
from trust_core.data.samples import Dataset
from trust_core.errors import DataError
from trust_core.model.checks.predictions import compare_expected, read_expected, try_expected
from trust_core.model.detector import Detector
from trust_core.model.open import ModelOptions, open_detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing

TABLE = pd.DataFrame({"path": ["a/1.png", "a/2.png", "b/3.png"], "p_defect": [0.1, 0.9, None]})


def compare(tmp_path, text):
    (tmp_path / "mine.csv").write_bytes(text.encode())
    data = Dataset(tmp_path, TABLE[["path"]], "CSV", (), ())
    return compare_expected(read_expected(tmp_path / "mine.csv", data), TABLE)


@pytest.mark.parametrize(
    "text",
    [
        "path,p\n./a/1.png,0.105\na\\2.png,0.9\n",
        "\ufeffpath;p\r\na\\1.png;0,105\r\na\\2.png;0,9\r\n",
        "image,p_defect\na/1.png,0.105\na/2.png,0.9\n",
        "filename\tprobability\n1.png\t0.105\n2.png\t0.9\n",
        "path,p\n/home/me/parts/a/1.png,0.105\nD:\\x\\a\\2.png,0.9\n",
    ],
)
def test_reproduced_however_the_table_was_written(tmp_path, text):
    found = compare(tmp_path, text)
    assert (found.compared, found.reproduced) == (2, 2)
    assert found.largest == pytest.approx(0.005)
    assert found.sentence == "All 2 expected predictions are reproduced (largest Δp 0.005)."


def test_log_odds_tell_what_p_near_0_hides(tmp_path):
    table = pd.DataFrame({"path": ["a.png", "b.png"], "p_defect": [1e-7, 0.5]})
    data = Dataset(tmp_path, table[["path"]], "CSV", (), ())

    def found(p):
        (tmp_path / "mine.csv").write_text(f"path,p\na.png,{p}\nb.png,0.5\n")
        return compare_expected(read_expected(tmp_path / "mine.csv", data), table)

    far = found("0.0004")  # log-odds -7.8 against -16.1
    assert (far.compared, far.reproduced, far.agrees) == (2, 2, False)
    assert far.log_odds == pytest.approx(8.16, abs=0.01)  # from 0.00035, which the digits may mean
    assert "differ by up to 8.2" in far.sentence
    assert found("0.000").agrees  # as far as three digits tell
    assert found("1.0e-7").agrees
    assert not found("1.0e-8").agrees


def test_not_reproduced(tmp_path):
    found = compare(tmp_path, "path,p\na/1.png,0.1\na/2.png,0.4\nb/3.png,0.5\nc.png,1\n")
    assert (found.compared, found.reproduced, found.worst) == (2, 1, "a/2.png")
    assert found.largest == pytest.approx(0.5)
    assert "Only 1 of 2" in found.sentence
    assert "2 of its paths are not in the data" in found.sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,value\na/1.png,1\n", "no column p"),
        ("path,p\na/1.png,high\n", r"line 2: 'high' is no number \(in 1 rows?\)"),
        ("path,p\na/1.png,3.5\n", "number from 0 to 1"),
        ("path,p\nelsewhere.png,0.5\n", "of its 1 path none is"),
        ("path,p\n1.png,0.5\na/1.png,0.5\n", "several predictions of a/1.png"),
        ("path,p\n", "no rows"),
        ("", "empty"),
    ],
)
def test_wrong_files(tmp_path, text, sentence):
    with pytest.raises(DataError, match=sentence):
        compare(tmp_path, text)


@pytest.fixture
def small(tmp_path):
    return small_detector(), small_dataset(tmp_path / "data")


def tried(file, detector, dataset, **options):
    return try_expected(read_expected(file, dataset), detector, dataset, **options)


def test_a_few_images_are_tried_before_an_audit(tmp_path, small):
    detector, dataset = small
    paths, rule = dataset.samples["path"].tolist(), detector.preprocessing
    images = [rule.pixels(rule.read(dataset.root / path)) for path in paths]
    answers = [torch.from_numpy(image)[None].float() / 255 for image in images]
    truth = {p: float(detector.log_odds(x).sigmoid()) for p, x in zip(paths, answers, strict=True)}
    (tmp_path / "mine.csv").write_text("path,p\n" + "".join(f"{p},{q}\n" for p, q in truth.items()))
    found = tried(tmp_path / "mine.csv", detector, dataset, images=5)
    assert 3 <= found.compared <= 5
    assert found.reproduced == found.compared
    (tmp_path / "mine.csv").write_text(
        "path,p\n" + "".join(f"{p},{1 - q}\n" for p, q in truth.items())
    )
    found = tried(tmp_path / "mine.csv", detector, dataset)
    assert (
        f"With {detector.convention.inverted().option()} they are reproduced: say so."
        in found.sentence
    )


def test_images_that_cannot_be_tried_say_so(tmp_path, small):
    detector, dataset = small
    path = dataset.samples["path"].iloc[0]
    (dataset.root / path).write_bytes(b"no image")
    (tmp_path / "mine.csv").write_text(f"path,p\n{path},0.5\n")
    with pytest.raises(DataError, match=r"of 1 image tried, such as .*png, none can be read"):
        tried(tmp_path / "mine.csv", detector, dataset)


def fine_network():
    """Sees how much neighbouring pixels differ, in red more than in blue: any way shows."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(2, 2),
    )  # fmt: skip
    with torch.no_grad():
        network[0].bias.zero_()
        network[0].weight[0] = torch.tensor([0.3, 0.1, 0.0])[:, None, None] / 9
        across = torch.tensor([[-1.0, 2.0, -1.0]] * 3)
        network[0].weight[1] = torch.tensor([1.0, 0.4, 0.1])[:, None, None] * across
        network[4].weight.copy_(torch.tensor([[4.0, 0.0], [0.0, 4.0]]))
        network[4].bias.copy_(torch.tensor([0.0, -0.5]))
    return network.eval()


@pytest.mark.parametrize(("theirs", "options"), [
    ({"antialias": "no"}, "--antialias no"),
    ({"interpolation": "bicubic", "antialias": "no"}, "--interpolation bicubic --antialias no"),
    ({"resize": "crop:18"}, "--resize crop:18"),
    ({"antialias": "no", "channels": "bgr"}, "--antialias no --channels bgr"),
    ({"size": (9, 9)}, "No usual way"),
])  # fmt: skip
def test_what_reproduces_them_is_found(tmp_path, theirs, options):
    rng = np.random.default_rng(0)
    paths = [f"{n}.png" for n in range(6)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (75, 60, 3), dtype=np.uint8)).save(tmp_path / path)
    data = Dataset(tmp_path, pd.DataFrame({"path": paths}), "CSV", (), ())

    def answers(**changes):
        rule = Preprocessing(**{"size": (16, 16), **changes})
        detector = Detector(fine_network(), rule, choose_convention(2))
        pixels = np.stack([rule.pixels(rule.read(tmp_path / path)) for path in paths])
        z = detector.log_odds(torch.from_numpy(pixels).float() / 255)
        return detector, z.double().sigmoid().tolist()

    _, wanted = answers(**theirs)
    write_all(
        tmp_path,
        {
            "mine.csv": (
                "path,p\n" + "".join(f"{a},{b}\n" for a, b in zip(paths, wanted, strict=True))
            ).encode()
        },
    )
    found = tried(tmp_path / "mine.csv", answers()[0], data)
    assert found.reproduced < 6
    assert options in found.sentence


def test_what_differs_on_a_single_image_is_found(tmp_path):
    """31 pictures of one colour each are the same in any resampling, whatever else is tried."""
    paths = [f"{n:02d}.png" for n in range(32)]
    for n, path in enumerate(paths):
        pixels = np.full((75, 60, 3), 7 * n, np.uint8)
        if n == 13:
            pixels = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / path)
    data = Dataset(tmp_path, pd.DataFrame({"path": paths}), "CSV", (), ())

    def detector(antialias):
        rule = Preprocessing(size=(16, 16), antialias=antialias)
        return Detector(fine_network(), rule, choose_convention(2))

    theirs = detector("no")
    rule = theirs.preprocessing
    pixels = np.stack([rule.pixels(rule.read(tmp_path / path)) for path in paths])
    p = theirs.log_odds(torch.from_numpy(pixels).float() / 255).double().sigmoid().tolist()
    rows = "".join(f"{path},{value}\n" for path, value in zip(paths, p, strict=True))
    (tmp_path / "mine.csv").write_text(f"path,p\n{rows}")
    found = tried(tmp_path / "mine.csv", detector("yes"), data)
    assert (found.compared, found.reproduced, found.worst) == (32, 31, "13.png")
    assert "With --antialias no they are reproduced: say so." in found.sentence


def test_another_function_in_a_head_of_ones_own_is_found(tmp_path, small):
    _, dataset = small
    head = torch.nn.Linear(512, 8), torch.nn.SiLU(), torch.nn.Linear(8, 2)
    torch.save(shaken(resnet(*head)).state_dict(), tmp_path / "net.pth")
    taken, told = (
        open_detector(tmp_path / "net.pth", ModelOptions(size=(32, 32), arch=arch), device="cpu")
        for arch in (None, "resnet18+silu")
    )
    paths, rule = dataset.samples["path"].tolist()[:6], told.preprocessing
    pixels = np.stack([rule.pixels(rule.read(dataset.root / path)) for path in paths])
    p = told.log_odds(torch.from_numpy(pixels).float() / 255).double().sigmoid().tolist()
    rows = "".join(f"{path},{value}\n" for path, value in zip(paths, p, strict=True))
    (tmp_path / "mine.csv").write_text(f"path,p\n{rows}")
    found = tried(tmp_path / "mine.csv", taken, dataset)
    assert not found.agrees
    assert "With --arch torchvision/resnet18+silu they are reproduced: say so." in found.sentence
    assert tried(tmp_path / "mine.csv", told, dataset).agrees
