"""The layers of the stack in `leyden.http.wiring`, one a file."""
