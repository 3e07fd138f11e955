"""What is audited: safe decoding, data-set layouts as one sample table, archives, groups, roles."""

from trust_core.data.images import read_image, read_mask
from trust_core.data.layouts import read_dataset
from trust_core.data.roles import ROLES
from trust_core.data.samples import SAMPLE_COLUMNS, Dataset, sample_id

__all__ = [
    "ROLES",
    "SAMPLE_COLUMNS",
    "Dataset",
    "read_dataset",
    "read_image",
    "read_mask",
    "sample_id",
]
