import keras
import pytest

from keras_i3d.training import optimiser
from keras_i3d.training.recipe import Recipe


@pytest.mark.parametrize(("name", "kind"), [("adam", keras.optimizers.Adam), ("sgd", keras.optimizers.SGD)])
def test_the_optimiser_is_the_recipes(name: str, kind: type) -> None:
    assert type(optimiser.build(Recipe(optimiser=name), 10)) is kind


def test_sgd_has_the_papers_momentum() -> None:
    assert optimiser.build(Recipe(optimiser="sgd"), 10).momentum == 0.9


def test_the_learning_rate_falls_to_zero_over_the_run() -> None:
    built = optimiser.build(Recipe(learning_rate=0.1), 10)
    course = [float(built._learning_rate(step)) for step in (0, 5, 10)]
    assert course == pytest.approx([0.1, 0.05, 0.0], abs=1e-7)
