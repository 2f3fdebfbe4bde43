"""The README's table of settings is the settings."""

import re
from pathlib import Path

from fhirserver.served_types import SERVED_TYPES
from fhirserver.settings import PREFIX, Settings

README = Path(__file__).parents[1] / "README.md"
INTERNAL = {"embedded"}


def test_every_setting_is_in_the_readme() -> None:
    listed = set(re.findall(rf"^\| `{PREFIX}(\w+)` ", README.read_text(), re.MULTILINE))
    assert listed == {name.upper() for name in Settings.model_fields if name not in INTERNAL}


def test_every_served_type_is_in_the_readme() -> None:
    text = README.read_text()
    assert all(type in text for type in SERVED_TYPES)
