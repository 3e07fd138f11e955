import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trust_core.errors import ModelError, SettingsError
from trust_core.model.outputs import Convention, choose_convention, logits_of

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])


@pytest.mark.parametrize(("told", "sign"), [(None, 1), ("defect", 1), ("good", -1)])
def test_one_output(told, sign):
    convention = choose_convention(1, one_logit=told)
    logits = torch.tensor([[2.0], [-3.0]])
    assert convention.log_odds(logits).tolist() == [2.0 * sign, -3.0 * sign]
    assert convention.argmax_defective(logits).tolist() == [sign > 0, sign < 0]


@pytest.mark.parametrize(
    ("told", "z"), [({}, -3.0), ({"defect_index": 0}, 3.0), ({"good_index": [1]}, 3.0)]
)
def test_two_outputs(told, z):
    convention = choose_convention(2, **told)
    assert convention.log_odds(torch.tensor([[2.0, -1.0]])).tolist() == [z]
    assert convention.argmax_defective(torch.tensor([[2.0, -1.0]])).tolist() == [z > 0]


def test_three_outputs_by_hand():
    convention = choose_convention(3, good_index=[0])
    z = [math.log(math.exp(-1) + math.exp(0.5)) - 2, math.log(math.exp(3) + math.e) - 0]
    assert convention.log_odds(LOGITS).tolist() == pytest.approx(z)
    assert convention.argmax_defective(LOGITS).tolist() == [False, True]
    assert choose_convention(3, defect_index=[2, 1]) == convention


@given(
    st.lists(st.floats(-30, 30), min_size=3, max_size=7),
    st.integers(1, 2),
)
def test_p_is_the_softmax_mass_of_the_defects(values, good):
    logits = torch.tensor([values], dtype=torch.float64)
    convention = choose_convention(len(values), good_index=range(good))
    mass = logits.softmax(1)[0, good:].sum()
    assert convention.log_odds(logits).sigmoid().item() == pytest.approx(mass.item(), abs=1e-9)
    inverse = convention.inverted().log_odds(logits).item()
    assert inverse == pytest.approx(-convention.log_odds(logits).item())


def test_three_outputs_must_be_told():
    with pytest.raises(ModelError, match=r"3 outputs: say which mean good, e.g. --good-index 0"):
        choose_convention(3)


@pytest.mark.parametrize(
    ("outputs", "told", "sentence"),
    [
        (1, {"defect_index": 0}, "--one-logit"),
        (1, {"one_logit": "maybe"}, "one of defect, good"),
        (2, {"one_logit": "good"}, "--defect-index 0"),
        (2, {"defect_index": 2}, "no output 2"),
        (3, {"good_index": [-1]}, "no output -1"),
        (3, {"good_index": [0, 1, 2]}, "at least one"),
        (2, {"good_index": [0], "defect_index": 1}, "not both"),
    ],
)
def test_options_that_do_not_fit(outputs, told, sentence):
    with pytest.raises(SettingsError, match=sentence):
        choose_convention(outputs, **told)


def test_flag_chooses_the_same_again():
    assert choose_convention(2, defect_index=0).option() == "--defect-index 0"
    assert choose_convention(1, one_logit="good").option() == "--one-logit good"
    assert Convention(3, (1,), (0, 2)).option() == "--good-index 0,2"


def test_logits_of():
    vector, mask = torch.zeros(2, 3), torch.zeros(2, 1, 8, 8)
    assert logits_of(vector) is not None
    assert logits_of((mask, vector)).shape == (2, 3)
    assert logits_of({"masks": mask, "logits": vector}).shape == (2, 3)
    assert logits_of(torch.zeros(2, 3, 1, 1)).shape == (2, 3)
    assert logits_of(torch.zeros(2)).shape == (2, 1)
    for wrong in (mask, (vector, vector), None, nn.Identity()):
        with pytest.raises(ModelError, match="one tensor of class logits"):
            logits_of(wrong)
