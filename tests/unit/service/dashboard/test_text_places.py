"""Places in a text as a browser counts them."""

from modelgenerator.service.dashboard.text_places import in_script, with_plain_breaks


def test_a_character_beyond_the_first_plane_counts_twice():
    text = "é🦊: x🦊"
    places = in_script(text, [6, 2, 0, 2, 4])
    assert places == {at: len(text[:at].encode("utf-16-le")) // 2 for at in (0, 2, 4, 6)}
    assert places[2] == 3


def test_a_text_is_gone_through_once_for_all_places():
    class Read(str):
        count = 0

        def __getitem__(self, part):
            piece = super().__getitem__(part)
            Read.count += len(piece)
            return piece

    text = Read("🦊" * 1_000)
    assert in_script(text, range(0, 1_001))[1_000] == 2_000
    assert Read.count == len(text)


def test_line_breaks_of_a_form_are_those_of_the_editor():
    assert with_plain_breaks("a\r\nb\rc\nd") == "a\nb\nc\nd"
