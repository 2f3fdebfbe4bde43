"""Which codes the HL7 tables have, those of which HL7 lists the codes (FHIR R4: CodeSystem v2-NNNN)."""

import json
from functools import cache
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("table_codes.json")


def find(number: str, code: str) -> str | None:
    """A code as table ``number`` (``0203``) writes it; None where the table has none like it.

    Tables that sites fill themselves have every code.
    """
    codes = _tables().get(number)
    return code if codes is None else codes.get(code, codes.get(code.casefold()))


@cache
def _tables() -> dict[str, dict[str, str]]:
    """Number -> each code as it is and in lower case -> the code."""
    tables = json.loads(_FILE.read_text()).items()
    return {
        number: {code.casefold(): code for code in codes} | {code: code for code in codes}
        for number, codes in tables
    }
