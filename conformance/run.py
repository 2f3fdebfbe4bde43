"""Running the cases of checks, several at a time."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from conformance.checks import Case, Check
from conformance.client import Client, Unreachable
from conformance.expect import Failed, NotOffered
from conformance.statement import Statement
from conformance.target import Target

Status = Literal["pass", "fail", "warning", "not claimed"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a case came to, in ``seconds``; ``case`` is None where the check's needs are not claimed."""

    check: Check
    status: Status
    case: Case | None = None
    reason: str = ""
    seconds: float = 0.0


def run(
    client: Client, statement: Statement, checks: Sequence[Check], types: tuple[str, ...], jobs: int = 8
) -> Iterator[Result]:
    """Run the checks on the types; results come in the order of the checks."""
    cases = [case for check in checks for case in (check.cases(statement, types) or (check,))]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda case: _run(client, statement, case), cases)


def _run(client: Client, statement: Statement, case: Case | Check) -> Result:
    if isinstance(case, Check):
        return Result(case, "not claimed")
    began = time.monotonic()
    target = Target(client, statement, case.type, case.item)
    try:
        case.check.function(target)
    except NotOffered:
        return Result(case.check, "not claimed", case)
    except Failed as failure:
        reason = str(failure)
    except Unreachable as error:
        reason = f"no answer: {error}"
    except Exception as error:
        # An answer that is shaped in a way the check did not think of is the server's failure, too.
        reason = f"the answer could not be understood: {type(error).__name__}: {error}"[:300]
    else:
        reason = ""
    finally:
        target.clean()
    failed: Status = "warning" if case.check.should else "fail"
    return Result(case.check, failed if reason else "pass", case, reason, time.monotonic() - began)
