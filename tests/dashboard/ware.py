"""Small wares to drop into the Run page: a network, a zip of images, and files to be refused."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.fakes import Part, write_fake_audit
from tests.model.networks import adapted, build
from trust_core.audit.run import run_audit
from trust_core.audit.settings import AuditSettings
from trust_core.data.samples import SAMPLE_COLUMNS, Dataset
from trust_core.model.open import ModelOptions, open_for_audit
from trust_core.storage.audit_files import Audit

ARCHITECTURE = "test_resnet"
BILINEAR = Image.Resampling.BILINEAR
SIDE = 64


def write_network(path: Path, outputs: int = 2, seed: int = 0) -> Path:
    """A random network of a known architecture, balanced so that it calls about half good."""
    torch.manual_seed(seed)
    network = timm.create_model(ARCHITECTURE, num_classes=outputs).eval()
    with torch.no_grad():
        noise = (torch.rand(16, 3, SIDE, SIDE) - 0.5) / 0.5
        head = network.get_classifier()
        head.weight *= 20
        head.bias -= network(noise).mean(0)
    tensors = {key: tensor.contiguous() for key, tensor in network.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def write_twin(path: Path, archive: Path) -> Path:
    """A network that its weights alone do not tell from its twin, "trained" on these images."""
    with zipfile.ZipFile(archive) as images:
        arrays = [
            np.asarray(Image.open(images.open(name)).convert("RGB").resize((SIDE, SIDE), BILINEAR))
            for name in images.namelist()
        ]
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255
    save_file(adapted(build("timm/tf_mobilenetv3_small_075"), pixels).state_dict(), path)
    return path


def write_audit(folder: Path, parts: Sequence[Part]) -> Audit:
    """A real audit of such a network on the pictures of a fake one, with its model beside it."""
    options = ModelOptions(arch=ARCHITECTURE, size=(SIDE, SIDE))
    model = write_network(folder.with_name(f"{folder.name}-network.safetensors"))
    images = write_fake_audit(folder.with_name(f".{folder.name}-fake"), parts)
    samples = images.query("SELECT * FROM samples")[list(SAMPLE_COLUMNS)]
    dataset = Dataset(Path(images.manifest.data.root), samples, "CSV", (), ())
    origin = {"path": str(model), "options": json.loads(json.dumps(asdict(options)))}
    settings = AuditSettings(strengths=(0.0,))
    return run_audit(
        open_for_audit(model, options, dataset), dataset, settings, folder, origin=origin
    )


def write_zip(path: Path, folders: dict[str, int], seed: int = 0) -> Path:
    """A zip with one folder for each class; every image is another noise."""
    rng = np.random.default_rng(seed)
    with zipfile.ZipFile(path, "w") as archive:
        for folder, count in folders.items():
            for index in range(count):
                pixels = rng.integers(0, 255, (40, 40), dtype=np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                archive.writestr(f"{folder}/{index:03d}.png", file.getvalue())
    return path
