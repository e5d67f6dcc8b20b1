"""One suite for every transport."""

import pytest

pytest.register_assert_rewrite("tests.transport.contract")
