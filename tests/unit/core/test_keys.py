"""The secret: strong, made once, private."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from leyden.core import ConfigurationError
from leyden.core.keys import derive, refuse_weak_secret, secret_from

STRONG = "Zx8-kq3V_bT7wLr2mN5pYd9sHf4gJc6a"


@pytest.mark.parametrize("weak", ["", "hunter2", "a" * 64, "abcabcabc" * 8, STRONG[:-1]])
def test_a_secret_that_could_be_guessed_is_refused_with_a_way_to_make_one(weak: str) -> None:
    with pytest.raises(ConfigurationError, match=r"at least 32 characters.*Make one with: python -c") as caught:
        refuse_weak_secret(weak)
    assert weak == "" or weak not in caught.value.detail


def test_keys_for_different_purposes_differ_and_are_stable() -> None:
    assert derive(STRONG, "one") == derive(STRONG, "one") != derive(STRONG, "two")
    assert len(derive(STRONG, "one")) == 32


def test_a_missing_file_is_made_with_its_folder_for_the_owner_alone_and_read_the_same_again(tmp_path: Path) -> None:
    path = tmp_path / "var" / "secret.key"
    secret = secret_from(path, option="auth.secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_from(path, option="auth.secret") == secret
    assert [each.name for each in path.parent.iterdir()] == ["secret.key"]


def test_workers_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    for turn in range(20):
        path, together = tmp_path / f"{turn}.key", Barrier(8)

        def start(path: Path = path, together: Barrier = together) -> str:
            together.wait()
            return secret_from(path, option="auth.secret")

        with ThreadPoolExecutor(8) as pool:
            assert len({each.result() for each in [pool.submit(start) for _ in range(8)]}) == 1
    assert len(list(tmp_path.iterdir())) == 20


@pytest.mark.parametrize("content", [b"", b"changeme\n", b"\xff\xfe" * 40])
def test_a_file_that_holds_no_good_secret_is_named_and_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"secret\.key cannot be used: .*auth\.secret"):
        secret_from(path, option="auth.secret")
    assert path.read_bytes() == content


def test_a_folder_in_place_of_the_file_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used: Is a directory"):
        secret_from(tmp_path, option="auth.secret")
