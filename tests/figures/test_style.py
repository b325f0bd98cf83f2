import math

import pytest

from keras_i3d.figures.style import duration, percent, run_class, run_colour, shorten, stylesheet, text


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
