"""A record becomes a line of key=value text, and the line becomes frames.

Comes in: a `LogRecord`. Goes out: an entry, and later the frames of that entry. Knows nothing of
queues, threads or receivers.

`codec` is the way in and out. A record whose call site is compiled goes through `call_sites`, which
has two functions for it: `extract` makes the entry, `render` makes the frames. Both are made by
`codegen` of the call site's `layout` and the table `value_kinds`. All other records go through
`formatter`, whose parts are `record_parts`, `line`, `message_template` and `grammar`.
"""
