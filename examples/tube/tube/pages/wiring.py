from leyden import Battery
from leyden.core import NotFoundError

from tube.pages.missing import answer_missing
from tube.pages.routes import router


def battery() -> Battery:
    return Battery(
        name="pages",
        requires=("http", "videos"),
        routers=(router,),
        exception_handlers={404: answer_missing, NotFoundError: answer_missing},
    )
