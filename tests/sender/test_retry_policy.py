"""What an answer means for a batch, and how long to wait before the next attempt."""

from __future__ import annotations

import random

import pytest

from logplex_handler._sender import retry_policy
from logplex_handler._sender.batch import Refusal
from logplex_handler._sender.due import Urgency
from logplex_handler._sender.retry_policy import (
    Action,
    Backoff,
    Decision,
    Situation,
    decide,
    jittered_delay,
)
from logplex_handler._transport.answer import Answer

# Every combination of what a decision depends on besides the answer.
CONTEXTS = [
    Situation(
        may_look_up=may_look_up,
        failures=failures,
        host_failed=host_failed,
        refusal=Refusal(alone, is_of_all, is_of_part, probe_refused),
    )
    for may_look_up in (False, True)
    for failures in (0, 1, 2, 3, 100)
    for host_failed in (False, True)
    for alone in (0, 1, 7, 8, 100)
    for is_of_all in (False, True)
    for is_of_part in (False, True)
    for probe_refused in (False, True)
]
RETRIED = {408, 425, 429, *range(500, 600)}
ABOUT_THE_URL = {401, 403, 404, 405, 407, 410, 415, *range(300, 400)}
ABOUT_THE_BATCH = {*range(400, 500)} - RETRIED - ABOUT_THE_URL


def decided(answer, **context):
    """The decision in a context of which only this differs from the plainest one."""
    return decide(answer, Situation(**context))


def everywhere(answer):
    """What is decided in every context."""
    return [(context, decide(answer, context)) for context in CONTEXTS]


@pytest.mark.parametrize("status", range(200, 300))
def test_every_2xx_is_delivered(status):
    """Logplex answers 204; 200 and 202 are seen elsewhere. Nothing else matters."""
    assert {decision for _, decision in everywhere(Answer(status=status))} == {
        Decision(Action.ACCEPT)
    }


@pytest.mark.parametrize(
    "answer",
    [
        *[Answer(status=status) for status in sorted(RETRIED)],
        # What is no final answer says nothing, so nothing is dropped or taken as delivered.
        *[Answer(status=status) for status in (100, 101, 199, 600, 999, 0)],
        # A reset or a time-out never cuts or drops a batch.
        *[
            Answer(failure=failure, maybe_delivered=maybe_delivered)
            for failure in ("ReadTimeout", "ConnectionError", "SSLError", "")
            for maybe_delivered in (True, False)
        ],
        Answer(failure="TypeError", was_tried=False),
    ],
    ids=repr,
)
def test_what_passes_is_sent_again(answer):
    """408, 425, 429, all of 5xx and no answer at all say nothing about the batch or the URL."""
    for context, decision in everywhere(answer):
        assert decision == Decision(
            Action.RETRY,
            longest_wait=None if context.host_failed else retry_policy.LONGEST_WAIT,
            is_reported=context.failures >= 2,
        )


@pytest.mark.parametrize("status", sorted(ABOUT_THE_URL))
def test_what_concerns_the_url_sets_the_stream_aside(status):
    """The credentials, the place or the method are refused, or another place is named.

    Unless the receiver takes other parts: then it is the part, whatever the status says. If it has
    refused a probe as it refuses a batch, the status means as little as a 400.
    """
    for context, decision in everywhere(Answer(status=status)):
        if context.refusal.probe_refused:
            expected = decide(Answer(status=400), context)
        elif context.refusal.is_of_part and not context.may_look_up:
            expected = Decision(Action.SPLIT, refuses_part=True)
        else:
            expected = Decision(
                Action.SET_ASIDE,
                longest_wait=retry_policy.LONGEST_REFUSED_WAIT,
                looks_up=context.may_look_up,
                doubts_part=not context.may_look_up,
                is_reported=not context.may_look_up,
            )
        assert decision == expected


@pytest.mark.parametrize("status", sorted(ABOUT_THE_BATCH))
def test_what_concerns_the_batch_has_the_url_looked_up_once_then_splits_it(status):
    """But a batch that is too large is split at once; one that is refused whole is kept."""
    for context, decision in everywhere(Answer(status=status)):
        if context.may_look_up and status != 413:
            expected = Decision(Action.RESEND, looks_up=True)
        elif context.refusal.is_of_all:
            expected = Decision(
                Action.SET_ASIDE,
                longest_wait=retry_policy.LONGEST_REFUSED_WAIT,
                looks_up=context.may_look_up,
                refuses_part=True,
                is_reported=not context.may_look_up,
            )
        else:
            slows_down = context.refusal.alone >= 8
            expected = Decision(Action.SPLIT, refuses_part=True, slows_down=slows_down)
        assert decision == expected


@pytest.mark.parametrize(
    ("answers", "may_look_up", "action"),
    [
        # The rows of "Reading the answers as a sender should", with and without a look-up.
        ([200, 202, 204], True, Action.ACCEPT),
        ([200, 202, 204], False, Action.ACCEPT),
        ([401, 403, 404, 410], True, Action.SET_ASIDE),
        ([401, 403, 404, 410], False, Action.SET_ASIDE),
        ([408, 429, 500, 502, 503, 504, None], True, Action.RETRY),
        ([408, 429, 500, 502, 503, 504, None], False, Action.RETRY),
        ([413], True, Action.SPLIT),
        ([413], False, Action.SPLIT),
        ([400, 402, 406, 409, 422, 431, 451], True, Action.RESEND),
        ([400, 402, 406, 409, 422, 431, 451], False, Action.SPLIT),
        # Of the documents' "400, 415, other 4xx", 415 says that the place is another one.
        ([405, 415, 301, 302, 307, 308], True, Action.SET_ASIDE),
        ([405, 415, 301, 302, 307, 308], False, Action.SET_ASIDE),
    ],
)
def test_the_rows_of_the_wire(answers, may_look_up, action):
    """What each answer of a receiver means."""
    for status in answers:
        decision = decided(Answer(status=status), may_look_up=may_look_up)
        assert decision.action is action
        is_lookable = action is Action.SET_ASIDE or action is Action.RESEND
        assert decision.looks_up is (may_look_up and is_lookable)


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
    assert jittered_delay(attempt, 1.0, retry_policy.LONGEST_WAIT) == longest
    assert jittered_delay(attempt, 0.0, retry_policy.LONGEST_WAIT) == longest / 2
    assert jittered_delay(attempt, 0.5, retry_policy.LONGEST_WAIT) == longest * 0.75


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (11, 512), (12, 600), (10**9, 600)])
def test_a_refused_stream_waits_up_to_ten_minutes(attempt, longest):
    """The same way with another limit."""
    assert retry_policy.LONGEST_REFUSED_WAIT == 600
    assert jittered_delay(attempt, 1.0, retry_policy.LONGEST_REFUSED_WAIT) == longest
    assert jittered_delay(attempt, 0.0, retry_policy.LONGEST_REFUSED_WAIT) == longest / 2


@pytest.mark.parametrize("urgency", Urgency)
@pytest.mark.parametrize("retry_after", [None, 60])
def test_no_wait_outlasts_a_clock_that_was_set_back(urgency, retry_after):
    """As `freezegun` does: the wait would last for an hour."""
    answer = Answer(status=503, retry_after=retry_after)
    before = Backoff().after_failure(3600.0, answer, 30)
    after = before.by_clock(0.0)
    assert after.remaining(0.0, urgency) == before.remaining(3600.0, urgency) > 0.0
    assert after.by_clock(100.0).remaining(100.0, urgency) == 0.0


def test_the_application_keeps_its_random_numbers():
    """A program that has seeded `random` gets the same numbers beside a failing stream."""
    random.seed(42)
    expected = random.getstate()
    waits = {Backoff().after_failure(0.0, Answer(status=503), 30).not_before for _ in range(99)}
    assert len(waits) > 1
    assert random.getstate() == expected
