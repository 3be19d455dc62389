# --------------------------------------------------------------------------------------------
# Copyright (c) Microsoft Corporation. All rights reserved.
# Licensed under the MIT License. See License.txt in the project root for license information.
# --------------------------------------------------------------------------------------------
"""When a request is sent again, and how long that waits."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_acrimport.registry.errors import Cancelled, ConnectionFailed, OutOfTime, Reason, RegistryError
from azext_acrimport.registry.retry import MAX_WAIT_SECONDS, Clock, RetryPolicy, retry_after

NOON = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


class TestPolicy:
    def test_waits_double_up_to_the_cap(self) -> None:
        policy = RetryPolicy(retries=8, base_seconds=1, cap_seconds=10)
        assert [policy.delay(tries, None, 1.0) for tries in range(1, 7)] == [1, 2, 4, 8, 10, 10]

    def test_jitter_takes_away_half_at_most(self) -> None:
        assert RetryPolicy(base_seconds=1).delay(1, None, 0.0) == 0.5

    def test_gives_up_after_the_last_retry(self) -> None:
        policy = RetryPolicy(retries=2)
        assert policy.delay(2, None, 0.5) is not None
        assert policy.delay(3, None, 0.5) is None
        assert RetryPolicy(retries=0).delay(1, None, 0.5) is None

    def test_waits_as_long_as_the_registry_asks(self) -> None:
        delay = RetryPolicy(base_seconds=1).delay(1, 30.0, 0.5)
        assert delay is not None
        assert 30.0 <= delay <= 31.0

    def test_does_not_wait_for_ever(self) -> None:
        assert RetryPolicy().delay(1, MAX_WAIT_SECONDS + 1, 0.5) is None

    @given(st.integers(1, 50), st.none() | st.floats(0, 1e6), st.floats(0, 1))
    def test_a_wait_is_never_negative_nor_endless(self, tries: int, asked: float | None, chance: float) -> None:
        delay = RetryPolicy(retries=100).delay(tries, asked, chance)
        assert delay is None or 0 <= delay <= MAX_WAIT_SECONDS + 1


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0.0),
            ("17", 17.0),
            (" 17 ", 17.0),
            ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
            ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
            ("٣", None),
        ],
    )
    def test_seconds_or_a_date(self, value: str, seconds: float | None) -> None:
        assert retry_after({"retry-after": value}, NOON) == seconds

    def test_without_one(self) -> None:
        assert retry_after({}, NOON) is None

    def test_enormous_number_is_just_large(self) -> None:
        found = retry_after({"retry-after": "9" * 5000}, NOON)
        assert found is not None
        assert found > MAX_WAIT_SECONDS

    @given(st.text(max_size=40) | st.text(alphabet="0123456789 ,:+-GMTNovTue", max_size=40))
    def test_no_value_upsets_it(self, value: str) -> None:
        found = retry_after({"retry-after": value}, NOON)
        assert found is None or found >= 0


class TestClock:
    def test_sleep_ends_when_the_run_is_cancelled(self) -> None:
        clock = Clock()
        threading.Timer(0.01, clock.cancelled.set).start()
        clock.sleep(60)
        with pytest.raises(Cancelled):
            clock.check("r.io")

    def test_deadline_names_the_registry(self) -> None:
        clock = Clock(deadline=0.0)
        with pytest.raises(OutOfTime) as raised:
            clock.check("r.io")
        assert raised.value.host == "r.io"

    def test_goes_on_otherwise(self) -> None:
        clock = Clock(deadline=Clock().now() + 1000)
        clock.check("r.io")
        assert 0 <= clock.chance() <= 1


class TestRetryable:
    @pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
    def test_status_that_may_pass(self, status: int) -> None:
        assert RegistryError("r.io", "GET /", status).retryable

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 416, 501])
    def test_status_that_is_an_answer(self, status: int) -> None:
        assert not RegistryError("r.io", "GET /", status).retryable

    def test_certificate_does_not_get_better(self) -> None:
        assert not ConnectionFailed("r.io", "r.io", Reason.TLS, "x").retryable
        assert ConnectionFailed("r.io", "r.io", Reason.BROKEN, "x").retryable
