"""Serve the project in this folder, ask it whether it is ready, and stop it."""

import sys
from pathlib import Path

from leyden.testing import LiveServer

with LiveServer(Path.cwd()) as server:
    print(f"ready at {server.url}")
    stopped = server.stop()
print(f"stopped with exit code {stopped.code} after {stopped.seconds:.1f} s")
sys.exit(stopped.code)
