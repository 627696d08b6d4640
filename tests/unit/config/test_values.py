"""No form of a database URL shows its password."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_node.config.values import mask_url, masked


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p@ss/w:rd@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://h/d?user=u&password=p&x=1", "postgresql://h/d?user=u&password=***&x=1"),
        ("postgresql://h/d?sslpassword=p", "postgresql://h/d?sslpassword=***"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("sqlite:////srv/echo.sqlite3", "sqlite:////srv/echo.sqlite3"),
        ("", ""),
    ],
)
def test_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


def test_tokens_and_passwords_of_archives_are_not_shown() -> None:
    assert masked(("priors", "qido_token"), "t0ken") == "***"
    assert masked(("priors", "qido_token"), "") == ""
    assert masked(("priors", "qido_url"), "https://u:p@h/d") == "https://u:***@h/d"


@given(st.text(alphabet="xyz@:/?&=%#", min_size=1).filter(lambda text: "x" in text))
def test_no_password_survives(password: str) -> None:
    assert "x" not in mask_url(f"postgresql://echo:{password}@db/echo").removeprefix("postgresql://echo:")
