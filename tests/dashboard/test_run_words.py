"""What the Run page says of readings of the outputs, and of a training with few parts."""

from dataclasses import replace

from dashboard.run.check import _other_way_round
from dashboard.run.train_view import _in_words, _ranking
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
        "A positive output means good: 25 of 32 images right. "
        "A positive output means defective, as it is now: 7. Step 1 has the switch."
    )


def test_a_training_says_what_it_catches():
    assert _in_words(EPOCH) == "11 of 12 defective parts caught; 2 of 40 good parts alarmed"
    assert _ranking(EPOCH) == "1.00"


def test_too_few_parts_read_as_too_few():
    none = replace(EPOCH, tune_false_alarms=0, tune_good=0)
    assert _in_words(none).endswith(
        "; no good parts among those that choose, too few to tell how many are alarmed"
    )
    assert _ranking(none) == "too few parts"
