"""What a guard costs, in bare forwards of its network, and what onnxruntime makes of it.

`forwards_clean`: one decision at ε = 0 over one bare forward of the same images;
`forwards_enhanced`: at one ε > 0. All parts are passed, which is the dearest case. Each is the
worst of the networks and batch sizes. `onnx_speedup`: how many times faster than PyTorch the ONNX
graph decides at batch 1.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision

from benchmarks.machine import alternate, machine, ratio, versions
from trust_core.deploy.guard import Guard, batch_of
from trust_core.deploy.indicators import needs_of, strengths_of
from trust_core.deploy.onnx_graph import export_graph
from trust_core.deploy.onnx_guard import load_onnx_guard
from trust_core.deploy.policy import ONNX_GUARD, POLICY, DecisionRule, Policy, policy_text
from trust_core.model.detector import Detector
from trust_core.model.outputs import choose_convention
from trust_core.model.preprocessing import Preprocessing
from trust_core.storage.manifest import ConventionRecord, PreprocessingRecord

SIDE = 224
BATCHES = (1, 32)
STRENGTH = 1.0
NETWORKS = {
    "resnet18": lambda: torchvision.models.resnet18(num_classes=2),
    "efficientnet_lite0": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=2),
}


def policy_of(detector: Detector, strength: float) -> Policy:
    """A policy of the IoU difference that calls nothing defective."""
    outputs = detector.convention
    return Policy(
        threshold=0.1,
        strength=strength,
        indicator="iou_difference",
        strengths=strengths_of("iou_difference", strength),
        needs=needs_of("iou_difference"),
        decision=DecisionRule(threshold=1 - 1e-12),
        layer=detector.layers[0],
        layers=detector.layers,
        preprocessing=PreprocessingRecord(**vars(detector.preprocessing)),
        convention=ConventionRecord(outputs=2, defect=outputs.defect, good=outputs.good),
        architecture="a benchmark",
    )


def measure(name: str, rounds: int) -> dict[str, object]:
    """Ratios of one network, by batch size."""
    torch.manual_seed(0)
    seen = Preprocessing((SIDE, SIDE), mean=(0.5,) * 3, std=(0.25,) * 3)
    detector = Detector(NETWORKS[name](), seen, choose_convention(2))
    clean, enhanced = (policy_of(detector, strength) for strength in (0.0, STRENGTH))
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / POLICY).write_text(policy_text(clean), encoding="utf-8")
        export_graph(folder / ONNX_GUARD, clean, detector, {})
        graph = load_onnx_guard(folder, threads=torch.get_num_threads(), verify=False)
        for batch in BATCHES:
            shape = (batch, 3, SIDE, SIDE)
            pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
            x, names = torch.from_numpy(pixels).float() / 255, ["part"] * batch
            guards = {
                job: Guard(folder, policy, detector, {}, None, batch_of(detector, policy))
                for job, policy in (("clean", clean), ("enhanced", enhanced))
            }
            guards |= {
                "onnx": graph,
            }
            jobs = {"bare": lambda x=x: detector.logits(x)}
            jobs |= {
                job: lambda guard=guard, pixels=pixels, names=names: guard.inspect_pixels(
                    pixels, names
                )
                for job, guard in guards.items()
            }
            for job in jobs.values():
                job()  # what a first run prepares is nobody's time
            times, _ = alternate(jobs, rounds * (4 if batch == 1 else 1))
            found[f"batch {batch}"] = {
                "milliseconds": {job: round(1000 * min(taken), 2) for job, taken in times.items()},
                "forwards_clean": ratio(times["clean"], times["bare"]),
                "forwards_enhanced": ratio(times["enhanced"], times["bare"]),
                "onnx_speedup": ratio(times["clean"], times["onnx"]),
            }
    return found


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    options = parser.parse_args()
    rounds = 3 if options.quick else 15
    networks = {name: measure(name, rounds) for name in NETWORKS}
    sizes = [size for network in networks.values() for size in network.values()]
    worst = {
        key: max(size[key]["median"] for size in sizes)
        for key in ("forwards_clean", "forwards_enhanced")
    }
    speedup = min(network["batch 1"]["onnx_speedup"]["median"] for network in networks.values())
    about = {"machine": machine(), "versions": versions("torch", "onnxruntime", "timm")}
    told = worst | {"onnx_speedup": speedup, "networks": networks, "rounds": rounds, "side": SIDE}
    print(json.dumps(told | about))


if __name__ == "__main__":
    main()
