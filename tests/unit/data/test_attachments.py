"""Names of files in a header: whole where they can be, and never more than a name."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.data.attachments import content_disposition


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("films.csv", 'attachment; filename="films.csv"'),
        ("my films.csv", 'attachment; filename="my films.csv"'),
        ("../../etc/passwd", 'attachment; filename="_.._etc_passwd"'),
        ('a"; filename="b.exe', 'attachment; filename="a_; filename=_b.exe"'),
        ("a\r\nSet-Cookie: b", 'attachment; filename="a_Set-Cookie_ b"'),
        ("100%41.csv", 'attachment; filename="100_41.csv"'),
        ("Größe.csv", "attachment; filename=\"Groe.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"),
        ("影片.csv", "attachment; filename=\"csv\"; filename*=UTF-8''%E5%BD%B1%E7%89%87.csv"),
        ("影片", "attachment; filename=\"download\"; filename*=UTF-8''%E5%BD%B1%E7%89%87"),
        ("...", 'attachment; filename="download"'),
        ("invoice\u202efdp.exe", 'attachment; filename="invoice_fdp.exe"'),
    ],
)
def test_a_name_is_plain_for_old_clients_and_whole_for_the_others(name: str, header: str) -> None:
    assert content_disposition(name) == header


@given(st.text(min_size=1))
def test_any_name_makes_a_header_of_one_line_that_can_be_sent(name: str) -> None:
    header = content_disposition(name)
    found = re.fullmatch(
        r'attachment; filename="([^"\\\x00-\x1f\x7f-\xff]+)"(?:; filename\*=UTF-8\'\'([\w%.~-]+))?', header
    )
    assert found is not None
    header.encode("latin-1")
    whole = unquote(found[2]) if found[2] else found[1]
    assert not set(whole) & set("/\\\0\r\n")
