"""Decoys: what a refused login is compared with."""

import pytest

from leyden.auth import AuthSettings
from leyden.auth.decoys import Decoys

TODAY = AuthSettings(hash_memory=1024, hash_time=2, hash_lanes=1)
REST = "$c29tZXNhbHQ$c29tZWRpZ2VzdA"
NOW = f"$argon2id$v=19$m=1024,t=2,p=1{REST}"
OLD = f"$argon2id$v=19$m=512,t=1,p=1{REST}"
IMPORTED = f"$argon2i$m=1024,t=2,p=1{REST}"


def parameters(hashes: tuple[str, ...]) -> list[str]:
    return [hashed.rsplit("$", 2)[0] for hashed in hashes]


def test_there_is_one_for_each_kind_of_hash_in_the_order_in_which_they_were_met() -> None:
    decoys = Decoys(TODAY)
    assert parameters(decoys.beside(None)) == parameters((NOW,))
    decoys.meet([IMPORTED, NOW, OLD, OLD, "!", ""])
    assert parameters(decoys.beside(None)) == parameters((NOW, IMPORTED, OLD))


@pytest.mark.parametrize(("stored", "place"), [(NOW, 0), (IMPORTED, 1), (OLD, 2), (None, None), ("!", None)])
def test_the_same_work_in_the_same_order_whatever_is_stored(stored: str | None, place: int | None) -> None:
    decoys = Decoys(TODAY)
    decoys.meet([IMPORTED, OLD])
    hashes = decoys.beside(stored)
    assert parameters(hashes) == parameters((NOW, IMPORTED, OLD))
    assert [number for number, hashed in enumerate(hashes) if hashed == stored] == ([] if place is None else [place])


def test_a_decoy_is_never_the_same_twice() -> None:
    assert Decoys(TODAY).beside(None) != Decoys(TODAY).beside(None)


def test_all_others_together_cost_at_most_four_hashes_of_today() -> None:
    decoys = Decoys(TODAY)
    three, two, one = (f"$argon2id$v=19$m={1024 * times},t=2,p=4{REST}" for times in (3, 2, 1))
    decoys.meet([three, two, one, OLD])
    assert parameters(decoys.beside(None)) == parameters((NOW, three, one))
    assert decoys.beside(two)[-1] == two
