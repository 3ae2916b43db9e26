"""Names of files that are as short as they can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from experiment.short_names import short_names


def test_the_end_of_the_path_is_the_name() -> None:
    """Folders and suffix are left out; a name is no path."""
    assert short_names(["/a/smoke/control.yaml", "smoke/control", "x/slow.yml"]) == {
        "/a/smoke/control.yaml": "control",
        "smoke/control": "smoke/control",
        "x/slow.yml": "slow",
    }


def test_two_files_of_one_name_keep_their_folders() -> None:
    """As many as are needed; one that is like a name, too."""
    assert short_names(["/a/smoke/control.yaml", "/a/night/control.yaml"]) == {
        "/a/smoke/control.yaml": "smoke/control",
        "/a/night/control.yaml": "night/control",
    }
    assert short_names(["/a/x.yaml", "x"])["/a/x.yaml"] == "a/x"


@given(st.lists(st.text("ab/.y", min_size=1, max_size=8).map(lambda text: text + ".yaml"), unique=True))
def test_no_two_files_have_one_name(paths: list[str]) -> None:
    """Whatever they are called."""
    names = short_names(paths)
    assert set(names) == set(paths)
    assert len(set(names.values())) == len(paths)
