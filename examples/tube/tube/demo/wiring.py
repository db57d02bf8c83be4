from leyden import Battery


def battery() -> Battery:
    return Battery(name="demo", requires=("videos",), commands={"tube": "tube.demo.commands:commands"})
