import colour_vision
import numpy as np
import pytest

from keras_i3d.figures import flow_colours

RIGHT, DOWN, LEFT, UP = (1, 0), (0, 1), (-1, 0), (0, -1)
EIGHTHS = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=-1)


def colour_of(vector: tuple[float, float], scale: float = 1.0, **options) -> tuple[int, ...]:
    return tuple(int(value) for value in flow_colours.paint(np.array([[vector]], np.float32), scale, **options)[0, 0])


def test_hue_is_direction_and_strength_is_speed() -> None:
    for vector, scale, colour in (
        (RIGHT, 1, (0xD5, 0x5E, 0x00)),
        (DOWN, 1, (0xF0, 0xE4, 0x42)),
        (LEFT, 1, (0x56, 0xB4, 0xE9)),
        (UP, 1, (0x2D, 0x2A, 0x8C)),
        ((0, 0), 1, (255, 255, 255)),
        ((99, 0), 1, (0xD5, 0x5E, 0x00)),  # beyond the scale
        ((2, 0), 4, colour_of((0.5, 0))),
    ):
        assert colour_of(vector, scale) == pytest.approx(colour, abs=1)  # of rounding
    greens = [colour_of((speed, 0))[1] for speed in np.linspace(0, 1, 12)]
    assert greens == sorted(greens, reverse=True)


def test_the_middlebury_wheel_is_that_of_baker_and_others() -> None:
    for degrees, colour in ((0, (255, 0, 0)), (100, (255, 255, 0)), (240, (0, 0, 255))):  # steps 0, 15 and 36 of 54
        vector = (np.cos(np.radians(degrees)), np.sin(np.radians(degrees)))
        assert colour_of(vector, palette="middlebury") == pytest.approx(colour, abs=1)  # of rounding
    assert colour_of((0.5, 0), palette="middlebury") == pytest.approx((255, 127, 127), abs=1)
    assert colour_of((0, 0), palette="middlebury") == (255, 255, 255)


@pytest.mark.parametrize("vision", colour_vision.SIMULATED)
def test_directions_stay_apart_for_colour_blind_people(vision: str) -> None:
    colours = flow_colours.paint(EIGHTHS, 1.0)
    differences = colour_vision.difference(colours[:, np.newaxis], colours[np.newaxis], vision)
    assert differences[~np.eye(8, dtype=bool)].min() > 15  # of any two of eight; 2.3 is just noticeable
    quarters = differences[::2, ::2]
    assert quarters[~np.eye(4, dtype=bool)].min() > 30
    assert colour_vision.difference(colours, np.full((8, 3), 255), vision).min() > 20  # from still


def test_the_middlebury_wheel_does_not_keep_them_apart() -> None:
    colours = flow_colours.paint(EIGHTHS, 1.0, palette="middlebury")
    differences = colour_vision.difference(colours[:, np.newaxis], colours[np.newaxis], "deuteranopia")
    assert differences[~np.eye(8, dtype=bool)].min() < 5


def test_colours_come_round_without_a_seam() -> None:
    angle = np.radians(np.arange(0, 360))
    colours = flow_colours.paint(np.stack([np.cos(angle), np.sin(angle)], axis=-1), 1.0).astype(int)
    steps = np.abs(np.diff(colours, axis=0, append=colours[:1])).max()
    assert steps <= 12  # sRGB is steep where it is dark


@pytest.mark.parametrize("palette", flow_colours.PALETTES)
def test_the_wheel_shows_each_direction_where_it_points_to(palette: str) -> None:
    wheel = flow_colours.wheel(72, palette=palette).astype(int)
    near, middle, far = 4, 36, 67
    for place, vector in (((middle, far), RIGHT), ((far, middle), DOWN), ((middle, near), LEFT), ((near, middle), UP)):
        shown = colour_of((vector[0] * 31 / 36, vector[1] * 31 / 36), palette=palette)
        assert np.abs(wheel[place] - shown).max() < 20  # of the neighbours that are averaged
    assert wheel[middle, middle].min() > 230  # still
    assert (wheel[0, 0] == 255).all()
    assert (flow_colours.wheel(40, ground=20)[0, 0] == 20).all()


def test_the_scale_is_what_one_pixel_in_a_hundred_exceeds() -> None:
    field = np.zeros((10, 100, 2), np.float32)
    field[..., 0] = np.arange(1000).reshape(10, 100) / 100
    assert flow_colours.scale_of([field]) == pytest.approx(9.89, abs=0.02)
    assert flow_colours.scale_of([field * 0.01]) == 1.0  # noise is no motion


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    field = np.zeros((4, 5, 2), np.float32)
    field[1, 2, 0] = value
    with pytest.raises(ValueError, match="flow holds 1 vectors that are no finite numbers"):
        flow_colours.paint(field, 1.0)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"flow must be of shape \(..., 2\), x then y; got \(4, 3\)"):
        flow_colours.paint(np.zeros((4, 3)), 1.0)
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match="scale must be a speed above 0, in pixels per frame; got"):
            flow_colours.paint(np.zeros((4, 2)), scale)
    with pytest.raises(ValueError, match="unknown palette 'hsv'; known: safe, middlebury"):
        flow_colours.paint(np.zeros((4, 2)), 1.0, palette="hsv")
