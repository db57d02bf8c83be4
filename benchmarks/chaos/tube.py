"""Tube on a database of ours: migrated, served by several workers, with funded accounts."""

import asyncio
import os
import random
import subprocess
import sysconfig
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
from chaos.clients import Account, Teller
from chaos.ledger import Ledger, Unjudged

from leyden.testing import LiveServer

FOLDER = Path(__file__).parents[2] / "examples" / "tube"
LEYDEN = Path(sysconfig.get_path("scripts"), "leyden")
WORKERS = 2
ACCOUNTS = 10
GRANTED = 100_000
PASSWORD = "a long enough password"  # noqa: S105 -- guards nothing
PATIENCE = 60.0

Environment = dict[str, str]


def environment(url: str) -> Environment:
    """As in production, but for what is not tried here and takes long: passwords, and leave from a load balancer."""
    return {
        "APP_ENVIRONMENT": "production",
        "APP_DATA__URL": url,
        "APP_AUTH__SECRET": os.urandom(32).hex(),
        "APP_AUTH__ACCESS_TTL": "PT2H",
        "APP_AUTH__HASH_MEMORY": "1024",
        "APP_HTTP__DRAIN_DELAY": "0",
    }


def served(env: Environment) -> LiveServer:
    run("db", "upgrade", env=env)
    return LiveServer(FOLDER, workers=WORKERS, env=env, arguments=("--no-access-log",), deadline=PATIENCE)


def run(*arguments: str, env: Environment) -> None:
    ended = subprocess.run(
        [LEYDEN, *arguments],
        cwd=FOLDER,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        start_new_session=True,
    )
    if ended.returncode:
        raise Unjudged(f"`leyden {' '.join(arguments)}` failed: {(ended.stdout + ended.stderr)[-1000:]}")


def funded(url: str, env: Environment, ledger: Path, seed: int) -> list[Account]:
    """People with a wallet each. One gets the money, by the command; it sends the others theirs, as any client would."""
    accounts = asyncio.run(_accounts(url))
    run("wallet", "grant", _email(0), str(GRANTED), env=env)
    asyncio.run(_shared(url, accounts, ledger, seed))
    return accounts


async def _accounts(url: str) -> list[Account]:
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        return [await _account(client, _email(number)) for number in range(ACCOUNTS)]


async def _account(client: httpx2.AsyncClient, email: str) -> Account:
    await _asked(client, "POST", "/api/auth/register", json={"email": email, "password": PASSWORD})
    tokens = await _asked(client, "POST", "/api/auth/login", data={"username": email, "password": PASSWORD})
    token = str(tokens["access_token"])
    wallet = await _asked(client, "GET", "/api/wallet", headers={"Authorization": f"Bearer {token}"})
    return Account(wallet["id"], token)


async def _asked(client: httpx2.AsyncClient, method: str, path: str, **content: Any) -> Any:
    answer = await client.request(method, path, **content)
    if not answer.is_success:
        raise Unjudged(f"{method} {path} was answered {answer.status_code}: {answer.text[:300]}")
    return answer.json()


async def _shared(url: str, accounts: list[Account], path: Path, seed: int) -> None:
    first, *others = accounts
    with Ledger(path) as ledger:
        teller = Teller(url, ledger, random.Random(seed), until=monotonic() + PATIENCE)  # noqa: S311 -- to be repeated
        for other in others:
            answer = await teller.send(first, other, GRANTED // ACCOUNTS)
            if answer.status != 201:
                raise Unjudged(f"a wallet could not be funded: {answer}")
        teller.close()


def _email(number: int) -> str:
    return f"payer{number}@example.com"
