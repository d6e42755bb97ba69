"""C files of the project, for tests."""

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

FLAGS = "-std=c11 -Wall -Wextra -Werror -O2 -fsyntax-only -DPy_LIMITED_API=0x030B0000".split()


def complaints(source: Path) -> str:
    """What the compiler says of a file with all warnings on; skips where there is no compiler."""
    compiler, headers = shutil.which("cc"), Path(sysconfig.get_path("include"))
    if compiler is None or not (headers / "Python.h").exists():
        pytest.skip("needs a C compiler and Python's headers")
    done = subprocess.run([compiler, *FLAGS, f"-I{headers}", source], capture_output=True, text=True, check=False)
    return done.stderr or f"exit code {done.returncode}" * bool(done.returncode)
