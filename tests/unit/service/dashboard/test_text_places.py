"""Places in a text as a browser counts them."""

from modelgenerator.service.dashboard.text_places import in_script, with_plain_breaks


def test_a_character_beyond_the_first_plane_counts_twice():
    text = "é🦊: x"
    assert text[in_script(text, 2) - 1] == ":"
    assert in_script(text, 2) == len(text[:2].encode("utf-16-le")) // 2 == 3


def test_line_breaks_of_a_form_are_those_of_the_editor():
    assert with_plain_breaks("a\r\nb\rc\nd") == "a\nb\nc\nd"
