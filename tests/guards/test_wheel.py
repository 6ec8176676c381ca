"""The wheel is the product: it must do the main job far from this checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_wheel_installed_elsewhere_runs_the_main_job(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(CHECKOUT)],
        check=True,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = ["-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([python, *install, "-c", str(CHECKOUT / "constraints.txt"), str(wheel)], check=True, cwd=tmp_path)
    story = subprocess.run(
        [python.with_name("newsletter"), "demo", "--no-serve", "--home", str(tmp_path / "home")],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert story.returncode == 0, story.stdout + story.stderr
