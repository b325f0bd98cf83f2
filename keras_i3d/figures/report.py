"""One HTML page that compares trained networks: numbers beside chance, examples, curves, confusion matrices.

Videos, pictures and styles lie inside the page, and its content security policy lets it fetch nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from keras_i3d.figures import page
from keras_i3d.figures.confusion import confusion_matrix
from keras_i3d.figures.curves import History
from keras_i3d.figures.strip import film_strip, video_uri
from keras_i3d.figures.style import duration, percent, run_class, text
from keras_i3d.whole_file import write_text

_LARGEST_VIDEO = 2 << 20  # bytes; larger ones are shown as a film strip alone
_SHOWN_ANSWERS = 3
_WIDE_CLASSES = 16

_SCRIPT = """\
const films=[...document.querySelectorAll('video')],button=document.getElementById('pause');
const play=on=>{films.forEach(film=>on?film.play():film.pause());
 button.textContent=on?'Pause videos':'Play videos'};
let playing=!matchMedia('(prefers-reduced-motion: reduce)').matches;
if(films.length){button.hidden=false;button.onclick=()=>play(playing=!playing);if(!playing)play(false)}
"""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What one trained network reached on the test videos.

    Attributes:
        name: What the page calls it, such as ``"I3D"``; unlike any other run's.
        description: A few words beside the name.
        history: One dict per epoch, as in `learning_curves`: ``loss``, ``top1`` and the same after ``val_``.
        top1: Share of test videos named rightly, in [0, 1].
        mean_class_accuracy: Mean over the classes of that share within the class, in [0, 1].
        confusion: int (classes, classes), at least 0; row: true class, column: predicted class.
        parameters: How many numbers the network learned.
        train_seconds: How long training took.
    """

    name: str
    description: str
    history: History
    top1: float
    mean_class_accuracy: float
    confusion: np.ndarray
    parameters: int
    train_seconds: float


@dataclass(frozen=True, eq=False)
class Example:
    """One test video and what each run took it for.

    Attributes:
        frames: uint8 (time, height, width, 3), RGB in [0, 255], for the film strip.
        video_path: The video; the page plays it when it is an ``.mp4`` file that exists (H.264 for browsers).
        true_class: The right answer.
        answers: A run's name to its (class name, probability in [0, 1]), best first.
    """

    frames: np.ndarray
    video_path: str | PathLike[str] | None
    true_class: str
    answers: Mapping[str, Sequence[tuple[str, float]]]


@dataclass(frozen=True, eq=False)
class Report:
    """All that the page says.

    Attributes:
        title: The heading.
        introduction: Plain text; an empty line begins a new paragraph.
        facts: (label, value): versions, seeds, times.
        class_names: In the order of the confusion matrices.
        runs: The networks compared, the one that should win first.
        examples: Test videos, usually one per class.
        chance: Share of right answers that guessing reaches, in [0, 1].
        served_answer: What the exported model answered to one video file, JSON-serialisable, or None.

    Raises:
        ValueError: There is no run, two share a name, an example has answers of an unknown run, or a share
            lies outside [0, 1].
    """

    title: str
    introduction: str
    facts: Sequence[tuple[str, str]]
    class_names: Sequence[str]
    runs: Sequence[RunResult]
    examples: Sequence[Example]
    chance: float
    served_answer: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        names = [run.name for run in self.runs]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a report needs one run or more, of different names; received {names}")
        unknown = sorted({name for example in self.examples for name in example.answers} - set(names))
        if unknown:
            raise ValueError(f"examples have answers of unknown runs {unknown}; the runs are {names}")
        shares = {"chance": self.chance}
        for run in self.runs:
            shares |= {
                f"top1 of {run.name}": run.top1,
                f"mean_class_accuracy of {run.name}": run.mean_class_accuracy,
            }
        outside = {name: share for name, share in shares.items() if not 0 <= share <= 1}
        if outside:
            raise ValueError(f"shares must lie in [0, 1]; received {outside}")


def write(path: str | PathLike[str], report: Report) -> None:
    """Write the page as one HTML file, which works opened from disk and needs nothing beside it.

    The file appears when it is whole: it is written under a temporary name in the same folder and renamed.

    Args:
        path: Where to; the folder must exist, an older page is replaced.
        report: What to say.

    Raises:
        ValueError: A confusion matrix does not fit the class names, frames are not uint8 RGB, or the served
            answer is no JSON.
        MissingDependency: OpenCV, which encodes the film strips, is not installed.
    """
    write_text(Path(path), _page(report))


def _page(report: Report) -> str:
    sections = (_headline, _examples, _curves, _confusions, _served, _facts)
    body = "\n".join(part for section in sections for part in section(report))
    return page.page(report.title, report.introduction, body, script=_SCRIPT)


def _headline(report: Report) -> Iterator[str]:
    yield '<section aria-labelledby="result"><h2 id="result">Test videos named rightly</h2><div class="card">'
    for run_index, run in enumerate(report.runs):
        right, total = int(np.trace(run.confusion)), int(np.sum(run.confusion))
        beside = f"<span>{right} of {total} videos</span>"
        if report.chance > 0:
            beside += f"<span>{run.top1 / report.chance:.1f} × chance</span>"
        yield page.score(run.name, run.description, beside, run.top1, report.chance, run_class(run_index))
    guess = f"guessing among {len(report.class_names)} classes; the dashed mark on each bar"
    yield page.score("Chance", guess, "", report.chance, report.chance, "chance")
    yield '</div><div class="card details scroll"><table><thead><tr><th scope="col">Network</th>'
    for heading in ("Mean class accuracy", "Parameters", "Training time"):
        yield f'<th scope="col">{heading}</th>'
    yield "</tr></thead><tbody>"
    for run in report.runs:
        yield (
            f'<tr><th scope="row">{text(run.name)}</th><td>{percent(run.mean_class_accuracy)}</td>'
            f"<td>{run.parameters:,}</td><td>{duration(run.train_seconds)}</td></tr>"
        )
    yield "</tbody></table></div></section>"


def _examples(report: Report) -> Iterator[str]:
    if not report.examples:
        return
    tallies = []
    for run in report.runs:
        given = [example for example in report.examples if example.answers.get(run.name)]
        right = sum(example.answers[run.name][0][0] == example.true_class for example in given)
        tallies.append(f"{text(run.name)}: <strong>{right} of {len(given)} right</strong>")
    yield (
        '<section aria-labelledby="examples"><h2 id="examples">Examples</h2>'
        f"<p>{' · '.join(tallies)} &nbsp; "
        '<button type="button" id="pause" hidden>Pause videos</button></p><div class="grid">'
    )
    for example in report.examples:
        yield f'<article class="card"><h3>{text(example.true_class)}</h3>'
        yield f'{_film(example)}<div class="answers">'
        for run_index, run in enumerate(report.runs):
            if run.name in example.answers:
                yield _answers(run, run_index, example)
        yield "</div></article>"
    yield "</div></section>"


def _film(example: Example) -> str:
    words = text(f"frames of a video of the class {example.true_class}, from first to last")
    strip = f'<img src="{film_strip(example.frames)}" alt="{words}">'
    path = None if example.video_path is None else Path(example.video_path)
    if path is None or not _is_embeddable(path):
        return f'<div class="film">{strip}</div>'
    poster = film_strip(example.frames, count=1, height=96)
    return (
        f'<div class="film"><video src="{video_uri(path)}" poster="{poster}" autoplay loop muted playsinline '
        f'aria-label="{text(f"video of the class {example.true_class}")}"></video>{strip}</div>'
    )


def _is_embeddable(path: Path) -> bool:
    """Tell whether a file is an mp4, by its name and its first bytes, and small enough to stand in a page."""
    if path.suffix.lower() != ".mp4" or not path.is_file() or path.stat().st_size > _LARGEST_VIDEO:
        return False
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _answers(run: RunResult, run_index: int, example: Example) -> str:
    answers = example.answers[run.name][:_SHOWN_ANSWERS]
    if not answers:
        verdict = '<span class="faint">no answer</span>'
    elif answers[0][0] == example.true_class:
        verdict = '<span class="right">✓ right</span>'
    else:
        verdict = '<span class="wrong">✗ wrong</span>'
    items = "".join(
        f'<li{" class=true" if name == example.true_class else ""}><i style="width:{100 * share:.1f}%"></i>'
        f'<span title="{text(name)}">{text(name)}</span> <span>{percent(share, digits=0)}</span></li>'
        for name, share in answers
    )
    return (
        f'<div class="{run_class(run_index)}"><h4><span>{text(run.name)}</span>{verdict}</h4>'
        f'<ol aria-label="{text(f"best answers of {run.name}")}">{items}</ol></div>'
    )


def _curves(report: Report) -> Iterator[str]:
    return page.curves({run.name: run.history for run in report.runs}, report.chance)


def _confusions(report: Report) -> Iterator[str]:
    wide = len(report.class_names) > _WIDE_CLASSES
    yield (
        '<section aria-labelledby="confusion"><h2 id="confusion">What is taken for what</h2>'
        '<p class="faint">Number of test videos: the stronger the colour, the larger the share of the row. '
        "Right answers are outlined.</p>"
        f'<div class="grid"{" style=grid-template-columns:minmax(0,1fr)" if wide else ""}>'
    )
    for run in report.runs:
        figure = page.inline(confusion_matrix(run.confusion, report.class_names, title=run.name))
        scroll = f' tabindex="0" role="group" aria-label="{text(run.name)}, scrolls"' if wide else ""
        yield f'<figure class="card{" wide scroll" if wide else ""}"{scroll}>{figure}</figure>'
    yield "</div></section>"


def _served(report: Report) -> Iterator[str]:
    if report.served_answer is None:
        return
    try:
        answer = json.dumps(report.served_answer, indent=2, ensure_ascii=False)
    except TypeError as error:
        raise ValueError(f"served_answer must be JSON-serialisable: {error}") from error
    yield (
        '<section aria-labelledby="served"><h2 id="served">The served model’s answer</h2>'
        '<p class="faint">What the exported SavedModel says of one video file.</p>'
        f'<pre class="card" tabindex="0">{text(answer)}</pre></section>'
    )


def _facts(report: Report) -> Iterator[str]:
    return page.facts(report.facts)
