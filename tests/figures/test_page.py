import base64
import hashlib
import re

import pytest

from keras_i3d.figures import page

HISTORY = [{"epoch": 1, "loss": 2.0, "top1": 0.5}, {"epoch": 2, "loss": 1.0, "top1": 0.7}]


def test_a_page_allows_its_own_script_and_no_other() -> None:
    written = page.page("A & B", "One.\n\nTwo.", "<p>body</p>", script="let x = 1")
    digest = base64.b64encode(hashlib.sha256(b"let x = 1").digest()).decode()
    assert f"script-src 'sha256-{digest}'" in written
    assert "<script>let x = 1</script>" in written
    assert "<h1>A &amp; B</h1><p>One.</p><p>Two.</p>" in written


def test_a_page_without_script_allows_none() -> None:
    written = page.page("A", "", "")
    assert "default-src 'none'" in written
    assert "script" not in written


def test_a_score_is_set_beside_chance_where_there_is_any() -> None:
    with_chance = page.score("rgb", "of a run", "", 0.25, 0.1, "run-0")
    assert 'aria-label="rgb: 25.0\u00a0% of the test videos; chance: 10.0\u00a0%"' in with_chance
    assert '<i style="width:25.00%"></i><u style="left:10.00%"></u>' in with_chance
    without = page.score("rgb", "of a run", "", 0.25, None, "run-0")
    assert 'aria-label="rgb: 25.0\u00a0%"' in without
    assert "<u " not in without


@pytest.mark.parametrize(("keys", "figures"), [(("loss", "top1"), 2), (("loss",), 1), (("other",), 0), ((), 0)])
def test_curves_are_drawn_of_what_the_histories_have(keys: tuple[str, ...], figures: int) -> None:
    history = [{"epoch": n, **dict.fromkeys(keys, 0.5)} for n in (1, 2)]
    drawn = "".join(page.curves({"rgb": history}, 0.1))
    assert drawn.count("<svg") == figures
    assert bool(drawn) == bool(figures)
    assert "http" not in drawn


def test_facts_are_escaped_and_left_out_where_there_are_none() -> None:
    assert "<dt>a&lt;</dt><dd>&gt;b</dd>" in "".join(page.facts([("a<", ">b")]))
    assert not list(page.facts([]))


def test_no_address_stands_in_a_page() -> None:
    written = page.page("A", "", "".join(page.curves({"rgb": HISTORY}, 0.1)))
    assert not re.search(r"https?:|//\w|@import|url\(", written)
