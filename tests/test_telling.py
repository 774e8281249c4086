"""Who is told of which drops, and that the numbers agree."""

from logplex_handler._buffer.accumulator import Buffer, BufferLimits
from logplex_handler._process.diagnostics import Stderr
from logplex_handler._sender.drop_notices import Telling


def dropping(capsys, on_drop=None):
    buffer = Buffer(BufferLimits(100, "drop_newest", 10, 100), lambda entry: (10, 1))
    return buffer, Telling(buffer, Stderr(), on_drop)


def test_each_drop_is_called_back_for_once(capsys):
    """By cause, with the number since the last time."""
    called = []
    buffer, telling = dropping(capsys, lambda number, cause: called.append((number, cause)))
    buffer.refuse("format_error")
    buffer.refuse("format_error")
    telling.tell()
    telling.tell()
    buffer.refuse("refused")
    telling.tell()
    assert called == [(2, "format_error"), (1, "refused")]


def test_stderr_hears_of_all_drops_at_last_though_not_of_each_at_once(capsys):
    """Once a minute at most, and what is left over when the handler is closed."""
    buffer, telling = dropping(capsys)
    buffer.refuse("refused")
    telling.tell()
    buffer.refuse("refused")
    buffer.refuse("format_error")
    telling.tell()
    assert telling.tell(at_last=True) == {"refused": 1, "format_error": 1}
    assert capsys.readouterr().err.splitlines() == ["logplex_handler: 1 record dropped (refused 1)"]


def test_a_notice_tells_what_the_stream_does_not_know_yet(capsys):
    """If it is not delivered, the next one tells it again."""
    buffer, telling = dropping(capsys)
    assert not telling.is_due_in_stream
    buffer.refuse("refused")
    telling.tell()
    assert telling.is_due_in_stream
    assert telling.begin_notice() == {"refused": 1}
    assert not telling.is_due_in_stream
    telling.end_notice(delivered=False)
    buffer.refuse("refused")
    telling.tell()
    assert telling.begin_notice() == {"refused": 2}
    telling.end_notice(delivered=True)
    assert telling.told_in_stream == 2
    assert not telling.is_due_in_stream


def test_a_drop_during_a_notice_is_told_by_the_next_one(capsys):
    """Even one that is not to be called back for."""
    called = []
    buffer, telling = dropping(capsys, lambda number, cause: called.append(number))
    buffer.refuse("refused")
    telling.tell()
    telling.begin_notice()
    telling.leave_out("buffer_full")
    buffer.refuse("buffer_full")
    telling.tell()
    telling.end_notice(delivered=True)
    assert telling.told_in_stream == 1
    assert telling.is_due_in_stream
    assert telling.begin_notice() == {"buffer_full": 1}
    assert called == [1]
