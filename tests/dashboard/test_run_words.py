"""What the Run page says of readings of the outputs, and of a training with few parts."""

from dataclasses import replace

from dashboard.run.check import _other_way_round, mask_sentence
from dashboard.run.train_view import _in_words, _ranking
from trust_core.model.checks.findings import MaskLook
from trust_core.model.outputs import Convention
from trust_core.model.training.epochs import Epoch

EPOCH = Epoch(
    epoch=1,
    close_ups=False,
    label_loss=0.1,
    tune_loss=0.1,
    tune_average_precision=1.0,
    tune_caught=11,
    tune_defective=12,
    tune_false_alarms=2,
    tune_good=40,
)


def test_both_readings_are_said_with_what_each_gets_right():
    counts = {"tp": 3, "tn": 4, "fn": 12, "fp": 13}
    assert _other_way_round(Convention(1, (), (), 1), counts) == (
        "A positive output means good: 25 of 32 photos right. "
        "A positive output means defective, as it is now: 7. Step 1 has the switch."
    )


def test_masks_are_counted_and_their_size_is_told():
    assert mask_sentence(MaskLook((), (0.02, 0.04, 0.3), 38, 40, 2)) == (
        "38 of 40 defective photos have a mask, and 2 good photos; what is marked, here in red, is "
        "12 % of the picture on average, from 2 % to 30 % (3 masks looked at)."
    )
    assert mask_sentence(MaskLook((), (), 1, 3, 0)) == (
        "1 of 3 defective photos has a mask; none of those that may be looked at can be read."
    )


def test_a_training_says_what_it_catches():
    assert _in_words(EPOCH) == "11 of 12 defective photos caught; 2 of 40 good photos alarmed"
    assert _ranking(EPOCH) == "1.00"


def test_too_few_parts_read_as_too_few():
    none = replace(EPOCH, tune_false_alarms=0, tune_good=0)
    assert _in_words(none).endswith(
        "; no good photos among those that choose, too few to tell how many are alarmed"
    )
    assert _ranking(none) == "too few photos"
