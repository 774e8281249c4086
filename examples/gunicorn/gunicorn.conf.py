"""gunicorn's own lines, its access log and the application's lines go to a log stream."""

from __future__ import annotations

# This format is key=value already, so the formatter keeps its pairs. No client can add one.
accesslog = "-"
access_log_format = (
    "method=%(m)s path=%(U)s status=%(s)s bytes=%(B)s service=%(M)sms "
    "request_id=%({x-request-id}i)s"
)

logconfig_dict: dict[str, object] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "keyvalue": {"()": "logplex_handler.KeyValueFormatter"},
        "generic": {"format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic"},
        "logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "keyvalue"},
    },
    "root": {"handlers": ["console", "logplex"], "level": "INFO"},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "propagate": True, "handlers": []},
        "gunicorn.access": {"level": "INFO", "propagate": True, "handlers": []},
    },
}
