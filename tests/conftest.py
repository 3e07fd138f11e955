"""What several tests share: the real input beside the project, where it is there."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and images beside the project; skips where it is absent."""
    if not (SHARED / "models").is_dir():
        pytest.skip("the folder ../shared with real models and images is not here")
    return SHARED
