"""Images are decoded by processes exactly as they are in this one."""

import os
import signal

import numpy as np
import pytest

from tests.small import small_dataset, small_detector
from trust_core.audit.decode import CHUNK, decoding_pool, read_batch, read_images
from trust_core.errors import EngineError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return small_dataset(tmp_path_factory.mktemp("data") / "images", 2 * CHUNK + 7)


@pytest.fixture(scope="module")
def preprocessing():
    return small_detector().preprocessing


def children(name: str) -> list[int]:
    """Processes of this one that run a module."""
    found = os.popen(f"ps --no-headers -o pid,args --ppid {os.getpid()}").read().splitlines()
    return [int(line.split()[0]) for line in found if name in line]


def test_processes_give_the_pixels_and_reasons_of_this_one(dataset, preprocessing, tmp_path):
    paths = [*dataset.samples["path"], "none.png"]
    ids = [str(index) for index in range(len(paths))]
    alone = read_images(dataset.root, ids, paths, preprocessing)
    with decoding_pool(2) as pool:
        assert len(children("audit.decode")) == 2
        pooled = read_images(dataset.root, ids, paths, preprocessing, pool=pool)
        contents = [(dataset.root / path).read_bytes() for path in paths[:-1]]
        sent = read_images(tmp_path, ids[:-1], paths[:-1], preprocessing, contents, pool)
        rows = read_batch(dataset, preprocessing, slice(3, 9), pool)
    assert children("audit.decode") == []
    assert "not there" in alone.reasons[-1]
    for found, of in ((pooled, alone), (sent, alone)):
        count = len(found.sample_ids)
        np.testing.assert_array_equal(found.pixels, of.pixels[:count])
        assert list(found.reasons) == list(of.reasons[:count])
        assert list(found.sample_ids) == ids[:count]
    np.testing.assert_array_equal(rows.pixels, alone.pixels[3:9])


def test_a_process_that_dies_is_one_sentence(dataset, preprocessing):
    with decoding_pool(1) as pool:
        (child,) = children("audit.decode")
        os.kill(child, signal.SIGKILL)
        with pytest.raises(EngineError, match="decodes images has died"):
            read_batch(dataset, preprocessing, slice(0, None), pool)
