"""One HTML page about an evaluation: numbers, most confused classes with film strips, hardest classes, confusions.

Pictures and styles lie inside the page, and its content security policy lets it fetch nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from keras_i3d.figures import page
from keras_i3d.figures.confusion import confusion_matrix
from keras_i3d.figures.curves import History
from keras_i3d.figures.strip import film_strip
from keras_i3d.figures.style import percent, run_class, text
from keras_i3d.whole_file import write_text

_SHOWN_CLASSES = 15
_SHOWN_ANSWERS = 3
_WIDE_CLASSES = 16
_MOST_CLASSES = 40  # of a confusion matrix; of more, those of the most confused pairs and the others together
_KEPT_CLASSES = 24
_OTHERS = "all others"


@dataclass(frozen=True)
class Score:
    """The numbers of one stream, of the sum of several, or of one split.

    Attributes:
        name: What the page calls it.
        description: A few words beneath the name.
        shares: Each in [0, 1], by title; the first is drawn as a bar.
    """

    name: str
    description: str
    shares: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Video:
    """One test video.

    Attributes:
        name: Its name.
        answers: (class name, probability in [0, 1]), best first.
        frames: uint8 (time, height, width, 3), RGB in [0, 255], or None where there are no pictures.
    """

    name: str
    answers: Sequence[tuple[str, float]]
    frames: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Pair:
    """A class, and another one that videos of it are taken for.

    Attributes:
        true_class: What they are.
        wrong_class: What they are taken for.
        count: How many.
        total: Of how many.
        videos: Some of them.
    """

    true_class: str
    wrong_class: str
    count: int
    total: int
    videos: Sequence[Video] = ()


@dataclass(frozen=True)
class ClassRow:
    """One class.

    Attributes:
        name: Its name.
        videos: How many there are.
        share: What is right of them, in [0, 1].
        taken_for: The wrong class that they are most taken for, or None.
        taken: How many are.
    """

    name: str
    videos: int
    share: float
    taken_for: str | None = None
    taken: int = 0


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """All that the page says.

    Attributes:
        title: The heading.
        introduction: Plain text; an empty line begins a new paragraph.
        scores: Of the streams, and last of what was asked for.
        splits: Of each split, where there are several.
        chance: Share of right answers that guessing reaches, in [0, 1]; None where there is no such thing.
        classes: The classes, hardest first.
        class_share: Title of their shares.
        pairs: The most confused classes.
        class_names: In the order of the confusion matrix.
        confusion: int (classes, classes), at least 0; row: true class, column: predicted class; None for none.
        histories: Of the training of each model, as in `learning_curves`, by a name.
        facts: (label, value): models, records, versions.

    Raises:
        ValueError: There is no score, or a share lies outside [0, 1].
    """

    title: str
    introduction: str
    scores: Sequence[Score]
    splits: Sequence[Score] = ()
    chance: float | None = None
    classes: Sequence[ClassRow] = ()
    class_share: str = "Top-1"
    pairs: Sequence[Pair] = ()
    class_names: Sequence[str] = ()
    confusion: np.ndarray | None = None
    histories: Mapping[str, History] = field(default_factory=dict)
    facts: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        if not self.scores:
            raise ValueError("a report needs one score or more")
        shares = [
            (f"{title} of {score.name}", share)
            for score in (*self.scores, *self.splits)
            for title, share in score.shares.items()
        ]
        shares += [(f"class {row.name}", row.share) for row in self.classes]
        outside = {name: share for name, share in shares if not 0 <= share <= 1}
        if outside:
            raise ValueError(f"shares must lie in [0, 1]; received {outside}")


def write(path: str | PathLike[str], report: EvaluationReport) -> None:
    """Write the page as one HTML file, which appears when it is whole.

    Args:
        path: Where to; the folder must exist, an older page is replaced.
        report: What to say.

    Raises:
        ValueError: The confusion matrix does not fit the class names, or frames are not uint8 RGB.
        MissingDependency: OpenCV, which encodes the film strips, is not installed.
    """
    sections = (_headline, _pairs, _classes, _confusion, _curves, _facts)
    body = "\n".join(part for section in sections for part in section(report))
    write_text(Path(path), page.page(report.title, report.introduction, body))


def _headline(report: EvaluationReport) -> Iterator[str]:
    titles = list(report.scores[0].shares)
    yield f'<section aria-labelledby="result"><h2 id="result">{text(titles[0])}</h2><div class="card">'
    for index, score in enumerate(report.scores):
        share = score.shares[titles[0]]
        beside = f"<span>{share / report.chance:.1f} × chance</span>" if report.chance else ""
        yield page.score(score.name, score.description, beside, share, report.chance, run_class(index))
    if report.chance:
        guess = f"guessing among {len(report.class_names)} classes; the dashed mark on each bar"
        yield page.score("Chance", guess, "", report.chance, report.chance, "chance")
    yield "</div>"
    if len(titles) > 1 or report.splits:
        yield from _table(titles, [*report.splits, *report.scores])
    yield "</section>"


def _colour(report: EvaluationReport) -> str:
    """Return the class of the colour of what was asked for, which is the last score."""
    return run_class(len(report.scores) - 1)


def _table(titles: Sequence[str], scores: Sequence[Score]) -> Iterator[str]:
    yield '<div class="card details scroll"><table><thead><tr><th scope="col"></th>'
    yield from (f'<th scope="col">{text(title)}</th>' for title in titles)
    yield "</tr></thead><tbody>"
    for score in scores:
        cells = "".join(f"<td>{percent(score.shares[title])}</td>" for title in titles)
        yield f'<tr><th scope="row">{text(score.name)}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _pairs(report: EvaluationReport) -> Iterator[str]:
    if not report.pairs:
        return
    yield (
        '<section aria-labelledby="pairs"><h2 id="pairs">Most confused</h2>'
        '<p class="faint">Each with the videos whose wrong answer is surest.</p><div class="grid">'
    )
    for pair in report.pairs:
        yield (
            f'<article class="card"><h3>{text(pair.true_class)} <span class="faint">taken for</span> '
            f"{text(pair.wrong_class)}</h3>"
            f'<p class="faint">{pair.count} of {pair.total} videos ({percent(pair.count / pair.total, digits=0)})</p>'
        )
        yield from (_video(video, pair.true_class, _colour(report)) for video in pair.videos)
        yield "</article>"
    yield "</div></section>"


def _video(video: Video, true_class: str, colour: str) -> str:
    film = ""
    if video.frames is not None:
        words = text(f"frames of {video.name}, from first to last")
        film = f'<div class="film"><img src="{film_strip(video.frames)}" alt="{words}"></div>'
    items = "".join(
        f'<li{" class=true" if name == true_class else ""}><i style="width:{100 * share:.1f}%"></i>'
        f'<span title="{text(name)}">{text(name)}</span> <span>{percent(share, digits=0)}</span></li>'
        for name, share in video.answers[:_SHOWN_ANSWERS]
    )
    label = text(f"best answers about {video.name}")
    return (
        f'<div class="example {colour}"><p class="name">{text(video.name)}</p>{film}'
        f'<ol aria-label="{label}">{items}</ol></div>'
    )


def _classes(report: EvaluationReport) -> Iterator[str]:
    if not report.classes:
        return
    yield '<section aria-labelledby="classes"><h2 id="classes">Hardest classes</h2><div class="card details scroll">'
    yield _class_table(report, report.classes[:_SHOWN_CLASSES])
    rest = report.classes[_SHOWN_CLASSES:]
    if rest:
        yield f"<details><summary>{len(rest)} easier ones</summary>{_class_table(report, rest)}</details>"
    yield "</div></section>"


def _class_table(report: EvaluationReport, rows: Sequence[ClassRow]) -> str:
    with_taken = any(row.taken_for for row in report.classes)
    heads = "".join(
        f'<th scope="col"{kind}>{text(name)}</th>'
        for name, kind in (
            ("Class", ""),
            ("Videos", ""),
            (report.class_share, ""),
            ("", ' class="bar"'),
            *([("Most taken for", ' class="words"')] if with_taken else []),
        )
    )
    lines = []
    for row in rows:
        taken = f"{text(row.taken_for)} ({row.taken})" if row.taken_for is not None else ""
        lines.append(
            f'<tr><th scope="row">{text(row.name)}</th><td>{row.videos}</td><td>{percent(row.share)}</td>'
            f'<td class="bar {_colour(report)}"><span><i style="width:{100 * row.share:.1f}%"></i></span></td>'
            + (f'<td class="words">{taken}</td>' if with_taken else "")
            + "</tr>"
        )
    return f'<table class="classes"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table>'


def _confusion(report: EvaluationReport) -> Iterator[str]:
    if report.confusion is None:
        return
    counts, names, left_out = _shown_confusion(np.asarray(report.confusion), report.class_names)
    wide, right = len(names) > _WIDE_CLASSES, int(np.trace(report.confusion))
    figure = page.inline(confusion_matrix(counts, names, title=report.scores[-1].name, right=right))
    scroll = f' tabindex="0" role="group" aria-label="{text(report.scores[-1].name)}, scrolls"' if wide else ""
    remark = f" The other {left_out} classes are taken together in the last row and column." if left_out else ""
    yield (
        '<section aria-labelledby="confusion"><h2 id="confusion">What is taken for what</h2>'
        '<p class="faint">Number of test videos: the stronger the colour, the larger the share of the row. '
        f"Right answers are outlined.{remark}</p>"
        f'<figure class="card{" wide scroll" if wide else ""}"{scroll}>{figure}</figure></section>'
    )


def _shown_confusion(counts: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, list[str], int]:
    """Return what of a confusion matrix can be read: all, or its most confused classes and the others as one.

    Returns:
        Counts, names, and how many classes are taken together.
    """
    if len(names) <= _MOST_CLASSES:
        return counts, list(names), 0
    wrong = counts - np.diag(counts.diagonal())
    kept: list[int] = []
    for place in np.argsort(-wrong, axis=None, kind="stable"):
        for index in map(int, np.unravel_index(place, wrong.shape)):
            if index not in kept and len(kept) < _KEPT_CLASSES:
                kept.append(index)
        if len(kept) == _KEPT_CLASSES:
            break
    kept.sort()
    groups = np.full(len(names), len(kept))
    groups[kept] = range(len(kept))
    shown = np.zeros((len(kept) + 1, len(kept) + 1), int)
    np.add.at(shown, (groups[:, None], groups[None, :]), counts)
    return shown, [*(names[index] for index in kept), _OTHERS], len(names) - len(kept)


def _curves(report: EvaluationReport) -> Iterator[str]:
    return page.curves(report.histories, report.chance)


def _facts(report: EvaluationReport) -> Iterator[str]:
    return page.facts(report.facts)
