"""Settings of a small shop; LOGGING is the relevant part."""

from __future__ import annotations

from shop.request_id import request_id

SECRET_KEY = "only-an-example"
DEBUG = True
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
# Before all other middleware, so that its lines have the id too.
MIDDLEWARE = ["shop.request_id.RequestIdMiddleware"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "keyvalue": {
            "()": "logplex_handler.KeyValueFormatter",
            "static": {"request_id": request_id.get},
            # Django adds the request object to its own records as an extra.
            "omit": ["request"],
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "logplex": {"class": "logplex_handler.LogplexHandler", "formatter": "keyvalue"},
    },
    "root": {"handlers": ["console", "logplex"], "level": "INFO"},
    "loggers": {
        # The access log of `runserver`. Naming it here replaces Django's own console handler.
        "django.server": {"handlers": ["console", "logplex"], "level": "INFO", "propagate": False},
    },
}
