"""What several tests share: the real input beside the project, where it is there."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from trust_core.storage.memory_cache import trim_heap

# How fast an example is drawn or judged says something of the machine, nothing of the code.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """The networks of most tests are so small that a second thread only costs time."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module", autouse=True)
def _heap_given_back() -> Iterator[None]:
    """Thousands of tests in one process: what a module's networks took goes back to the system."""
    yield
    gc.collect()
    trim_heap()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and images beside the project; skips where it is absent."""
    if not (SHARED / "models").is_dir():
        pytest.skip("the folder ../shared with real models and images is not here")
    return SHARED
