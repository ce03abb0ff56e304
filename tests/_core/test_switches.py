"""Words of environment variables that switch something on or off."""

import pytest

from skbandit._core.switches import is_off, is_on


@pytest.mark.parametrize(
    ("text", "says"),
    [
        *((text, "off") for text in ("0", " 0", "False", "no\n", "OFF", "none", "None", "disabled")),
        *((text, "on") for text in ("1", " 1 ", "true", "YES", "on", "enabled")),
        *((text, None) for text in ("", " ", "00", "2", "/tmp", "nothing", "./on")),
    ],
)
def test_words(text, says):
    assert (is_off(text), is_on(text)) == (says == "off", says == "on")
