"""Errors of the API: a message and the HTTP status that carries it."""

from __future__ import annotations


class ApiError(Exception):
    """Answered as ``{"error": message, "status": status}``."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def bad_request_body(cause: str) -> ApiError:
    """400: the body is not what the call takes."""
    return ApiError(f"bad request body: {cause}", 400)


def missing_field(name: str) -> ApiError:
    """400: a required field is absent or empty."""
    return ApiError(f"missing required field: {name}", 400)


def invalid_stream() -> ApiError:
    """400: a toxic's stream is neither upstream nor downstream."""
    return ApiError("stream was invalid, can be either upstream or downstream", 400)


def invalid_toxic_type() -> ApiError:
    """400: no such kind of toxic."""
    return ApiError("invalid toxic type", 400)


def proxy_not_found() -> ApiError:
    """404: no proxy of that name."""
    return ApiError("proxy not found", 404)


def toxic_not_found() -> ApiError:
    """404: no toxic of that name on the proxy."""
    return ApiError("toxic not found", 404)


def proxy_already_exists() -> ApiError:
    """409: a proxy of that name exists."""
    return ApiError("proxy already exists", 409)


def toxic_already_exists() -> ApiError:
    """409: a toxic of that name exists on the proxy."""
    return ApiError("toxic already exists", 409)


def address_error(message: str) -> ApiError:
    """500: an address cannot be understood, resolved or bound."""
    return ApiError(message, 500)
