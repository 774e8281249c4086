"""A record becomes a line of key=value text, and the line becomes frames.

Comes in: a `LogRecord`.
Goes out: an entry, and later the frames of that entry.
Must not know: queues, threads, receivers.

- `codec`: the way in and out.
- `call_sites`: records whose `call_site` is compiled, which has two functions for them: that of
  `extract` makes the entry, that of `render` makes the frames. `codegen` makes both from the call
  site's `layout`, with a `kept_value` for each place, and the table `value_kinds`; `line_source`
  is what `render` writes.
- `formatter`: all other records. Its parts are `record_parts`, `line`, `message_template`,
  `tracebacks`, `value_text` and `grammar`.
- `fitting`: whether a record may fit into memory, before it is formatted. It asks
  `exception_texts` what an exception will write.
- `long_lines`: a line that is too long for a packet becomes several.
- `nesting`: records that are logged while another record is being formatted.
"""
