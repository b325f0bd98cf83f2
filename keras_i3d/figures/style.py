"""What all figures share: colours, the page's stylesheet, and how numbers and names become text.

Colours of the runs: Okabe and Ito, "Color Universal Design" (2008), in an order that stays apart on white; on
a dark page the blue gives way to the same palette's sky blue and the others are lightened.
"""

import html
import math
import re
import unicodedata

INK = "#1c2127"
FAINT = "#5c6670"
GRID = "#e3e7eb"
HEAT = "#0072b2"

_RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_RUN_COLOURS_ON_DARK = ("#56b4e9", "#e8772a", "#1fbf93", "#dd97bd", "#e69f00", "#f0e442", "#ffffff")


def run_class(run_index: int) -> str:
    """Name the CSS class that colours a run; after seven runs the colours come round again."""
    return f"run-{run_index % len(_RUN_COLOURS)}"


def run_colour(run_index: int) -> str:
    """Give a run's colour on a light ground, as ``#rrggbb``."""
    return _RUN_COLOURS[run_index % len(_RUN_COLOURS)]


def text(words: str) -> str:
    """Escape words for HTML and SVG, as content or inside a quoted attribute.

    Characters that XML or UTF-8 cannot hold (controls, the lone surrogates of undecodable file names)
    become U+FFFD.
    """
    kept = (
        character if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs", "Cn") else "\ufffd"
        for character in words
    )
    return html.escape("".join(kept))


def shorten(words: str, length: int) -> str:
    """Cut words (not yet escaped) to at most `length` characters, the last of them an ellipsis."""
    return words if len(words) <= length else words[: length - 1].rstrip() + "…"


def percent(share: float, *, digits: int = 1) -> str:
    """Write a share in [0, 1] as a percentage: 0.975 is ``97.5 %`` (no-break space), a NaN is a dash."""
    return f"{100 * share:.{digits}f}\u00a0%" if math.isfinite(share) else "–"


def duration(duration_s: float) -> str:
    """Write seconds with the two units that matter: ``42 s``, ``12 min 5 s``, ``2 h 3 min``."""
    if not math.isfinite(duration_s):
        return "–"
    seconds = round(duration_s)
    if seconds < 10:
        return f"{duration_s:.1f} s"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def clock(time_s: float, *, digits: int = 0) -> str:
    """Write a time in a video as m:ss, from an hour on as h:mm:ss, with so many digits of a second behind it."""
    units = round(time_s * 10**digits)
    minutes, rest = divmod(units, 60 * 10**digits)
    seconds = f"{rest / 10**digits:0{3 + digits if digits else 2}.{digits}f}"
    return f"{minutes}:{seconds}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{seconds}"


def stylesheet() -> str:
    """Write the page's CSS, light and dark."""
    light = "".join(f"--run-{index}:{colour};" for index, colour in enumerate(_RUN_COLOURS))
    dark = "".join(f"--run-{index}:{colour};" for index, colour in enumerate(_RUN_COLOURS_ON_DARK))
    runs = "".join(f".run-{index}{{--run:var(--run-{index})}}\n" for index in range(len(_RUN_COLOURS)))
    return (
        f":root{{color-scheme:light dark;{_LIGHT}{light}}}\n"
        f"@media (prefers-color-scheme:dark){{:root{{{_DARK}{dark}}}}}\n{runs}{_RULES}"
    )


def drawing_on_dark() -> str:
    """Write the CSS of a drawing that is a file of its own, for viewers whose ground is dark.

    The colours are written out, since programs that turn a drawing into pixels know no variables.
    """
    dark = dict(pair.split(":") for pair in _DARK.strip(";").replace("--", "").split(";"))
    rules = [line.removeprefix("svg ") for line in _RULES.splitlines() if line.startswith("svg ")]
    plain = [re.sub(r"var\(--([a-z-]+)\)", lambda found: dark[found[1]], rule) for rule in rules if "--run" not in rule]
    for rule in (rule for rule in rules if "--run" in rule):
        for index, colour in enumerate(_RUN_COLOURS_ON_DARK):
            plain.append(f".run-{index}{rule.replace('var(--run)', colour)}")
    return f"@media (prefers-color-scheme:dark){{{''.join(plain)}}}"


_LIGHT = (
    f"--ground:#f6f7f9;--card:#fff;--ink:{INK};--faint:{FAINT};--line:#d9dee3;--grid:{GRID};--track:#e9ecef;"
    f"--heat:{HEAT};--on-heat:#fff;--right:#00694d;--wrong:#a63a00;"
)
_DARK = (
    "--ground:#14171b;--card:#1d2126;--ink:#e8eaed;--faint:#a3adb8;--line:#363c44;--grid:#2d333a;--track:#30363d;"
    "--heat:#56b4e9;--on-heat:#0d1116;--right:#3fd0a5;--wrong:#ff9a5c;"
)
_RULES = """\
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header,main{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.25rem}
main{padding-bottom:4rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.5rem 0 .35rem}
h3{font-size:1.05rem;margin:0;overflow-wrap:anywhere}
p{margin:0 0 .75rem;max-width:48rem;overflow-wrap:anywhere}
.faint{color:var(--faint)}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem 1.15rem}
.score{display:grid;grid-template-columns:minmax(9rem,17rem) 1fr 11rem;gap:.25rem 1.5rem;align-items:center;
 padding:.9rem 0;border-top:1px solid var(--line)}
.score:first-child{border-top:0}
.score.chance{--run:var(--faint);padding:.6rem 0}
.who strong{display:block;font-size:1.15rem;color:var(--run);overflow-wrap:anywhere}
.who span,.number span{display:block;
 font-size:.85rem;line-height:1.35;color:var(--faint);overflow-wrap:anywhere}
.number{text-align:right}
.number b{font-size:2.5rem;
 line-height:1.1;font-weight:700;white-space:nowrap;font-variant-numeric:tabular-nums}
.chance .number b{font-size:1.3rem;color:var(--faint)}
.track{position:relative;height:2rem;background:var(--track);border-radius:4px}
.chance .track{height:.9rem}
.track i{position:absolute;inset:0 auto 0 0;background:var(--run);border-radius:4px}
.track u{position:absolute;top:-.4rem;bottom:-.4rem;width:0;border-left:2px dashed var(--ink)}
.chance .track u{display:none}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:.92rem;width:100%}
th,td{text-align:right;padding:.35rem 0 .35rem 1rem;
 border-top:1px solid var(--line);font-variant-numeric:tabular-nums}
td{white-space:nowrap}
thead th{border-top:0;color:var(--faint);font-weight:500;vertical-align:bottom}
th:first-child{text-align:left;padding-left:0;min-width:6rem;overflow-wrap:break-word}
.details{margin-top:.75rem}
.words{text-align:left}
td.words{white-space:normal;overflow-wrap:anywhere}
.classes th:first-child{width:24%}
.classes th:not(:first-child):not(.words){width:5.5rem}
.bar{width:30%}
.classes th.bar:not(:first-child){width:30%}
.bar>span{display:block;height:.7rem;border-radius:3px;background:var(--track);overflow:hidden}
.bar i{display:block;height:100%;background:var(--run)}
.example{margin-top:.9rem;padding-top:.75rem;border-top:1px solid var(--line)}
.example .name{margin:0;font-size:.85rem;color:var(--faint)}
article>p{margin:0}
summary{cursor:pointer;padding:.6rem 0 .35rem;color:var(--faint)}
.grid{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,29rem),1fr));margin-top:.75rem}
.grid>*{min-width:0}
.film{display:flex;gap:.75rem;align-items:center;margin:.6rem 0 .75rem}
.film video{height:5.5rem;width:auto;max-width:40%;border-radius:4px;background:#000;flex:none}
.film img{min-width:0;max-width:100%;max-height:5.5rem;object-fit:contain;object-position:left}
.answers{display:grid;gap:.75rem 1.5rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,12rem),1fr))}
.answers>*{min-width:0}
.answers h4{margin:0;font-size:.95rem;display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 .75rem}
.answers h4>span:first-child{color:var(--run);overflow-wrap:anywhere;min-width:0}
.right,.wrong{white-space:nowrap;border:1.5px solid;border-radius:1rem;padding:0 .55rem;font-size:.85rem}
.right{color:var(--right)}
.wrong{color:var(--wrong)}
ol{list-style:none;margin:.2rem 0 0;padding:0;font-size:.85rem}
ol li{position:relative;display:flex;
 justify-content:space-between;gap:.5rem;padding:.1rem .4rem;margin-top:2px;
 background:var(--track);border-radius:3px;overflow:hidden}
ol li i{position:absolute;inset:0 auto 0 0;background:var(--run);opacity:.38}
ol li span{position:relative}
ol li span:nth-of-type(1){overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
ol li span:nth-of-type(2){font-variant-numeric:tabular-nums;white-space:nowrap}
ol li.true span{font-weight:650}
figure{margin:0}
figure svg{display:block;margin:0 auto}
figure:not(.wide) svg{width:100%;height:auto}
figure.wide svg{max-width:none!important}
svg .ink{fill:var(--ink)}
svg .faint{fill:var(--faint)}
svg .grid{stroke:var(--grid)}
svg .axis{stroke:var(--faint)}
svg .heat{fill:var(--heat)}
svg .on-heat{fill:var(--on-heat)}
svg .mark{stroke:var(--ink)}
svg .line{stroke:var(--run)}
svg .dot{fill:var(--run)}
svg .ring{stroke:var(--run)}
svg .ground{fill:var(--card)}
svg .track{fill:var(--track)}
pre{margin:.75rem 0 0;max-height:26rem;overflow:auto;font:.85rem/1.45 ui-monospace,monospace}
dl{display:grid;
 grid-template-columns:minmax(7rem,max-content) 1fr;gap:.3rem 1.5rem;margin:.75rem 0 0;font-size:.92rem}
dt{color:var(--faint);overflow-wrap:anywhere}
dd{margin:0;overflow-wrap:anywhere}
button{font:inherit;font-size:.85rem;color:inherit;background:var(--card);border:1px solid var(--line);
 border-radius:6px;padding:.2rem .7rem;cursor:pointer}
@media (max-width:44rem){
 .score{grid-template-columns:1fr auto}
 .score .track{grid-column:1/-1;grid-row:2;margin:.35rem 0}
 .number b{font-size:1.9rem}
 .card{padding:.8rem .85rem}
 .film{flex-wrap:wrap}
 h1{font-size:1.5rem}
}
"""
