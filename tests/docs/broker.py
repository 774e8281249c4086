"""A Redis server in this process, for frameworks that need a broker."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Seconds that an answer may wait which nobody has asked for, such as of a blocking command.
_POLL = 0.01


@contextmanager
def redis() -> Iterator[str]:
    """Its URL, for a `with` block."""
    # Here, as collecting the tests would otherwise import them in every process.
    import fakeredis
    from fakeredis._clients._tcp_server import TCPFakeRequestHandler
    from redis.exceptions import ResponseError

    class Handler(TCPFakeRequestHandler):
        def handle(self) -> None:
            """As its base class, which now and then takes a lull for the end of its input."""
            client = self.current_client
            while not self.server._shutdown_event.is_set():
                if client.can_read():
                    try:
                        answer = client.read_response()
                    except ResponseError as error:
                        answer = error
                    self.writer.dump(answer)
                elif select.select([self.connection], [], [], _POLL)[0]:
                    self.connection.setblocking(True)
                    data = self.connection.recv(65536)
                    if not data:
                        return
                    client.get_socket().sendall(data)

    server = fakeredis.TcpFakeServer(("127.0.0.1", 0))
    server.RequestHandlerClass = Handler
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    finally:
        server.shutdown()
        server.server_close()
