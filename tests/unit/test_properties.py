"""Properties are found whatever the case of their key."""

from __future__ import annotations

import pytest

from jobsaga.exceptions import InvalidMessage
from jobsaga.properties import Properties


def test_keys_are_found_in_any_case_and_keep_their_spelling() -> None:
    properties = Properties({"TenantId": "acme"})
    assert properties["tenantid"] == properties.get("TENANTID") == "acme"
    assert "tENANTiD" in properties
    assert list(properties) == ["TenantId"]
    assert properties.to_dict() == {"TenantId": "acme"}


def test_what_is_not_there() -> None:
    properties = Properties({"a": 1})
    assert properties.get("b") is None
    assert properties.get("b", 5) == 5
    assert "b" not in properties
    assert 1 not in properties
    with pytest.raises(KeyError):
        properties["b"]


def test_merging_replaces_and_removes() -> None:
    first = Properties({"Region": "east", "tier": 1})
    merged = first.merged({"REGION": "west", "Tier": None, "new": True})
    assert merged.to_dict() == {"REGION": "west", "new": True}
    assert first.to_dict() == {"Region": "east", "tier": 1}
    assert first.merged(None) == first


def test_none_is_no_value() -> None:
    assert Properties({"a": None}) == Properties() == {}
    assert len(Properties({"a": None, "b": 0})) == 1


def test_the_same_key_twice_keeps_the_last() -> None:
    assert Properties({"a": 1, "A": 2}).to_dict() == {"A": 2}


def test_equality_ignores_case() -> None:
    assert Properties({"A": 1}) == Properties({"a": 1}) == {"a": 1}
    assert hash(Properties({"A": 1})) == hash(Properties({"a": 1}))
    assert Properties({"A": 1}) != Properties({"A": 2})
    assert Properties({"A": 1}) != 1


@pytest.mark.parametrize("key", [1, "", None])
def test_keys_are_names(key: object) -> None:
    with pytest.raises(InvalidMessage, match="names that are strings"):
        Properties({key: 1})  # type: ignore[dict-item]
