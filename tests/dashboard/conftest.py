"""A workspace of its own, and the audit `demo` in it."""

from pathlib import Path

import pytest
from streamlit import config

from dashboard import cache
from tests.fakes import Part, passed_parts, write_fake_audit
from trust_core.storage.audit_files import Audit


@pytest.fixture(scope="session", autouse=True)
def configured() -> None:
    """Streamlit's configuration, read once, is read before a test goes to another folder."""
    config.get_config_options()


@pytest.fixture(scope="session", autouse=True)
def cold() -> None:
    """No page of a test has PyTorch loaded for parts that the test never opens."""
    cache.WARM_AFTER = 3600.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUST_CORE_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.fixture
def demo(workspace: Path) -> Audit:
    """10 missed defects and 5 good parts on `tune`; others elsewhere; one of each trouble."""
    missed = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
    parts = passed_parts(missed, [0.65, 0.04, 0.03, 0.02, 0.01])
    parts += [Part(True, 0.9, (0.1,)), Part(False, 0.8, (0.1,)), Part(False, float("nan"), (0.1,))]
    parts += passed_parts([float("nan")], [0.5], role="certify")
    return write_fake_audit(workspace / "demo", parts)
