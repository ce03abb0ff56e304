"""Processes of their own: what they cost from their start is part of what some scenarios measure."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

CACHE_VARIABLES = (
    *("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE", "JAX_ENABLE_COMPILATION_CACHE"),
    "SKBANDIT_COMPILATION_CACHE",
)

_CALL = (
    "import time; start = time.perf_counter(); import importlib, json, sys; "
    "function = getattr(importlib.import_module(sys.argv[1]), sys.argv[2]); "
    "print(json.dumps(function(start, **json.loads(sys.argv[3]))))"
)


def run_python(code: str, *arguments: str, **environment: str) -> str:
    """Run Python code in a fresh process, in the top folder of the checkout, and return what it printed.

    Compilation caches that the caller's environment sets up are left out, and so is the one that is there by default:
    whether there is one is what is compared.
    """
    environment = {"SKBANDIT_COMPILATION_CACHE": "0"} | environment
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(CACHE_VARIABLES)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"A measured process failed:\n{done.stderr}")
    return done.stdout


def cpu_seconds(code: str, *arguments: str, **environment: str) -> float:
    """Run Python code as `run_python` does, and return the CPU seconds of its process.

    BLAS has one thread: others spin while they wait, which counts. Bytecode is written, as it is for a user.
    """
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""} | environment

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    run_python(code, *arguments, **environment)
    return spent() - before


def call_in_process(
    function: Callable[..., Any], environment: dict[str, str] | None = None, *, here: bool = False, **arguments: Any
) -> Any:
    """Call a function of `children` in a fresh process; arguments and result go through JSON.

    Its first argument is the time when the process's code began. With ``here`` it is called in this process, to save
    the time that a process takes to start.
    """
    if here:
        return function(time.perf_counter(), **arguments)
    name = (function.__module__, function.__name__)
    return json.loads(run_python(_CALL, *name, json.dumps(arguments), **(environment or {})).splitlines()[-1])
