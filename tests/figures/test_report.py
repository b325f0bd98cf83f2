import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from keras_i3d.figures.report import Example, Report, RunResult, write

NASTY = '<b>"x"&'
NAMES = ["moves left", NASTY]
MP4 = b"\0\0\0\x18ftypisom" + b"\x01" * 40
VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """Collects the tags with their attributes and the words, and refuses tags that do not close in order."""

    def __init__(self, path: Path):
        super().__init__()
        self.markup = path.read_text(encoding="utf-8")
        self.tags, self.words, self.opened = [], "", []
        self.feed(self.markup)
        self.close()
        assert not self.opened

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        self.words += data

    def find(self, tag, **wanted):
        return [attrs for name, attrs in self.tags if name == tag and wanted.items() <= attrs.items()]


def run(name="I3D", top1=0.95, **changes):
    history = [{"epoch": number, "loss": 1 / number, "top1": 0.5, "val_top1": 0.4} for number in (1, 2, 3)]
    confusion = np.array([[10, 0], [1, 9]])
    result = RunResult(name, f"about {name}", history, top1, 0.9, confusion, 12_294_072, 725.0)
    return dataclasses.replace(result, **changes)


def example(**changes):
    answers = {"I3D": [(NASTY, 0.9), ("moves left", 0.1)], "per-frame": [("moves left", 0.6), (NASTY, 0.4)]}
    shown = Example(np.zeros((4, 8, 8, 3), np.uint8), None, NASTY, answers)
    return dataclasses.replace(shown, **changes)


def report(**changes):
    said = Report(
        title="Motion alone",
        introduction="First paragraph.\n\nSecond one.",
        facts=[("seed", "0")],
        class_names=NAMES,
        runs=[run(), run("per-frame", 0.5)],
        examples=[example()],
        chance=0.5,
        served_answer={"answers": [{"class": NASTY, "probability": 0.9}]},
    )
    return dataclasses.replace(said, **changes)


@pytest.fixture
def page(tmp_path):
    def written(**changes) -> Page:
        write(tmp_path / "report.html", report(**changes))
        return Page(tmp_path / "report.html")

    return written


def test_every_section_is_there_and_named(page):
    written = page()
    for attributes in written.find("section"):
        assert len(written.find("h2", id=attributes["aria-labelledby"])) == 1
    ids = [attributes["id"] for attributes in written.find("h2")]
    assert ids == ["result", "examples", "learning", "confusion", "served", "facts"]
    assert written.find("html", lang="en-GB")


def test_the_headline_sets_each_run_beside_chance(page):
    written = page()
    bars = [attributes["aria-label"] for attributes in written.find("div", **{"class": "track"})]
    assert bars == [
        "I3D: 95.0\u00a0% of the test videos; chance: 50.0\u00a0%",
        "per-frame: 50.0\u00a0% of the test videos; chance: 50.0\u00a0%",
        "Chance: 50.0\u00a0% of the test videos; chance: 50.0\u00a0%",
    ]
    for words in ("19 of 20 videos", "1.9 × chance", "1.0 × chance", "12,294,072", "12 min 5 s"):
        assert words in written.words
    assert '<i style="width:95.00%">' in written.markup


def test_right_and_wrong_are_said_by_sign_and_word(page):
    written = page()
    assert written.words.count("✓ right") == written.words.count("✗ wrong") == 1
    assert "I3D: 1 of 1 right" in written.words
    assert "per-frame: 0 of 1 right" in written.words


def test_three_answers_are_shown_with_bars(page):
    five = [(f"class {index}", 0.5 / (index + 1)) for index in range(5)]
    written = page(examples=[example(answers={"I3D": five})])
    assert "class 2" in written.words
    assert "class 3" not in written.words
    assert '<i style="width:25.0%">' in written.markup


def test_a_run_without_answers_is_not_called_wrong(page):
    words = page(examples=[example(answers={"I3D": []})]).words
    assert "no answer" in words
    assert "✗" not in words
    assert "I3D: 0 of 0 right" in words


def test_an_mp4_file_plays_muted_in_a_loop(page, tmp_path):
    (tmp_path / "a.mp4").write_bytes(MP4)
    (video,) = page(examples=[example(video_path=tmp_path / "a.mp4")]).find("video")
    assert {"autoplay", "loop", "muted", "playsinline"} <= video.keys()
    assert base64.b64decode(video["src"].removeprefix("data:video/mp4;base64,")) == MP4
    assert video["aria-label"] == f"video of the class {NASTY}"


@pytest.mark.parametrize("name", ["absent.mp4", "a.avi", None])
def test_without_an_mp4_file_the_film_strip_stands_alone(page, tmp_path, name):
    (tmp_path / "a.avi").write_bytes(MP4)
    written = page(examples=[example(video_path=name and str(tmp_path / name))])
    assert not written.find("video")
    (strip,) = written.find("img")
    assert strip["src"].startswith("data:image/png;base64,")
    assert NASTY in strip["alt"]


def test_the_page_names_no_address_outside_itself(page, tmp_path):
    (tmp_path / "a.mp4").write_bytes(MP4)
    written = page(examples=[example(video_path=tmp_path / "a.mp4")])
    assert not re.search(r"https?:|//\w|@import|url\(", re.sub(r"base64,[\w+/=]+", "", written.markup))
    sources = [attributes[name] for _, attributes in written.tags for name in ("src", "href") if name in attributes]
    assert sources
    assert all(source.startswith("data:") for source in sources)


def test_the_policy_allows_the_pages_own_script_and_no_other(page):
    written = page()
    (policy,) = written.find("meta", **{"http-equiv": "Content-Security-Policy"})
    script = re.search(r"<script>(.*?)</script>", written.markup, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy["content"]
    assert f"script-src 'sha256-{digest}'" in policy["content"]


def test_whatever_the_user_names_is_escaped(page):
    def named(name: str) -> Page:
        return page(
            title=name,
            introduction=name,
            facts=[(name, name)],
            class_names=[name, name],
            runs=[run(name, description=name)],
            examples=[example(true_class=name, answers={name: [(name, 1.0)]})],
            served_answer={"class": name},
        )

    plain, nasty = named("plain"), named(NASTY)
    shapes = [[(tag, attributes.keys()) for tag, attributes in written.tags] for written in (plain, nasty)]
    assert shapes[0] == shapes[1]
    assert nasty.words.count(NASTY) == plain.words.count("plain") - 1  # JSON writes its quotes as \\"
    assert '<b>"' not in nasty.markup


def test_paragraphs_are_kept(page):
    assert "<p>First paragraph.</p><p>Second one.</p>" in page().markup


def test_what_is_not_given_is_left_out(page):
    bare = page(facts=[], examples=[], served_answer=None, runs=[run(history=[])], introduction="")
    assert [attributes["id"] for attributes in bare.find("h2")] == ["result", "confusion"]
    assert not bare.find("p", **{"class": ""})


def test_chance_of_zero_divides_nothing(page):
    assert "× chance" not in page(chance=0.0).words


def test_many_classes_get_a_row_of_their_own(page):
    names = [f"class {index}" for index in range(20)]
    written = page(class_names=names, runs=[run(confusion=np.eye(20, dtype=int))], examples=[])
    assert written.find("figure", **{"class": "card wide scroll", "tabindex": "0"})


def test_an_older_page_is_replaced_and_nothing_else_left(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    write(str(path), report())
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_older_page(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(path, report())
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_answer_that_is_no_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"served_answer must be JSON-serialisable.*ndarray"):
        write(tmp_path / "report.html", report(served_answer={"logits": np.zeros(2)}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runs", [[], [run(), run()]])
def test_runs_must_be_there_and_differ_in_name(runs):
    with pytest.raises(ValueError, match=r"one run or more, of different names; received \["):
        report(runs=runs)


def test_answers_of_an_unknown_run_are_refused():
    with pytest.raises(ValueError, match=r"unknown runs \['per-frame'\]; the runs are \['I3D'\]"):
        report(runs=[run()])


@pytest.mark.parametrize("changes", [{"chance": 12.5}, {"runs": [run(top1=97.5), run("per-frame")]}])
def test_percentages_in_place_of_shares_are_refused(changes):
    with pytest.raises(ValueError, match=r"shares must lie in \[0, 1\]; received \{'(chance|top1 of I3D)'"):
        report(**changes)
