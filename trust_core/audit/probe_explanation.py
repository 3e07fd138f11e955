"""Where the second reading sees a defect on one image of an audit; the model runs once."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trust_core.decision.indicators.probe_reading import DepthReading, loudest_depth
from trust_core.errors import SettingsError
from trust_core.explanation.probe_map import ProbeMap, probe_map
from trust_core.storage.audit_files import Audit

if TYPE_CHECKING:  # brings PyTorch, which who shows the map has no use for
    from trust_core.model.detector import Detector


@dataclass(frozen=True)
class ProbeExplanation:
    """The loudest depth of an image, and where on the image it is loud."""

    reading: DepthReading
    map: ProbeMap


def explain_probe(
    audit: Audit, detector: "Detector", sample_id: str, path: str
) -> ProbeExplanation:
    """The map of the probe at the depth that speaks loudest.

    Raises:
        SettingsError: the audit has no probes, or another network's.
        UnreadableImage: the photograph cannot be read.
    """
    import torch

    from trust_core.audit.reopen import network_input

    reading = loudest_depth(audit, sample_id)
    if reading is None:
        raise SettingsError(
            "This audit has no second reading of this image. It needs the activations that audits "
            "keep now, and enough labelled images for choosing."
        )
    maps = detector.depth_maps(network_input(audit, detector, path)[None])
    if reading.layer not in maps:
        raise SettingsError(
            f"The network has no depth {reading.layer} any more; run the audit again, into a new "
            "folder."
        )
    weights = torch.from_numpy(reading.weights).to(detector.device)
    found = probe_map(maps[reading.layer][0], weights, reading.offset, reading.probe_score)
    return ProbeExplanation(reading, found)
