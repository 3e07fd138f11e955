"""What the batch function does for a GPU's sake, on the CPU."""

import pytest
import torch

from trust_core.audit.score import grouped, in_one_copy


def test_tensors_of_any_type_come_in_one_copy():
    torch.manual_seed(0)
    given = [
        torch.rand(3, 5).half(),
        torch.tensor([True, False, True]),
        torch.rand(2, 3, 4).double().transpose(0, 2),
        torch.randint(9, (4, 6)),
        torch.rand(7),
    ]
    for found, tensor in zip(in_one_copy(given), given, strict=True):
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)


@pytest.mark.parametrize(
    ("room", "parts"), [(0, [1, 1, 1, 1, 1]), (5, [2, 2, 1]), (6, [3, 2]), (99, [5])]
)
def test_strengths_share_a_forward_where_there_is_room(room, parts):
    strengths = (0.5, 1.0, 2.0, 4.0, 8.0)
    images = (torch.full((2, 1, 3, 3), strength) for strength in strengths)
    found = list(grouped(strengths, images, room))
    assert [len(part) for part, _ in found] == parts
    assert [strength for part, _ in found for strength in part] == list(strengths)
    for part, x in found:
        assert x[:, 0, 0, 0].tolist() == [strength for strength in part for _ in range(2)]
