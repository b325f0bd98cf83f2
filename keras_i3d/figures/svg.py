"""The pieces of an SVG drawing: an element, words with the whole in a tooltip, the drawing around them.

The figures carry their colours as plain attributes, so that they stand alone in any viewer, and classes
(``run-0``, ``ink``, ``grid``, ``heat``), by which the page's stylesheet changes the colours on a dark ground.
"""

from keras_i3d.figures.style import INK, shorten, text

NAMESPACE = "http://www.w3.org/2000/svg"


def element(tag: str, content: str = "", **attributes: str | float | None) -> str:
    """Write an element; `content` is markup, attribute values are escaped here.

    Attributes are spelt as Python allows: ``class_`` and ``stroke_width``. Numbers are written to a
    tenth, None is left out.
    """
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def words(name: str, length: int, **attributes: str | float | None) -> str:
    """Write a name, cut to `length` characters, whole in the tooltip; in ink unless `fill` says otherwise."""
    content = element("title", text(name)) + text(shorten(name, length))
    return element("text", content, **{"class_": "ink", "fill": INK, **attributes})


def drawing(content: str, *, width: float, height: float, label: str, font_size: float = 12) -> str:
    """Put content into an ``<svg>`` that shrinks with what is around it and grows by no more than 15 %.

    Args:
        content: Markup.
        width: Pixels.
        height: Pixels.
        label: What those hear who do not see the drawing; not yet escaped.
        font_size: Of words that have none of their own.
    """
    return element(
        "svg",
        content,
        xmlns=NAMESPACE,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        style=f"max-width:{1.15 * width:.0f}px",
        role="img",
        aria_label=label,
        font_family="system-ui,sans-serif",
        font_size=font_size,
    )


def _value(value: str | float) -> str:
    return text(value) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
