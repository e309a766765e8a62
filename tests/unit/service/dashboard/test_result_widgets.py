"""What a page shows of a run's results."""

from modelgenerator.service.dashboard.result_widgets import everything, widgets_of

RESULTS = {
    "drawn": {
        "images": [{"url": "/a.png", "width": 32, "prompt": "a fox", "seed": 7}, {"url": "/b.png"}]
    },
    "zip": {"url": "https://x.example/files/my%20pictures.zip?sign=1"},
    "made": {"n": 1},
}


def ui(*widgets):
    return {
        "results": {"widgets": [{"type": kind, "sources": sources} for kind, *sources in widgets]}
    }


def test_widgets_show_what_they_are_told_to_in_their_order():
    found = widgets_of(ui(("Download", "zip"), ("Images", "drawn"), ("Objects", "made")), RESULTS)
    assert [each.kind for each in found] == ["Download", "Images", "Objects"]
    assert found[0].things[0].filename == "my pictures.zip"
    assert [(each.alt, each.width) for each in found[1].pictures] == [
        ("a fox", 32),
        ("Picture 2", None),
    ]
    assert found[2].things[0].value == {"n": 1}


def test_what_is_not_there_yet_is_left_out():
    assert widgets_of(ui(("Images", "drawn", "later"), ("Objects", "later")), {}) == []
    assert widgets_of({}, RESULTS) == []


def test_a_file_is_called_as_its_step_wishes():
    (found,) = widgets_of(ui(("Download", "zip")), RESULTS, {"zip": "album.zip"})
    assert found.things[0].filename == "album.zip"


def test_without_widgets_everything_is_shown_as_fits_it():
    assert [each.kind for each in everything(RESULTS)] == ["Images", "Download", "Objects"]
