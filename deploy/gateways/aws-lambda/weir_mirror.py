"""Mirrors the requests of an AWS Lambda function to Weir: event, response and how long it took.

    from weir_mirror import mirrored

    @mirrored
    def handler(event, context):
        return {"statusCode": 200, "body": "{}"}

Environment: WEIR_URL (`http://weir.internal:8088`), WEIR_TOKEN, WEIR_TIMEOUT (seconds, 0.25). Only the standard library is used. A function
sleeps once it has answered, so a record is sent before: that costs the way to Weir, and at most WEIR_TIMEOUT. Whatever goes wrong with it, the
function answers as it would without.
"""
import functools
import http.client
import json
import os
import time
import urllib.parse

TIMEOUT = float(os.environ.get("WEIR_TIMEOUT", "0.25"))
PATH = "/v1/exchanges?format=json"
_connection = None


def mirrored(handler):
    """Wraps a handler of API Gateway events (payload 1.0 or 2.0), function URLs, or a load balancer."""

    @functools.wraps(handler)
    def wrapper(event, context):
        began = time.monotonic()
        response = {"statusCode": 502}
        try:
            response = handler(event, context)
            return response
        finally:
            _send(event, response, (time.monotonic() - began) * 1000)

    return wrapper


def _send(event, response, took_ms):
    global _connection
    if not isinstance(event, dict) or "requestContext" not in event or "WEIR_URL" not in os.environ:
        return
    if not isinstance(response, dict) or "statusCode" not in response:
        # Payload 2.0: whatever has no status is the body of a 200.
        response = {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": json.dumps(response, default=str)}
    record = json.dumps({"event": event, "response": response, "duration_ms": round(took_ms, 3)}, default=str)
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ.get("WEIR_TOKEN", "")}
    for _ in range(2):  # a connection that was kept may have been closed meanwhile
        try:
            if _connection is None:
                _connection = _connect(os.environ["WEIR_URL"])
            _connection.request("POST", PATH, record.encode(), headers)
            _connection.getresponse().read()
            return
        except TimeoutError:
            _connection = None
            return
        except (OSError, http.client.HTTPException):
            _connection = None


def _connect(url):
    parts = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=TIMEOUT)
