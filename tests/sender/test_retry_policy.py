"""What an answer means for the batch, and how long to wait."""

from __future__ import annotations

import pytest

from logplex_handler._sender import retry_policy
from logplex_handler._sender.retry_policy import Action, decide, wait
from logplex_handler._transport.answer import Answer

AGAIN = {408, 425, 429, *range(500, 600)}
LOOK_UP = {401, 403, 404, 405, 407, 410, 415, *range(300, 400)}
HALVE = {*range(400, 500)} - AGAIN - LOOK_UP


@pytest.mark.parametrize("status", range(200, 300))
def test_every_2xx_is_delivered(status):
    """Logplex answers 204; 200 and 202 are seen elsewhere."""
    assert decide(Answer(status=status)) is Action.FORGET


@pytest.mark.parametrize("status", sorted(AGAIN))
def test_what_passes_is_sent_again(status):
    """408, 425, 429 and all of 5xx say nothing about the batch or the URL."""
    assert decide(Answer(status=status)) is Action.AGAIN


@pytest.mark.parametrize("status", sorted(LOOK_UP))
def test_what_concerns_the_url_keeps_the_batch(status):
    """The credentials, the place or the method are refused, or another place is named."""
    assert decide(Answer(status=status)) is Action.LOOK_UP


@pytest.mark.parametrize("status", sorted(HALVE))
def test_what_concerns_the_batch_cuts_it(status):
    """413, 400 and every 4xx without a meaning of its own."""
    assert decide(Answer(status=status)) is Action.HALVE


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999, 0])
def test_what_is_no_final_answer_is_sent_again(status):
    """Nothing is dropped, and nothing taken as delivered, for a status without a meaning."""
    assert decide(Answer(status=status)) is Action.AGAIN


@pytest.mark.parametrize("maybe_delivered", [True, False])
@pytest.mark.parametrize("failure", ["ReadTimeout", "ConnectionError", "SSLError", ""])
def test_no_answer_is_sent_again(failure, maybe_delivered):
    """A reset or a time-out never cuts or drops a batch."""
    answer = Answer(failure=failure, maybe_delivered=maybe_delivered)
    assert decide(answer) is Action.AGAIN


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(status=204), "status 204"),
        (Answer(failure="ReadTimeout"), "ReadTimeout"),
        (Answer(status=503, retry_after=5.0), "status 503"),
    ],
)
def test_an_answer_says_what_it_was(answer, text):
    """In words that can stand on stderr."""
    assert str(answer) == text


@pytest.mark.parametrize(
    ("attempt", "longest"),
    [(1, 0.5), (2, 1), (3, 2), (4, 4), (5, 8), (6, 16), (7, 30), (8, 30), (100, 30), (10**6, 30)],
)
def test_waits_double_from_half_a_second_to_thirty(attempt, longest):
    """Jitter takes up to half of each, so that those who failed together come back apart."""
    assert wait(attempt, 1.0, retry_policy.LONGEST_WAIT) == longest
    assert wait(attempt, 0.0, retry_policy.LONGEST_WAIT) == longest / 2
    assert wait(attempt, 0.5, retry_policy.LONGEST_WAIT) == longest * 0.75


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (11, 512), (12, 600), (10**9, 600)])
def test_a_refused_stream_waits_up_to_ten_minutes(attempt, longest):
    """The same way with another limit."""
    assert retry_policy.LONGEST_REFUSED_WAIT == 600
    assert wait(attempt, 1.0, retry_policy.LONGEST_REFUSED_WAIT) == longest
    assert wait(attempt, 0.0, retry_policy.LONGEST_REFUSED_WAIT) == longest / 2
