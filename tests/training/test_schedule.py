import math

import keras
import pytest

from keras_i3d.training import schedule


@pytest.mark.parametrize("warmup", [0, 30])
def test_the_cosine_is_that_of_keras(warmup: int) -> None:
    theirs = keras.optimizers.schedules.CosineDecay(1.0, 100)
    for step in (0, 1, 29, 30, 50, 99, 100, 150):
        expected = float(theirs(step)) * (min(1.0, (step + 1) / warmup) if warmup else 1)
        assert schedule.factor("cosine", step, 100, warmup_steps=warmup) == pytest.approx(expected, abs=1e-6)


def test_the_rate_warms_up_from_the_first_step_to_the_whole() -> None:
    course = [schedule.factor("constant", step, 10, warmup_steps=4) for step in range(6)]
    assert course == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_pieces_hold_until_their_step_and_the_last_one_goes_on() -> None:
    course = "2:1,4:0.1,5:1e-2"
    assert [schedule.factor(course, step, 9) for step in range(7)] == [1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]
    assert schedule.pieces(course) == [(2, 1.0), (4, 0.1), (5, 0.01)]
    assert schedule.factor(course, 0, 9, warmup_steps=2) == 0.5


def test_every_plateau_divides_by_ten() -> None:
    rates = [schedule.factor("plateau", 7, 9, divisions=count) for count in range(3)]
    assert rates == pytest.approx([1, 0.1, 0.01])
    assert schedule.factor("plateau", 0, 9, warmup_steps=2, divisions=1) == pytest.approx(0.05)
    assert schedule.factor("constant", 7, 9, divisions=3) == 1


@pytest.mark.parametrize(
    ("losses", "patience", "count"),
    [
        ([], 2, 0),
        ([3, 2, 1], 2, 0),
        ([3, 2, 2], 2, 0),  # equal is not lower
        ([3, 2, 2, 2], 2, 1),
        ([3, 2, 4, 3], 2, 1),  # lower than the last one, but not than all before
        ([3, 2, 4, 1, 4, 4], 2, 1),
        ([2, 2, 2, 2, 2], 2, 2),  # four epochs without a lower one are two plateaus
        ([2, 2, 2, 2, 2], 1, 4),
        ([2, math.nan, math.nan, 1], 2, 1),
    ],
)
def test_a_plateau_is_so_many_epochs_without_a_lower_loss(losses: list, patience: int, count: int) -> None:
    assert schedule.plateaus(losses, patience) == count


@pytest.mark.parametrize(
    "course", ["", "linear", "Cosine", "10", "10:", "10:x", "10:0.1,", "-3:1", "1.5:1", "10:-1", "9:1\n"]
)
def test_another_course_is_refused_with_those_that_there_are(course: str) -> None:
    with pytest.raises(ValueError, match=r"unknown schedule .*known: cosine .*, constant, plateau .*97000:1,108000"):
        schedule.check(course)


@pytest.mark.parametrize("course", ["10:1,10:0.1", "10:1,5:0.1", "0:1"])
def test_steps_that_do_not_rise_are_refused(course: str) -> None:
    with pytest.raises(ValueError, match=f"the steps of a schedule must rise, got '{course}'"):
        schedule.check(course)


@pytest.mark.parametrize("course", ["cosine", "constant", "plateau", "97000:1,108000:0.1,115000:0.01", "5:.5"])
def test_the_known_courses_pass(course: str) -> None:
    schedule.check(course)
