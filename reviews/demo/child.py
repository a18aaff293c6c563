"""`python -m reviews.demo.child MODULE ARGUMENTS…`: runs the module for as long as the demo lives.

The demo holds the other end of standard input. When that closes – also because the demo was killed – this process
ends itself in the orderly way, so that nothing goes on serving or sending behind anybody's back.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    module = sys.argv[1]
    sys.argv = [module, *sys.argv[2:]]
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _end_with(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
