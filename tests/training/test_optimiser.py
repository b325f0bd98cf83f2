import keras
import pytest

from keras_i3d.training import optimiser
from keras_i3d.training.recipe import Recipe


@pytest.mark.parametrize(("name", "kind"), [("adam", keras.optimizers.Adam), ("sgd", keras.optimizers.SGD)])
def test_the_optimiser_is_the_recipes(name: str, kind: type) -> None:
    built = optimiser.build(Recipe(optimiser=name))
    assert type(built) is kind
    assert not built.use_ema


def test_sgd_has_the_papers_momentum() -> None:
    assert optimiser.build(Recipe(optimiser="sgd")).momentum == 0.9
    assert optimiser.build(Recipe(optimiser="sgd", momentum=0.5)).momentum == 0.5


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_the_weights_average_has_the_recipes_momentum(name: str) -> None:
    built = optimiser.build(Recipe(optimiser=name, average_momentum=0.75))
    assert (built.use_ema, built.ema_momentum, built.ema_overwrite_frequency) == (True, 0.75, None)


def test_in_float16_the_loss_is_scaled() -> None:
    built = optimiser.build(Recipe(optimiser="sgd", average_momentum=0.5), loss_scaling=True)
    assert isinstance(built, keras.optimizers.LossScaleOptimizer)
    assert (built.inner_optimizer.momentum, built.inner_optimizer.use_ema) == (0.9, True)


@pytest.mark.parametrize("loss_scaling", [False, True])
def test_the_learning_rate_can_be_set_at_each_step(loss_scaling: bool) -> None:
    built = optimiser.build(Recipe(optimiser="sgd", momentum=0.0), loss_scaling=loss_scaling)
    variable = keras.Variable(1.0)
    built.build([variable])
    for rate in (0.5, 0.25):
        before = float(variable)
        built.learning_rate = rate
        built.apply([built.scale_loss(1.0) * keras.ops.ones(())], [variable])
        assert float(variable) == pytest.approx(before - rate)
