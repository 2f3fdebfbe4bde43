"""Which codes the HL7 tables have: those that are a CodeSystem v2-NNNN in FHIR R4 or on terminology.hl7.org.

The codes of the other ones are any site's: HL7 has no system for them.
"""

import json
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("table_codes.json")


def find(number: str, code: str) -> str | None:
    """A code as table ``number`` (``0203``) writes it; None where there is no such table, or none like it."""
    codes = _tables().get(number)
    if codes is None:
        return None
    return codes.get(code, codes.get(code.casefold())) if codes else code


@cache
def _tables() -> dict[str, dict[str, str]]:
    """Number -> each code as it is and in lower case -> the code; {} where it is not told which there are."""
    tables = json.loads(_FILE.read_text()).items()
    return {
        number: {code.casefold(): code for code in codes} | {code: code for code in codes}
        for number, codes in tables
    }
