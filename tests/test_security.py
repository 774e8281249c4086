"""Every sentence that SECURITY.md promises has tests, which are named here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import strict
from tests.formatting.shared import line
from tests.logs import logging_to_receiver

ROOT = Path(__file__).parents[1]

# The beginning of each sentence, and the tests without which nobody would notice that it is broken.
PROMISES = {
    "It appears in no log line": [
        "test_leaks.py::test_no_failure_of_a_request_says_a_secret",
        "test_leaks.py::test_every_public_object_shows_itself_without_a_secret",
        "test_leaks.py::test_a_failing_formatter_is_reported_without_a_secret",
        "configuration/test_urls.py::test_a_malformed_url_is_not_shown",
        "configuration/test_urls.py::test_no_repr_shows_the_token",
    ],
    "No variable of the package's frames": [
        "test_leaks.py::test_a_bad_url_is_in_no_variable_of_a_traceback",
        "test_leaks.py::test_a_bad_option_beside_a_good_url_shows_neither",
        "test_leaks.py::test_an_interrupted_request_is_reported_without_a_secret",
    ],
    "The package writes it to no file": [
        "spool/test_confidentiality.py::test_neither_token_nor_url_is_written_to_disk",
        "spool/test_confidentiality.py::test_the_token_is_not_written_when_a_batch_is_cut_in_parts",
        "receiver/test_record.py::test_a_token_that_was_compressed_is_in_no_record",
    ],
    "It is sent only to the URL": [
        "delivery/test_answers.py::test_redirects_are_not_followed",
        "transport/test_open_connections.py::test_each_request_carries_its_own_credentials_number_and_id",
    ],
    "The package follows no redirects": [
        "transport/test_transport.py::test_redirects_are_answers",
        "transport/test_open_connections.py::test_a_redirect_is_an_answer_and_its_target_gets_nothing",
    ],
    "It does not read `~/.netrc`": [
        "configuration/test_request.py::test_netrc_does_not_replace_the_token",
    ],
    "It does not use the environment's proxy": [
        "transport/test_proxies.py::test_a_receiver_on_this_machine_is_reached_without_the_proxy",
    ],
    "All of this holds for the secrets": [
        "heroku/test_failed_look_ups.py::test_credentials_follow_no_redirect",
        "heroku/test_failed_look_ups.py::test_nothing_is_taken_from_netrc_and_no_check_is_left_out",
        "heroku/test_failed_look_ups.py::test_a_failed_request_leaves_nothing_in_memory",
        "heroku/test_tokens.py::test_an_interrupt_shows_no_secret",
    ],
    "Certificates are always verified": [
        "transport/test_transport.py::test_certificates_are_verified_whatever_the_session_says",
        "transport/test_tls.py::test_a_certificate_that_nobody_vouches_for_is_refused",
    ],
    "`http://` to another machine": [
        "configuration/test_request.py::test_http_beyond_this_machine_needs_allow_http",
    ],
    "A URL that comes from a provision request": [
        "heroku/test_private_hosts.py::test_a_private_host_is_refused_in_a_provision_request",
        "heroku/test_private_hosts.py::test_a_private_host_is_refused_in_a_look_up",
    ],
    "A name that has only private addresses": [
        "heroku/test_private_hosts.py::test_a_name_with_a_private_address_is_not_connected_to",
    ],
    "With `KeyValueFormatter`, no argument": [
        "formatting/test_injection.py::test_nothing_nasty_comes_out_of_an_argument",
        "formatting/test_injection.py::test_nothing_nasty_comes_out_of_an_extra",
        "formatting/test_long_lines.py::test_no_value_forges_a_line",
        "formatting/test_long_lines.py::test_whatever_is_logged_every_packet_is_a_line_by_itself",
        "transport/test_open_connections.py::test_a_frame_id_never_forges_a_header",
    ],
    "The key of an extra": [
        "formatting/test_injection.py::test_nothing_nasty_comes_out_of_the_key_of_an_extra",
    ],
    "Options with a line break": [
        "configuration/test_headers.py::test_no_header_option_can_hold_a_line_break",
    ],
    "It raises no error": [
        "fuzz/test_targets.py::test_no_input_is_too_hostile",
        "handler/test_nested_records.py::test_an_error_of_a_text_costs_only_the_text",
        "configuration/test_failing_records.py::test_what_cannot_be_formatted_is_counted",
    ],
    "The time that it takes": [
        "test_linear_time.py::test_time_is_in_proportion_to_the_length",
        "test_linear_time.py::test_no_text_takes_a_pattern_longer_than_its_length_says",
    ],
    "A value that logs": [
        "handler/test_nested_records.py::test_a_value_whose_text_logs_it",
        "handler/test_nested_records.py::test_an_exception_whose_text_logs_it",
    ],
    "What cannot fit in memory": [
        "handler/test_oversized_records.py::test_what_cannot_fit_is_not_escaped",
        "handler/test_oversized_records.py::test_a_traceback_that_cannot_fit_is_told_by_all_that_is_in_it",
    ],
    "A traceback of more": [
        "handler/test_oversized_records.py::test_a_traceback_of_exceptions_without_end_is_not_written",
    ],
    "`max_buffer_bytes` limits memory": [
        "buffer/test_accumulator.py::test_the_oldest_give_way_to_the_newest",
        "chaos/test_chaos.py::test_whatever_breaks_every_record_is_delivered_or_counted",
        "spool/test_bound.py::test_beyond_the_bound_memory_does_what_it_does_without",
    ],
    "An answer is limited": [
        "delivery/test_answers.py::test_a_long_answer_is_not_read_to_its_end",
        "delivery/test_answers.py::test_an_answer_that_trickles_is_given_up_after_four_times_the_timeout",
        "transport/test_open_connections.py::test_an_answer_that_trickles_is_given_up_on_an_open_connection_too",
        "heroku/test_failed_look_ups.py::test_an_api_that_trickles_is_given_up",
    ],
    "An answer of Heroku's APIs is not decompressed": [
        "heroku/test_compressed_answers.py::test_an_answer_that_grows_when_decoded_takes_no_memory",
    ],
    "Of its answer, only the status": [
        "delivery/test_answers.py::test_a_redirect_is_not_read_however_long_it_is",
        "transport/test_open_connections.py::test_an_answer_without_a_body_keeps_the_connection_unless_it_says_close",
    ],
    "A wait that it asks for": [
        "transport/test_transport.py::test_retry_after_is_read_in_both_forms"
    ],
    "A receiver that refuses one text": [
        "delivery/test_answers.py::test_of_a_refused_batch_only_the_packet_at_fault_is_lost",
        "sender/test_batch.py::test_frames_at_fault_are_found_although_the_status_concerns_the_url",
    ],
    "A cookie is not sent back": [
        "transport/test_open_connections.py::test_a_cookie_of_an_answer_is_not_sent_to_the_next_customer",
    ],
    "Whatever a row holds": [
        "spool/test_hostile_rows.py::test_whatever_a_row_holds_the_others_are_delivered",
    ],
    "A file that is not a spool": [
        "spool/test_hostile_files.py::test_tables_that_are_not_a_spools_are_refused",
        "spool/test_unusable_files.py::test_with_a_file_that_is_no_spool_memory_goes_on",
    ],
    "A file that grows without end": [
        "spool/test_hostile_files.py::test_a_file_that_grows_without_end_holds_nothing_up",
    ],
    "The process's own metrics": [
        "streams/test_contexts.py::test_metrics_that_are_first_recorded_for_a_customer_are_the_process_s_own",
        "streams/test_contexts.py::test_diagnostics_belong_to_no_customer",
    ],
    "What a garbage collection": [
        "streams/test_contexts.py::test_what_a_garbage_collection_logs_belongs_to_no_customer",
        "streams/test_contexts.py::test_what_is_logged_about_any_object_that_goes_belongs_to_no_customer",
    ],
}


def _sentences():
    """What the section promises, without the words in bold, which only say what it is about."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    section = text.split("\n## What the package promises\n")[1].split("\n## ")[0]
    for promise in section.split("\n- ")[1:]:
        words = re.sub(r"\s+", " ", re.sub(r"\*\*.*?\*\*", "", promise, flags=re.DOTALL)).strip()
        yield from re.split(r"(?<=[.]) (?=[A-Z`])", words)


def test_every_sentence_has_tests():
    """And there is no test for a sentence that is gone."""
    begun = {
        sentence: [one for one in PROMISES if sentence.startswith(one)] for sentence in _sentences()
    }
    assert [sentence for sentence, found in begun.items() if len(found) != 1] == []
    assert sorted(one for found in begun.values() for one in found) == sorted(PROMISES)


@pytest.mark.parametrize("promise", PROMISES)
def test_the_tests_of_a_sentence_are_there(promise):
    """By file and name."""
    for test in PROMISES[promise]:
        file, name = test.split("::")
        assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test


# Hostile input: the rows of the table.

EVIL = 'bob" admin=true measure#revenue=1000000 \x1b[31m\n<190>1 forged'


def _metrics(text):
    return strict.metrics(strict.pairs(text))


def test_an_argument_and_an_extra_stay_one_value():
    """However they try to end their quotes."""
    text = line("user=%s", EVIL, extra={"path": EVIL})
    assert [key for key, _ in strict.pairs(text)] == ["level", "logger", "user", "path"]
    assert not _metrics(text)


def test_a_message_of_pairs_stays_so_with_the_metrics_of_a_user():
    """The warning of the page: an f-string is the message itself."""
    assert len(_metrics(line("user=bob measure#revenue=1000000"))) == 1
    assert not _metrics(line("user is bob measure#revenue=1000000"))


def test_a_template_of_a_user_is_delivered_with_its_error():
    """Whatever the percent signs in it ask for."""
    pairs = dict(strict.pairs(line("100% %s", "x")))
    assert pairs["msg"] == "100% %s"
    assert pairs["log_error"].startswith("ValueError")


def test_a_key_of_a_user_is_no_metric_and_none_of_the_lines_own():
    """It can be any other."""
    found = strict.pairs(line("hello", extra={"count#x": 1, "level": "x", 'a" b=c': 2}))
    assert [key for key, _ in found[2:]] == ["msg", "count_x", "level_", "abc"]


def test_characters_that_mean_something_to_a_terminal_are_escaped():
    """Line breaks, the codes of colours, and what is no character; others of Unicode are not."""
    with logging_to_receiver() as (logplex, logger, handler):
        handler.setFormatter(None)
        logger.info("\x1b[31m\n\x9b\u202e\udc80")
        assert handler.flush()
    text = logplex.lines[0].text
    assert text.endswith('msg="\\u001b[31m\\n\\u009b\u202e\ufffd"')


def test_a_text_of_another_formatter_is_sent_as_it_is():
    """The first of the two things that are left to you: a metric in it is one."""
    with logging_to_receiver() as (logplex, logger, handler):
        logger.info("%s", "measure#revenue=1000000")
        assert handler.flush()
    assert logplex.lines[0].text == "measure#revenue=1000000"
