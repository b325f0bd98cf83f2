from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_i3d.figures import contact_sheet, flow_colours
from keras_i3d.figures.contact_sheet import Row


def solid(height: int = 60, width: int = 80, colour: tuple[int, int, int] = (200, 40, 90)) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def row(count: int = 3, *, flow: bool = False, title: str = "läuft", frame: np.ndarray | None = None) -> Row:
    frame = solid() if frame is None else frame
    fields = [np.full((*frame.shape[:2], 2), (3.0, 0.0), np.float32)] * count if flow else None
    return Row(title, ["run/a.mp4", "5 frames"], [frame] * count, [f"{number}.00 s" for number in range(count)], fields)


def boxes(sheet: np.ndarray, colour: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Return (left, top, width, height) of the areas of one colour, from left to right, then down."""
    mask = (np.abs(sheet.astype(int) - colour).max(axis=-1) <= 2).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    found = [tuple(int(value) for value in stats[index, :4]) for index in range(1, count) if stats[index, 4] > 100]
    return sorted(found, key=lambda box: (box[1], box[0]))


def colour_of(vector: tuple[float, float], scale: float) -> tuple[int, ...]:
    return tuple(int(value) for value in flow_colours.paint(np.array([vector], np.float32), scale)[0])


def test_frames_stand_in_columns_and_flow_beneath() -> None:
    sheet = contact_sheet.draw([row(flow=True), row(flow=True)], title="a")
    frames, fields = boxes(sheet, (200, 40, 90)), boxes(sheet, colour_of((3, 0), 3.0))
    assert len(frames) == len(fields) == 6
    lefts = [box[0] for box in frames[:3]]
    assert [box[0] for box in frames[3:]] == [box[0] for box in fields[:3]] == [box[0] for box in fields[3:]] == lefts
    assert len(set(np.diff(lefts))) == 1
    for frame, field in zip(frames, fields, strict=True):
        assert frame[2:] == field[2:] == (176, 132)
        assert 0 < field[1] - (frame[1] + frame[3]) < 10
    assert frames[3][1] > fields[0][1] + fields[0][3]


def test_a_field_without_motion_is_seen_on_the_white_ground() -> None:
    still = Row("a", [], [solid()], [""], [np.zeros((60, 80, 2), np.float32)])
    sheet = contact_sheet.draw([still], title="a")
    ((left, top, width, height),) = boxes(sheet, (200, 40, 90))
    beneath = sheet[top + height + 4 : top + 2 * height + 4, left - 1 : left + width + 1]
    assert (beneath[:, 1:-1] == 255).all()
    assert (beneath[:, [0, -1]] < 255).all()


@pytest.mark.parametrize(
    ("height", "width", "shown"), [(90, 30, (59, 176)), (5, 100, (176, 9)), (400, 400, (176, 176))]
)
def test_frames_of_any_shape_keep_their_proportions(height: int, width: int, shown: tuple[int, int]) -> None:
    sheet = contact_sheet.draw([row(frame=solid(height, width))], title="a")
    assert [box[2:] for box in boxes(sheet, (200, 40, 90))] == [shown] * 3


def test_rows_may_differ_in_frames_shapes_and_flow() -> None:
    sheet = contact_sheet.draw([row(2), row(8, flow=True), row(1, frame=solid(90, 30))], title="a")
    assert len(boxes(sheet, (200, 40, 90))) == 11


def test_nothing_is_drawn_over_the_margin() -> None:
    long = "Handstand ünï 日本 " * 30
    rows = [row(4, flow=True, title=long), Row(long, [long] * 6, [solid()] * 4, [long] * 4)]
    sheet = contact_sheet.draw(rows, title=long, subtitle=long)
    for edge in (sheet[:16], sheet[-16:], sheet[:, :16], sheet[:, -16:]):
        assert (edge == 255).all()


def test_words_do_not_run_into_the_frames() -> None:
    long = "v_HandstandPushups_g01_c01 " * 20
    sheet = contact_sheet.draw([Row(long, [long] * 3, [solid()] * 2, ["", ""])], title="a")
    (first, *_) = boxes(sheet, (200, 40, 90))
    assert (sheet[first[1] - 4 : first[1] + 150, first[0] - 12 : first[0] - 2] == 255).all()


def test_title_label_lines_and_captions_are_written() -> None:
    with_words = contact_sheet.draw([row()], title="a", subtitle="b")
    for without in (
        contact_sheet.draw([row()], title="", subtitle="b"),
        contact_sheet.draw([row()], title="a", subtitle=""),
        contact_sheet.draw([row(title="")], title="a", subtitle="b"),
        contact_sheet.draw([Row("läuft", [], [solid()] * 3, ["0.00 s", "1.00 s", "2.00 s"])], title="a", subtitle="b"),
        contact_sheet.draw([Row("läuft", ["run/a.mp4", "5 frames"], [solid()] * 3, [""] * 3)], title="a", subtitle="b"),
    ):
        assert (without < 200).sum() < (with_words < 200).sum()


def test_the_legend_is_there_with_flow_alone() -> None:
    def has_wheel(sheet: np.ndarray) -> bool:
        head = sheet[:100].astype(int)
        return bool((head.max(axis=-1) - head.min(axis=-1)).max() > 200)

    assert has_wheel(contact_sheet.draw([row(), row(flow=True)], title="a"))
    assert not has_wheel(contact_sheet.draw([row()], title="a"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG"])
def test_a_sheet_is_written_as_a_picture(tmp_path: Path, suffix: str) -> None:
    rows = [row(flow=True)]
    path = tmp_path / f"sheet{suffix}"
    contact_sheet.write(path, rows, title="a", subtitle="b")
    written = cv2.imread(str(path))[..., ::-1].astype(int)
    drawn = contact_sheet.draw(rows, title="a", subtitle="b").astype(int)
    assert written.shape == drawn.shape
    assert np.abs(written - drawn).mean() < (1e-9 if suffix == ".png" else 3)
    assert list(tmp_path.iterdir()) == [path]


def test_opencv_4_writes_in_strokes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "FontFace", raising=False)  # which OpenCV 5 brought
    sheet = contact_sheet.draw([row(flow=True, title="läuft " * 50)], title="train " * 90, subtitle="b")
    assert (sheet[20:60, 28:400] < 100).any()
    assert len(boxes(sheet, (200, 40, 90))) == 3
    for edge in (sheet[:, :16], sheet[:, -16:]):
        assert (edge == 255).all()


@pytest.mark.parametrize("name", ["sheet.svg", "sheet", "sheet.gif"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"a contact sheet is a file \.png, \.jpg, \.jpeg; got '.*sheet"):
        contact_sheet.write(tmp_path / name, [row()], title="a")


def test_an_absent_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no folder .*absent for the contact sheet"):
        contact_sheet.check_path(tmp_path / "absent" / "sheet.png")


def test_rows_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match="a contact sheet has 1 to 100 rows, got 0"):
        contact_sheet.draw([], title="a")
    with pytest.raises(ValueError, match="a contact sheet has 1 to 100 rows, got 101"):
        contact_sheet.draw([row()] * 101, title="a")
    for frames, captions, flow in ((0, 0, None), (2, 1, None), (2, 2, 1)):
        with pytest.raises(ValueError, match="a row needs frames, and a caption and, with flow, a field for each; got"):
            Row("a", [], [solid()] * frames, [""] * captions, None if flow is None else [np.zeros((4, 4, 2))] * flow)
