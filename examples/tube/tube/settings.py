"""What can be set, from the environment (APP_DATA__URL), `.env` and `config.toml`."""

from pathlib import Path

import leyden
from leyden.auth import AuthSettings
from leyden.core.settings import files_in
from leyden.data import DataSettings
from leyden.http import HttpSettings

ROOT = Path(__file__).resolve().parent.parent


class Settings(leyden.Settings):
    model_config = files_in(ROOT)

    http: HttpSettings = HttpSettings()
    data: DataSettings = DataSettings(
        url=f"sqlite:///{ROOT}/var/tube.db",
        migrations=ROOT / "migrations",
    )
    auth: AuthSettings = AuthSettings(secret_file=ROOT / "var" / "secret.key")
