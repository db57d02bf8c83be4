from leyden import Battery


def battery() -> Battery:
    return Battery(name="demo", requires=("videos", "wallet"), commands={"tube": "tube.demo.commands:commands"})
