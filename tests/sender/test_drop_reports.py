"""Who learns of which drops, and that the numbers agree."""

from logplex_handler._buffer.accumulator import Accumulator
from logplex_handler._buffer.bounded_queue import BufferLimits
from logplex_handler._process.diagnostics import Diagnostics
from logplex_handler._sender.drop_reports import DropReports


def dropping(capsys, on_drop=None):
    accumulator = Accumulator(BufferLimits(100, "drop_newest", 10, 100), lambda entry: (10, 1))
    return accumulator, DropReports(accumulator, Diagnostics(), on_drop)


def test_each_drop_is_called_back_for_once(capsys):
    """By cause, with the number since the last time."""
    called = []
    accumulator, drop_reports = dropping(
        capsys, lambda number, cause: called.append((number, cause))
    )
    accumulator.drop("format_error")
    accumulator.drop("format_error")
    drop_reports.report_locally()
    drop_reports.report_locally()
    accumulator.drop("refused")
    drop_reports.report_locally()
    assert called == [(2, "format_error"), (1, "refused")]


def test_stderr_hears_of_all_drops_at_last_though_not_of_each_at_once(capsys):
    """Once a minute at most, and what is left over when the handler is closed."""
    accumulator, drop_reports = dropping(capsys)
    accumulator.drop("refused")
    drop_reports.report_locally()
    accumulator.drop("refused")
    accumulator.drop("format_error")
    drop_reports.report_locally()
    assert drop_reports.report_locally(closing=True) == {"refused": 1, "format_error": 1}
    assert capsys.readouterr().err.splitlines() == ["logplex_handler: 1 record dropped (refused 1)"]


def test_a_notice_tells_what_the_stream_does_not_know_yet(capsys):
    """If it is not delivered, the next one tells it again."""
    accumulator, drop_reports = dropping(capsys)
    assert not drop_reports.is_due_in_stream
    accumulator.drop("refused")
    drop_reports.report_locally()
    assert drop_reports.is_due_in_stream
    assert drop_reports.begin_stream_notice() == {"refused": 1}
    assert not drop_reports.is_due_in_stream
    drop_reports.end_stream_notice(is_reported=False)
    accumulator.drop("refused")
    drop_reports.report_locally()
    assert drop_reports.begin_stream_notice() == {"refused": 2}
    drop_reports.end_stream_notice(is_reported=True)
    assert drop_reports.reported_in_stream == 2
    assert not drop_reports.is_due_in_stream


def test_a_drop_during_a_notice_is_told_by_the_next_one(capsys):
    """Even one that is not to be called back for."""
    called = []
    accumulator, drop_reports = dropping(capsys, lambda number, cause: called.append(number))
    accumulator.drop("refused")
    drop_reports.report_locally()
    drop_reports.begin_stream_notice()
    drop_reports.skip_callback("buffer_full")
    accumulator.drop("buffer_full")
    drop_reports.report_locally()
    drop_reports.end_stream_notice(is_reported=True)
    assert drop_reports.reported_in_stream == 1
    assert drop_reports.is_due_in_stream
    assert drop_reports.begin_stream_notice() == {"buffer_full": 1}
    assert called == [1]
