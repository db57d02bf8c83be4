"""Why money does not move.

LeydenError
├── InsufficientFundsError    409  insufficient_funds  the wallet has less than that
├── OwnWalletError            422  own_wallet          from a wallet to itself
├── ConflictError
│   └── ReferenceUsedError    409  reference_used      this transfer has been made
└── NotFoundError
    └── UnknownWalletError    404  unknown_wallet      nobody has a wallet with this id
"""

from leyden import LeydenError
from leyden.core import NotFoundError
from leyden.data import ConflictError


class InsufficientFundsError(LeydenError):
    """There is less in your wallet than that. Nothing was sent."""

    status = 409
    code = "insufficient_funds"


class OwnWalletError(LeydenError):
    """The wallet is your own. Name the one that is to get the money."""

    status = 422
    code = "own_wallet"


class ReferenceUsedError(ConflictError):
    """A transfer of yours has this reference: it has been made, and was not made again. Use a new one for another."""

    code = "reference_used"


class UnknownWalletError(NotFoundError):
    """There is no wallet with this id in your currency. Nothing was sent."""

    code = "unknown_wallet"
