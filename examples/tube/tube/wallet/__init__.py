"""Wallets: money that moves between people, and a ledger of every time it did."""

from tube.wallet.wiring import battery

__all__ = ["battery"]
