from leyden.auth.settings import AuthSettings

__all__ = ["AuthSettings"]
