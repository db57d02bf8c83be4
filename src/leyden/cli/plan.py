"""How `leyden run` is to serve; a value that travels to the worker processes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """`implied` says that nothing set the environment, `again` that a reload started this process."""

    environment: str
    host: str
    port: int
    workers: int = 1
    implied: bool = False
    reload: bool = False
    again: bool = False
    access_log: bool = True

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the app."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 -- shown, not listened on
        return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{self.port}"
