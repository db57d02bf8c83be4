from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("arguments", [("--help",), (), ("-x",)])
def test_its_usage_says_what_can_follow(leyden: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    usage = next(line for line in leyden("new", *arguments).output.splitlines() if "Usage:" in line)

    assert usage.strip().endswith(" new [OPTIONS] NAME | feature NAME")
