import colour_vision
import numpy as np
import pytest

from keras_i3d.figures import heat


@pytest.mark.parametrize("vision", colour_vision.SIMULATED)
def test_more_heat_is_lighter_for_everybody(vision: str) -> None:
    lightness = colour_vision.lab(heat.colours(np.linspace(0, 1, 24)), vision)[:, 0]
    assert np.diff(lightness).min() > 1 and lightness[-1] - lightness[0] > 60


def test_heat_lies_on_its_part_of_the_frame_alone() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    values = np.zeros((8, 10))
    values[3, 4] = 1
    result = heat.over(frame, values, 5, 7)
    outside = np.ones((20, 30), bool)
    outside[5:13, 7:17] = False
    assert (result[outside] == frame[outside]).all()
    assert (result[5, 7] == result[5, 7, 0]).all()  # grey without heat
    assert np.abs(result[8, 11].astype(int) - heat.colours(np.array(1.0))).max() < 45
