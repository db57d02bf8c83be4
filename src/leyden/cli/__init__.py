"""The `leyden` command line."""
