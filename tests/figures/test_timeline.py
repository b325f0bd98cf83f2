import base64
from itertools import combinations
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from keras_i3d.figures.timeline import Curves, timeline_figure

SVG = "{http://www.w3.org/2000/svg}"


def made(probabilities, *, duration_s: float | None = None, names=None) -> Curves:
    probabilities = np.asarray(probabilities, np.float32)
    count, classes = probabilities.shape
    edges = np.linspace(0, duration_s or count, count + 1)
    names = names or [f"class {index}" for index in range(classes)]
    return Curves(names, probabilities, (edges[1:] + edges[:-1]) / 2, edges)


def drawn(curves: Curves, stills=(), **options) -> ElementTree.Element:
    return ElementTree.fromstring(timeline_figure(curves, stills, title="a.mp4", **options))


def written(root) -> list[str]:
    """Return the words of a drawing; a shortened name as the whole in its tooltip."""
    texts = root.iter(SVG + "text")
    return [text.findtext(SVG + "title") or "".join(text.itertext()) for text in texts]


def lines(root):
    return [
        np.array([pair.split(",") for pair in line.get("points").split()], float)
        for line in root.iter(SVG + "polyline")
    ][::-1]  # the first class is drawn last, over the others


def stills(count: int = 40, shape: tuple[int, ...] = (60, 80, 3)):
    return tuple((index / 4, np.full(shape, 5 * index, np.uint8)) for index in range(count))


def strip(root) -> np.ndarray:
    (image,) = root.iter(SVG + "image")
    content = base64.b64decode(image.get("href").split(",")[1])
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_a_curve_lies_where_the_probabilities_say() -> None:
    root = drawn(made([[0.5, 0.5], [1, 0], [0.25, 0.75]]))
    first, second = lines(root)
    grid = sorted({float(line.get("y1")) for line in root.iter(SVG + "line") if line.get("class") in ("grid", "axis")})
    top, bottom = grid[0], grid[4]
    assert (bottom - first[1:4, 1]) / (bottom - top) == pytest.approx([0.5, 1, 0.25], abs=1e-3)
    assert (bottom - second[1:4, 1]) / (bottom - top) == pytest.approx([0.5, 0, 0.75], abs=1e-3)
    left, right = first[0, 0], first[-1, 0]
    assert (first[1:4, 0] - left) / (right - left) == pytest.approx([1 / 6, 3 / 6, 5 / 6], abs=1e-3)
    assert first[0, 1] == first[1, 1]
    assert first[-1, 1] == first[-2, 1]


def test_the_bar_tells_the_class_on_top_and_when() -> None:
    root = drawn(made([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.9, 0.1]]))
    pieces = [rect for rect in root.iter(SVG + "rect") if rect.find(SVG + "title") is not None]
    assert [piece.findtext(SVG + "title") for piece in pieces] == [
        "class 0, 0:00.0 to 0:02.0",
        "class 1, 0:02.0 to 0:03.0",
        "class 0, 0:03.0 to 0:04.0",
    ]
    assert pieces[0].get("fill") == pieces[2].get("fill") != pieces[1].get("fill")
    ends = [float(piece.get("x")) + float(piece.get("width")) for piece in pieces]
    assert ends[:2] == pytest.approx([float(piece.get("x")) for piece in pieces[1:]], abs=0.2)


def test_classes_differ_in_colour_in_dashes_and_in_number() -> None:
    root = drawn(made(np.eye(6) * 0.9 + 0.01))
    polylines = list(root.iter(SVG + "polyline"))
    assert len(polylines) == 6
    assert len({line.get("stroke") for line in polylines}) == 6
    assert len({line.get("stroke-dasharray") for line in polylines}) == 6
    numbers = [text for text in written(root) if text in set("123456")]
    assert sorted(set(numbers)) == list("123456")
    assert all(numbers.count(number) == 3 for number in "123456")  # in the bar, at the peak, in the legend


def test_numbers_on_the_curves_do_not_lie_on_each_other_nor_on_the_axis() -> None:
    bumps = np.exp(-(((np.arange(60) - 20) / 9) ** 2))
    root = drawn(made(np.stack([bumps * height for height in (0.42, 0.4, 0.41, 0.1)], axis=1)))
    spots = [
        (float(circle.get("cx")), float(circle.get("cy")))
        for circle in root.iter(SVG + "circle")
        if float(circle.get("cy")) > 90 and float(circle.get("cx")) < 700
    ]
    assert len(spots) == 4
    assert min(np.hypot(one[0] - other[0], one[1] - other[1]) for one, other in combinations(spots, 2)) >= 16
    falling = drawn(made([[1.0], [0.5], [0.2]]))
    assert all(float(circle.get("cx")) > 55 for circle in falling.iter(SVG + "circle"))


def test_the_longest_on_top_are_drawn_and_the_rest_is_counted() -> None:
    probabilities = np.full((10, 9), 0.02)
    probabilities[:7, 4], probabilities[7:, 2], probabilities[0, 8] = 0.7, 0.6, 0.3
    root = drawn(made(probabilities))
    words = written(root)
    assert [word for word in words if word.startswith("class")] == ["class 4", "class 2", "class 8"]
    assert "6 other classes, at most 2.0\u00a0%" in words
    assert "peak 70\u00a0% at 0:00, on top 0:07.0" in words
    assert "peak 30\u00a0% at 0:00, never on top" in words
    assert root.get("aria-label") == "a.mp4; on top: class 4 for 7.0 s, class 2 for 3.0 s"
    words = written(drawn(made(probabilities), most=1))
    assert "8 other classes, at most 60.0\u00a0%" in words
    one = written(drawn(made([[1.0, 0.0]])))
    assert "one other class, at most 0.0\u00a0%" in one
    for most in (0, 7):
        with pytest.raises(ValueError, match=f"most must be 1 to 6, the curves that are told apart; got {most}"):
            drawn(made(probabilities), most=most)


def test_classes_that_are_on_top_but_not_drawn_are_grey_in_the_bar() -> None:
    root = drawn(made(np.eye(8)), most=2)
    pieces = [rect for rect in root.iter(SVG + "rect") if rect.find(SVG + "title") is not None]
    assert [piece.get("class") for piece in pieces] == ["dot run-0", "dot run-1", *["track"] * 6]


def test_frames_of_the_strip_stand_over_their_times() -> None:
    root = drawn(made(np.ones((10, 1)), duration_s=10), stills())
    picture = strip(root)
    (image,) = root.iter(SVG + "image")
    (line,) = lines(root)
    assert float(image.get("x")) == line[0, 0]
    assert float(image.get("x")) + float(image.get("width")) == line[-1, 0]
    for share in (0.07, 0.5, 0.93):
        level = picture[10, round(share * picture.shape[1])][0]
        assert level / 5 / 4 == pytest.approx(10 * share, abs=10 / 7 / 2 + 0.25)  # seven frames, each at its middle


@pytest.mark.parametrize("shape", [(160, 90, 3), (90, 160, 3), (12, 240, 3), (200, 20, 3)])
def test_strips_of_all_shapes_keep_theirs(shape: tuple[int, ...]) -> None:
    root = drawn(made(np.ones((4, 1))), stills(shape=shape))
    (image,) = root.iter(SVG + "image")
    picture = strip(root)
    ratio = float(image.get("width")) / float(image.get("height"))
    assert picture.shape[1] / picture.shape[0] == pytest.approx(ratio, rel=0.1)
    assert float(image.get("height")) < 160


@pytest.mark.parametrize(
    ("duration_s", "first", "last", "unit"),
    [
        (0.8, "0:00.0", "0:00.8", "time, min:s"),
        (2, "0:00.0", "0:02.0", "time, min:s"),
        (75, "0:00", "1:10", "time, min:s"),
        (3000, "0:00", "50:00", "time, min:s"),
        (3700, "0:00", "1:00:00", "time, h:min:s"),
        (40_000, "0:00", "11:00:00", "time, h:min:s"),
    ],
)
def test_ticks_fit_any_length(duration_s: float, first: str, last: str, unit: str) -> None:
    root = drawn(made(np.ones((3, 1)), duration_s=duration_s))
    ticks = [text.text for text in root.iter(SVG + "text") if text.get("text-anchor") == "middle" and ":" in text.text]
    *ticks, said = ticks
    assert (ticks[0], ticks[-1], said) == (first, last, unit)
    assert 3 <= len(ticks) <= 12


def test_an_hour_is_drawn_as_means_in_a_band_with_no_more_points_than_pixels_show() -> None:
    values = np.full((11_000, 2), 0.25)
    values[5000, 0] = 1  # one window of 11,000
    root = drawn(made(values, duration_s=3600))
    first, second = lines(root)
    assert len(first) <= 641
    band, flat = ([pair.split(",") for pair in band.get("points").split()] for band in root.iter(SVG + "polygon"))
    band = np.array(flat, float)  # the first class is drawn last
    top = min(float(line.get("y1")) for line in root.iter(SVG + "line"))
    assert band[:, 1].min() == pytest.approx(top, abs=0.1)
    quarter = second[0, 1]
    assert (np.delete(band[:, 1], band[:, 1].argmin()) == quarter).all()
    windows = 11_000 / 640
    assert first[:, 1].min() == pytest.approx(quarter - (quarter - top) / windows, abs=0.6)
    assert len(ElementTree.tostring(root)) < 100_000


def test_names_are_escaped_and_shortened_with_the_whole_beside() -> None:
    name = "<script>&\x00" + "long " * 20
    root = drawn(made([[1.0]], names=[name]), note="a & b")
    assert name.replace("\x00", "\ufffd") in written(root)
    assert not list(root.iter(SVG + "script"))
    assert "a & b" in written(root)
    visible = [
        "".join(text.itertext()).removeprefix(name.replace("\x00", "\ufffd")) for text in root.iter(SVG + "text")
    ]
    assert max(map(len, visible)) < 100


def test_a_dark_viewer_sees_a_dark_drawing() -> None:
    root = drawn(made([[1.0]]))
    css = root.findtext(SVG + "style")
    assert css.startswith("@media (prefers-color-scheme:dark){")
    assert css.count("{") == css.count("}")
    assert "var(" not in css
    classes = {name for one in root.iter() for name in one.get("class", "").split()}
    assert classes <= {"ground", "ink", "faint", "grid", "axis", "line", "dot", "ring", "track", "run-0"}
    assert all(f".{name}" in css for name in classes)
