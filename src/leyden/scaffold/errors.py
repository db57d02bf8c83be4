"""What keeps the scaffold from writing."""


class ScaffoldError(Exception):
    """Nothing was written; the message says why and what to do."""
