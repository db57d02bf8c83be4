from leyden import Battery

from tube.dashboard.routes import router


def battery() -> Battery:
    return Battery(name="dashboard", requires=("videos", "wallet"), routers=(router,))
