import math
from itertools import combinations

import pytest
from colour_vision import SIMULATED, coded, contrast, difference

from keras_i3d.figures.style import (
    _RUN_COLOURS,
    _RUN_COLOURS_ON_DARK,
    clock,
    drawing_on_dark,
    duration,
    percent,
    run_class,
    run_colour,
    shorten,
    stylesheet,
    text,
)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.04, "0.0 s"),
        (3.21, "3.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (725, "12 min 5 s"),
        (3599.9, "1 h 0 min"),
        (7400, "2 h 3 min"),
        (math.nan, "–"),
    ],
)
def test_durations_have_the_two_units_that_matter(seconds, written):
    assert duration(seconds) == written


def test_a_percentage_has_a_space_that_does_not_break():
    assert percent(0.975) == "97.5\u00a0%"
    assert percent(1, digits=0) == "100\u00a0%"
    assert percent(math.nan) == "–"


def test_text_is_escaped_and_can_be_written_as_utf8():
    assert text('<b>"x"&\'') == "&lt;b&gt;&quot;x&quot;&amp;&#x27;"
    assert text("a\x00b\udcffc\nd") == "a\ufffdb\ufffdc\nd"
    assert text("sauter à la corde 跳绳").encode()


def test_short_words_stay_as_they_are():
    assert shorten("grows", 5) == "grows"
    assert shorten("shrinks", 5) == "shri…"


def test_the_stylesheet_colours_every_run_light_and_dark():
    css = stylesheet()
    assert css.count("{") == css.count("}")
    light, dark = css.split("@media (prefers-color-scheme:dark)")
    for run_index in range(7):
        assert f"--{run_class(run_index)}:{run_colour(run_index)}" in light
        assert f"--{run_class(run_index)}:#" in dark


def test_the_colours_come_round_after_seven_runs():
    assert run_class(7) == run_class(0)
    assert len({run_colour(run_index) for run_index in range(7)}) == 7


@pytest.mark.parametrize(
    ("seconds", "digits", "written"),
    [
        (0, 0, "0:00"),
        (7.26, 1, "0:07.3"),
        (59.96, 1, "1:00.0"),
        (725.4, 0, "12:05"),
        (3599.6, 0, "1:00:00"),
        (3723.25, 2, "1:02:03.25"),
        (36_000, 0, "10:00:00"),
    ],
)
def test_times_in_a_video_are_those_of_a_clock(seconds: float, digits: int, written: str) -> None:
    assert clock(seconds, digits=digits) == written


@pytest.mark.parametrize("sight", SIMULATED)
def test_six_colours_are_told_apart_without_one_kind_of_cones(sight: str) -> None:
    light, dark = (list(map(coded, colours[:6])) for colours in (_RUN_COLOURS, _RUN_COLOURS_ON_DARK))
    assert min(difference(one, other, sight) for one, other in combinations(light, 2)) > 15
    assert min(difference(one, other, sight) for one, other in combinations(dark, 2)) > 10
    assert min(contrast(colour, coded("#ffffff")) for colour in light) > 2.2
    assert min(contrast(colour, coded("#1d2126")) for colour in dark) > 5


def test_a_drawing_on_dark_has_the_dark_pages_colours_written_out() -> None:
    css = drawing_on_dark()
    assert ".ink{fill:#e8eaed}" in css
    assert f".run-1.line{{stroke:{_RUN_COLOURS_ON_DARK[1]}}}" in css
    assert "var(" not in css
