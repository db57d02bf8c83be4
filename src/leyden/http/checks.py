"""What should not go to production like this."""

from collections.abc import Iterator

from leyden.core.checks import Check, Finding, Stage
from leyden.core.resources import Resources
from leyden.http.settings import HttpSettings


def deploy_checks(settings: HttpSettings) -> tuple[Check, ...]:
    def exposed(_resources: Resources) -> Iterator[Finding]:
        if "*" in settings.hosts:
            yield Finding("http.W001", "Every host name is answered to.", "List your own in http.hosts.")
        if settings.docs:
            yield Finding("http.W002", "The documentation pages are public.", "Leave http.docs unset.")
        if "*" in settings.cors_origins:
            yield Finding("http.W003", "Every website may read answers.", "List the origins in http.cors_origins.")

    return (Check(exposed, (Stage.DEPLOY,)),)
