from leyden import Battery


def battery() -> Battery:
    return Battery(name="demo", requires=("videos", "wallet"), seeds={"demo": "tube.demo.demonstration:demonstration"})
