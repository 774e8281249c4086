"""What is printed while nobody reads the output."""

from __future__ import annotations

import threading

from logplex_handler.receiver.printer import PatientPrinter


class Output:
    """An output that is read when `is_read` is set."""

    def __init__(self):
        self.written = []
        self.is_entered, self.is_read = threading.Event(), threading.Event()

    def write(self, text):
        self.is_entered.set()
        assert self.is_read.wait(100)
        self.written.append(text)

    def flush(self):
        pass


def test_what_waits_for_a_reader_is_bounded():
    """What comes when it is full is left out, and counted."""
    output, said = Output(), []
    printer = PatientPrinter(lambda: output, said.append, max_waiting=10)
    printer.write("first\n")
    assert output.is_entered.wait(100)
    printer.write("0123456789\n")
    printer.write("left\nout\n")
    assert not printer.finish(0.0)
    output.is_read.set()
    assert printer.finish(100)
    printer.write("last\n")
    assert printer.finish(100)
    assert output.written == ["first\n", "0123456789\n", "last\n"]
    assert said == ["  - 2 lines are left out here: the output was not read"]


def test_a_reader_that_is_gone_ends_nothing():
    """Whoever asks learns of it, and no text waits."""

    class Closed(Output):
        def write(self, text):
            raise BrokenPipeError

    printer = PatientPrinter(Closed, print)
    printer.write("first\n")
    assert printer.reader_is_gone.wait(100)
    printer.write("second\n")
    assert printer.finish(100)


def test_a_slow_reader_gets_all(monkeypatch):
    """The wait for it begins anew with each piece that it reads, however long the rest takes."""
    begun, waits = threading.Semaphore(0), []

    class Slow(Output):
        def write(self, text):
            # During the next wait.
            assert begun.acquire(timeout=100)
            self.written.append(text)

    output, text = Slow(), "0123456789\n" * 20_000
    printer = PatientPrinter(lambda: output, print)
    wait = printer._changed.wait

    def noted_wait(timeout=None):
        if timeout is None:
            return wait()
        waits.append(timeout)
        begun.release()
        return wait(100)

    monkeypatch.setattr(printer._changed, "wait", noted_wait)
    printer.write(text)
    assert printer.finish(1)
    assert "".join(output.written) == text
    assert len(waits) >= len(output.written) > 2
    assert set(waits) == {1}
