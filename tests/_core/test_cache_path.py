"""What the path of the compilation cache may be."""

import pytest

import skbandit


@pytest.mark.parametrize(
    ("path", "error"),
    [(3, TypeError), (2.5, TypeError), ([], TypeError), (True, TypeError), ("a\0b", ValueError), (b"\0", ValueError)],
)
def test_what_is_no_path_is_named(cache_settings, path, error):
    with pytest.raises(error, match="The 'path' of the compilation cache must"):
        skbandit.enable_compilation_cache(path)
