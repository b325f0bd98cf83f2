import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.figures.evaluation_report import ClassRow, EvaluationReport, Pair, Score, Video, write

NASTY = '<b>"x"&'
NAMES = ["walk", NASTY]


class Page(HTMLParser):
    """Collects tags and words, and refuses tags that do not close in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.markup = path.read_text("utf-8")
        self.tags, self.words, self.opened = [], "", []
        self.feed(self.markup)
        self.close()
        assert not self.opened

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.opened.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, data) -> None:
        self.words += data

    def find(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def video(name: str = "a.mp4", frames: int | None = 4) -> Video:
    pictures = None if frames is None else np.zeros((frames, 8, 8, 3), np.uint8)
    return Video(name, [(NASTY, 0.75), ("walk", 0.2), ("run", 0.04), ("fourth", 0.01)], pictures)


def report(**changes) -> EvaluationReport:
    shares = {"Top-1": 0.75, "Top-5": 1.0}
    said = EvaluationReport(
        title="Evaluation: rgb + flow",
        introduction="20 videos.",
        scores=[Score("rgb", "rgb/best.keras", shares), Score("flow", "f", {"Top-1": 0.5, "Top-5": 1.0})],
        chance=0.5,
        classes=[ClassRow("walk", 10, 0.5, NASTY, 5), ClassRow(NASTY, 10, 1.0)],
        pairs=[Pair("walk", NASTY, 5, 10, [video()])],
        class_names=NAMES,
        confusion=np.array([[5, 5], [0, 10]]),
        histories={"rgb": [{"epoch": n, "loss": 1 / n, "top1": 0.5} for n in (1, 2)]},
        facts=[("Records", "records/")],
    )
    return dataclasses.replace(said, **changes)


@pytest.fixture
def page(tmp_path: Path):
    def written(**changes) -> Page:
        write(tmp_path / "report.html", report(**changes))
        return Page(tmp_path / "report.html")

    return written


def test_every_section_is_there_and_named(page) -> None:
    written = page()
    ids = [attributes["id"] for attributes in written.find("h2")]
    assert ids == ["result", "pairs", "classes", "confusion", "learning", "facts"]
    assert [attributes["aria-labelledby"] for attributes in written.find("section")] == ids


def test_scores_stand_beside_chance_and_in_a_table(page) -> None:
    written = page(splits=[Score("flow, test1", "", {"Top-1": 0.125, "Top-5": 0.9})])
    bars = [attributes["aria-label"] for attributes in written.find("div") if attributes.get("role") == "img"]
    assert [bar.split(" of ")[0] for bar in bars] == ["rgb: 75.0\u00a0%", "flow: 50.0\u00a0%", "Chance: 50.0\u00a0%"]
    for words in ("1.5 × chance", "1.0 × chance", "flow, test1", "12.5\u00a0%", "90.0\u00a0%"):
        assert words in written.words


def test_confused_pairs_show_film_strips_and_three_answers(page) -> None:
    written = page(pairs=[Pair("walk", NASTY, 5, 10, [video(), video("b.mp4", None)])])
    assert f"walk taken for {NASTY}5 of 10 videos (50\u00a0%)" in written.words
    (strip,) = written.find("img")
    assert strip["src"].startswith("data:image/png;base64,")
    assert strip["alt"] == "frames of a.mp4, from first to last"
    assert "b.mp4" in written.words
    assert "run" in written.words and "fourth" not in written.words


def test_classes_stand_hardest_first_and_many_are_folded(page) -> None:
    rows = [ClassRow(f"class {n}", 4, n / 40, "walk", 1) for n in range(40)]
    written = page(classes=rows)
    assert written.words.index("class 0") < written.words.index("class 1") < written.words.index("25 easier ones")
    assert written.words.index("25 easier ones") < written.words.index("class 39")
    assert written.words.count("walk (1)") == 40
    assert len(written.find("details")) == 1
    assert not page().find("details")


def test_without_chance_confusions_and_pairs_the_page_is_of_precisions(page) -> None:
    precision = [Score("rgb", "r", {"Mean average precision": 0.3})]
    rows = [ClassRow("walk", 3, 0.25)]
    written = page(
        scores=precision, chance=None, confusion=None, pairs=[], classes=rows, class_share="Average precision",
        histories={}, facts=[],
    )  # fmt: skip
    assert [attributes["id"] for attributes in written.find("h2")] == ["result", "classes"]
    assert "guessing" not in written.words and "× chance" not in written.words
    assert "Most taken for" not in written.words
    assert "Average precision" in written.words
    assert not written.find("u")


def test_of_many_classes_the_most_confused_are_drawn_and_the_others_together(page) -> None:
    counts = 10 * np.eye(60, dtype=int) + np.roll(np.eye(60, dtype=int), 1, axis=1)
    counts[50, 3] = 7
    counts[0, 1] = 2
    names = [f"class {n:02}" for n in range(60)]
    written = page(class_names=names, confusion=counts)
    assert "The other 36 classes are taken together in the last row and column." in written.words
    assert "class 50 taken for class 03: 7 of 18 (39\u00a0%)" in written.words
    assert "class 00 taken for class 01: 2 of 12" in written.words
    assert re.search(r"all others taken for all others: 39\d of 396", written.words)
    assert "confusion matrix, 600 of 668 right" in written.markup  # those among the others are not
    assert "taken together" not in page().words


def test_more_classes_than_fit_scroll(page) -> None:
    names = [f"class {n}" for n in range(20)]
    written = page(class_names=names, confusion=np.eye(20, dtype=int))
    (figure,) = [attributes for attributes in written.find("figure") if "scroll" in attributes["class"]]
    assert figure["tabindex"] == "0"


def test_whatever_the_user_names_is_escaped(page) -> None:
    def named(name: str) -> Page:
        return page(
            title=name,
            introduction=name,
            scores=[Score(name, name, {name: 0.5})],
            splits=[Score(name, "", {name: 0.5})],
            classes=[ClassRow(name, 1, 0.0, name, 1)],
            class_share=name,
            pairs=[Pair(name, name, 1, 1, [Video(name, [(name, 1.0)], np.zeros((2, 8, 8, 3), np.uint8))])],
            class_names=[name, name],
            histories={name: [{"epoch": 1, "loss": 1.0}]},
            facts=[(name, name)],
        )

    plain, nasty = named("plain"), named(NASTY)
    shapes = [[(tag, attributes.keys()) for tag, attributes in written.tags] for written in (plain, nasty)]
    assert shapes[0] == shapes[1]
    assert nasty.words.count(NASTY) == plain.words.count("plain")
    assert '<b>"' not in nasty.markup


def test_the_page_fetches_nothing_and_runs_no_script(page) -> None:
    written = page()
    assert not re.search(r"https?:|//\w|@import|url\(", re.sub(r"base64,[\w+/=]+", "", written.markup))
    assert not written.find("script")
    (policy,) = [attributes for attributes in written.find("meta") if "http-equiv" in attributes]
    assert policy["content"].startswith("default-src 'none'; img-src data:")


@pytest.mark.parametrize(
    "changes",
    [{"scores": [Score("rgb", "", {"Top-1": 75.0})]}, {"splits": [Score("test1", "", {"Top-1": -0.1})]},
     {"classes": [ClassRow("walk", 1, float("nan"))]}],
)  # fmt: skip
def test_percentages_in_place_of_shares_are_refused(changes) -> None:
    with pytest.raises(ValueError, match=r"shares must lie in \[0, 1\]; received \{'(Top-1 of (rgb|test1)|class walk)"):
        report(**changes)


def test_a_report_has_a_score() -> None:
    with pytest.raises(ValueError, match="a report needs one score or more"):
        report(scores=[])


def test_a_failed_write_leaves_the_older_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")
    with pytest.raises(ValueError, match="counts must be"):
        write(path, report(confusion=np.eye(3, dtype=int)))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
