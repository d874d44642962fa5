"""Runs the functions of a script one after the other and tells what each said. No framework: a run is a run."""

import os
import sys
import time
import traceback


def run(checks):
    """Calls every check; the process ends with 1 if one of them failed."""
    failed = []
    for check in checks:
        started = time.monotonic()
        try:
            check()
            print(f"  ok    {check.__name__.replace('_', ' ')} ({time.monotonic() - started:.2f} s)")
        except Exception:  # noqa: BLE001 - whatever it was, it is told and counted
            failed.append(check.__name__)
            print(f"  FAIL  {check.__name__.replace('_', ' ')}")
            traceback.print_exc(limit=-4, file=sys.stdout)
    print(f"  {len(checks) - len(failed)} of {len(checks)} passed")
    sys.stdout.flush()
    os._exit(1 if failed else 0)


def equal(answered, expected):
    """What came must be what was expected."""
    assert answered == expected, f"answered {answered!r}\nexpected {expected!r}"


def until(what, holds, seconds=20):
    """Waits for something to hold and returns what it gave."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
