"""How the process forks and ends, what the package itself is doing, and what it writes to stderr.

Comes in: objects that must begin anew in a forked child, and functions to call at exit.
Goes out: calls of them at the right moment, and reports on stderr.
Must not know: records, streams, HTTP.

- `forks`: what happens to locks, threads and sockets when the process forks.
- `exits`: functions to call when the process ends.
- `signal_watch`: signals that the main thread has not noticed.
- `contexts`, `reentrancy`: the context of the package's own code, and which code it has called.
- `sigpipe`: a signal that would end the process where a connection does.
- `periodic`, `countdown`: calls once per interval, and time-outs.
- `mailbox`: a queue whose time-outs hold.
- `diagnostics`: lines on stderr.
- `checks`: checks of options, such as numbers of seconds.
- `lazy`: modules that are imported when they are first used.
- `version`: the package's version.
"""
