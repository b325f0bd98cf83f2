import dataclasses

import pytest

from keras_i3d.training.execution import Execution


def test_every_field_explains_itself() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(Execution))


def test_the_machine_decides_by_default() -> None:
    assert (Execution().precision, Execution().repeatable, Execution().on_damage) == ("auto", None, "stop")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"precision": "double"}, "precision must be one of auto, float32, bfloat16, float16; got 'double'"),
        ({"on_damage": "ignore"}, "on_damage must be one of stop, skip; got 'ignore'"),
        ({"checkpoint_steps": 0}, "checkpoint_steps must be at least 1, got 0"),
        ({"checkpoint_steps": 2.5}, "checkpoint_steps must be of type int, got 2.5"),
        ({"jit_compile": "no"}, "jit_compile must be of type bool, got 'no'"),
        ({"repeatable": 1}, "repeatable must be of type bool, got 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Execution(**values)
