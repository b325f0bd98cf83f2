"""What the HTML pages share: the page around the sections, a score beside chance, learning curves, facts.

Everything lies inside the page, and its content security policy lets it fetch nothing.
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence

from keras_i3d.figures.curves import History, learning_curves
from keras_i3d.figures.style import percent, stylesheet, text
from keras_i3d.figures.svg import NAMESPACE


def page(title: str, introduction: str, body: str, *, script: str = "") -> str:
    """Write a page.

    Args:
        title: The heading.
        introduction: Plain text beneath it; an empty line begins a new paragraph.
        body: Markup.
        script: The one script that the page's policy lets run.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    policy += f"; script-src 'sha256-{digest}'" if script else ""
    paragraphs = (words.strip() for words in introduction.split("\n\n"))
    introduction = "".join(f"<p>{text(words)}</p>" for words in paragraphs if words)
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n<style>\n{stylesheet()}</style>\n</head>\n<body>\n"
        f"<header><h1>{text(title)}</h1>{introduction}</header>\n<main>\n{body}\n</main>\n"
        f"{f'<script>{script}</script>' if script else ''}\n</body>\n</html>\n"
    )


def score(name: str, description: str, beside: str, share: float, chance: float | None, kind: str) -> str:
    """Draw a share as a bar, with a mark at chance.

    Args:
        name: Whose it is.
        description: A few words beneath the name.
        beside: Markup beneath the number.
        share: In [0, 1].
        chance: Likewise, of the test videos; None for a share that has none.
        kind: CSS class that colours it, such as `style.run_class` names.
    """
    spoken, mark = f"{name}: {percent(share)}", ""
    if chance is not None:
        spoken += f" of the test videos; chance: {percent(chance)}"
        mark = f'<u style="left:{100 * chance:.2f}%"></u>'
    return (
        f'<div class="score {kind}"><div class="who"><strong>{text(name)}</strong>'
        f'<span>{text(description)}</span></div><div class="track" role="img" aria-label="{text(spoken)}">'
        f'<i style="width:{100 * share:.2f}%"></i>{mark}</div>'
        f'<div class="number"><b>{percent(share)}</b>{beside}</div></div>'
    )


def curves(histories: Mapping[str, History], chance: float | None) -> Iterator[str]:
    """Yield the section of learning curves, of accuracy and loss, where the histories have them."""
    keys = {key.removeprefix("val_") for history in histories.values() for epoch in history for key in epoch}
    figures = []
    if "top1" in keys:
        figures.append(learning_curves(histories, metric="top1", title="Top-1 accuracy", chance=chance))
    if "loss" in keys:
        figures.append(learning_curves(histories, metric="loss", title="Loss"))
    if figures:
        yield '<section aria-labelledby="learning"><h2 id="learning">Learning curves</h2><div class="grid">'
        yield from (f'<figure class="card">{inline(figure)}</figure>' for figure in figures)
        yield "</div></section>"


def facts(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the section of facts, (label, value), where there are any."""
    if rows:
        items = "".join(f"<dt>{text(label)}</dt><dd>{text(value)}</dd>" for label, value in rows)
        yield (
            '<section aria-labelledby="facts"><h2 id="facts">Facts of this run</h2>'
            f'<div class="card"><dl style="margin:0">{items}</dl></div></section>'
        )


def inline(svg: str) -> str:
    """Drop the namespace, which a page does not need: then no address at all stands in it."""
    return svg.replace(f' xmlns="{NAMESPACE}"', "", 1)
