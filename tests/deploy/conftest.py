"""A guard of a small audit, one for each module of tests."""

import pytest

from tests.deploy.ware import Ware, make_ware
from trust_core.deploy.guard import Guard


@pytest.fixture(scope="module")
def ware(tmp_path_factory: pytest.TempPathFactory) -> Ware:
    return make_ware(tmp_path_factory.mktemp("ware"), 60)


@pytest.fixture(scope="module")
def guard(ware: Ware, tmp_path_factory: pytest.TempPathFactory) -> Guard:
    return ware.export(tmp_path_factory.mktemp("guards") / "one")
