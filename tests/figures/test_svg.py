from xml.etree import ElementTree

from keras_i3d.figures.svg import NAMESPACE, drawing, element, words


def test_attributes_are_spelt_as_svg_spells_them():
    assert element("line", class_="grid", stroke_width=1.5, x1=3.0, y1=None) == (
        '<line class="grid" stroke-width="1.5" x1="3"/>'
    )


def test_attribute_values_are_escaped():
    tag = ElementTree.fromstring(element("g", aria_label='<b>"x"&'))
    assert tag.get("aria-label") == '<b>"x"&'


def test_a_long_name_is_cut_and_whole_in_the_tooltip():
    tag = ElementTree.fromstring(words("turns <b>anti</b>clockwise", 8))
    assert tag.find("title").text == "turns <b>anti</b>clockwise"
    assert tag.find("title").tail == "turns <…"


def test_a_drawing_stands_alone_and_says_what_it_shows():
    root = ElementTree.fromstring(drawing("<g/>", width=10, height=20, label="a & b"))
    assert root.tag == f"{{{NAMESPACE}}}svg"
    assert root.get("viewBox") == "0 0 10 20"
    assert (root.get("role"), root.get("aria-label")) == ("img", "a & b")
