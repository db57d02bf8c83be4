"""What could be wrong with the settings of accounts."""

import stat
from collections.abc import Iterator

from leyden.auth.settings import AuthSettings
from leyden.core import Check, Finding, Resources, Stage

# OWASP's weakest recommendations for argon2id, from 46 MiB in one pass to 7 MiB in five, come to about this.
_LEAST_WORK = 35 * 1024
_LEAST_MEMORY = 7 * 1024


def checks(settings: AuthSettings) -> tuple[Check, ...]:
    """What only the battery's own settings can tell."""

    def key_file_is_private(_resources: Resources) -> Iterator[Finding]:
        if settings.secret is None and settings.secret_file is not None and settings.secret_file.exists():
            readable = stat.S_IMODE(settings.secret_file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
            if readable:
                yield Finding(
                    "auth.W001",
                    f"Other users of this machine can open the key file {settings.secret_file}.",
                    f"Run: chmod 600 {settings.secret_file}",
                )

    def one_key_for_all_hosts(_resources: Resources) -> Iterator[Finding]:
        if settings.secret is None:
            yield Finding(
                "auth.W002",
                f"The signing key is the file {settings.secret_file} on this host; another host would refuse its tokens.",
                "With more than one host, or a disk that does not outlive a deployment, set APP_AUTH__SECRET to one value.",
            )

    def hashes_cost_enough(_resources: Resources) -> Iterator[Finding]:
        if settings.hash_memory < _LEAST_MEMORY or settings.hash_memory * settings.hash_time < _LEAST_WORK:
            yield Finding(
                "auth.E001",
                "Password hashes are cheap to guess with these settings of auth.hash_memory and auth.hash_time.",
                "Remove them: the defaults are right for a server. Hashes are renewed at each user's next login.",
            )

    return (
        Check(key_file_is_private, (Stage.START, Stage.DEPLOY)),
        Check(one_key_for_all_hosts, (Stage.DEPLOY,)),
        Check(hashes_cost_enough, (Stage.DEPLOY,)),
    )
