from pathlib import Path

from leyden import Battery

from tube.wallet.models import Transfer, Wallet
from tube.wallet.routes import router


def battery() -> Battery:
    return Battery(
        name="wallet",
        requires=("data", "auth"),
        routers=(router,),
        models=(Wallet, Transfer),
        commands={"wallet": "tube.wallet.commands:commands"},
        locales=Path(__file__).parent / "locales",
    )
