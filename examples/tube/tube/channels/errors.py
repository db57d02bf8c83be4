from leyden import LeydenError


class NotYoursError(LeydenError):
    """Only its owner may change this. Sign in with the account that made it."""

    status = 403
    code = "not_yours"
