//! Well-known JSON logs: which fields a record has when a certain gateway wrote it, and what they mean.

use super::Field::{self, *};
use super::custom::CUSTOM;
use super::value::{Unit, lookup};
use serde_json::Value;

/// What a gateway calls things.
#[derive(Debug)]
pub(super) struct Profile {
    /// Paths that a record has when, and only when, it is of this kind.
    pub(super) marks: &'static [&'static str],
    /// Meaning of its fields; of several paths for one field, the first that says something counts. Headers may stand at the top, each under a
    /// prefix and its name: `request_*`.
    pub(super) fields: &'static [(Field, &'static str)],
}

/// The profile of a record: the first whose marks it has, in the end the one of records by custom names.
pub(super) fn of(record: &Value) -> &'static Profile {
    let fits = |profile: &&&Profile| profile.marks.iter().all(|mark| lookup(record, mark).is_some());
    PROFILES.iter().find(fits).copied().unwrap_or(&CUSTOM)
}

static PROFILES: [&Profile; 10] = [&TRAEFIK, &KONG, &CADDY, &AWS_LAMBDA_2, &AWS_LAMBDA_1, &AWS_API_GATEWAY, &AKTO, &ENVOY, &GOOGLE, &ECS];

/// Traefik's access log.
static TRAEFIK: Profile = Profile {
    marks: &["RequestMethod", "RequestPath"],
    fields: &[
        (Time, "StartUTC"),
        (Time, "StartLocal"),
        (Time, "time"),
        (Method, "RequestMethod"),
        (Path, "RequestPath"),
        (Scheme, "RequestScheme"),
        (Host, "RequestHost"),
        (Host, "RequestAddr"),
        (ClientIp, "ClientHost"),
        (ForwardedFor, "request_X-Forwarded-For"),
        (UserAgent, "request_User-Agent"),
        (Subject, "ClientUsername"),
        (Status, "DownstreamStatus"),
        (Status, "OriginStatus"),
        (RequestHeaders, "request_*"),
        (ResponseHeaders, "downstream_*"),
        (RequestBytes, "RequestContentSize"),
        (ResponseBytes, "DownstreamContentSize"),
        (Duration(Unit::Nanoseconds), "Duration"),
    ],
};

/// Kong's log plugins (`http-log`, `file-log`, `kafka-log`).
static KONG: Profile = Profile {
    marks: &["request.method", "latencies", "started_at"],
    fields: &[
        (Id, "request.id"),
        (Time, "started_at"),
        (Method, "request.method"),
        (Uri, "request.uri"),
        (Uri, "request.url"),
        (Host, "request.headers.host"),
        (ClientIp, "client_ip"),
        (ForwardedFor, "request.headers.x-forwarded-for"),
        (UserAgent, "request.headers.user-agent"),
        (Subject, "authenticated_entity.consumer_id"),
        (Subject, "consumer.id"),
        (Subject, "consumer.username"),
        (Status, "response.status"),
        (RequestHeaders, "request.headers"),
        (RequestBody, "request.body"),
        // `request.size` counts the head: a request without a body would seem to have one.
        (RequestBytes, "request.headers.content-length"),
        (ResponseHeaders, "response.headers"),
        (ResponseBody, "response.body"),
        (ResponseBytes, "response.headers.content-length"),
        // Of a chunked response all that is known is its size with its head.
        (ResponseBytes, "response.size"),
        (Duration(Unit::Milliseconds), "latencies.request"),
        (Source, "service.name"),
    ],
};

/// Caddy's access log.
static CADDY: Profile = Profile {
    marks: &["request.method", "request.uri"],
    fields: &[
        (Time, "ts"),
        (Method, "request.method"),
        (Uri, "request.uri"),
        (Host, "request.host"),
        (Host, "req.headers.host"),
        (ClientIp, "request.client_ip"),
        (ClientIp, "request.remote_ip"),
        (ForwardedFor, "request.headers.X-Forwarded-For"),
        (UserAgent, "request.headers.User-Agent"),
        (Subject, "user_id"),
        (Status, "status"),
        (RequestHeaders, "request.headers"),
        (RequestBytes, "bytes_read"),
        (RequestBytes, "request.headers.Content-Length"),
        (ResponseHeaders, "resp_headers"),
        (ResponseBytes, "size"),
        (Duration(Unit::Seconds), "duration"),
    ],
};

/// Access logs of AWS API Gateway, REST and HTTP APIs, as their examples name the variables.
static AWS_API_GATEWAY: Profile = Profile {
    marks: &["httpMethod", "requestId"],
    fields: &[
        (Id, "requestId"),
        (Time, "requestTimeEpoch"),
        (Time, "requestTime"),
        (Method, "httpMethod"),
        (Path, "path"),
        (Path, "rawPath"),
        (Route, "resourcePath"),
        (Route, "routeKey"),
        (Host, "domainName"),
        (ClientIp, "ip"),
        (ClientIp, "sourceIp"),
        (ClientIp, "identity.sourceIp"),
        (UserAgent, "userAgent"),
        (UserAgent, "identity.userAgent"),
        (Subject, "authorizer.principalId"),
        (Subject, "principalId"),
        (Subject, "authorizer.claims.sub"),
        (Subject, "user"),
        (Subject, "caller"),
        (Status, "status"),
        (ResponseBytes, "responseLength"),
        (Duration(Unit::Milliseconds), "responseLatency"),
        (Path, "resourcePath"),
        (RequestLine, "routeKey"),
    ],
};

/// Event and response of an AWS Lambda function behind API Gateway or a function URL, payload format 2.0, as deploy/gateways/aws-lambda sends them.
static AWS_LAMBDA_2: Profile = Profile {
    marks: &["event.requestContext.http.method"],
    fields: &[
        (Id, "event.requestContext.requestId"),
        (Time, "event.requestContext.timeEpoch"),
        (Method, "event.requestContext.http.method"),
        (Path, "event.rawPath"),
        (Path, "event.requestContext.http.path"),
        (Query, "event.rawQueryString"),
        (Route, "event.routeKey"),
        (Host, "event.requestContext.domainName"),
        (ClientIp, "event.requestContext.http.sourceIp"),
        (UserAgent, "event.requestContext.http.userAgent"),
        (Subject, "event.requestContext.authorizer.jwt.claims.sub"),
        (Subject, "event.requestContext.authorizer.lambda.principalId"),
        (Subject, "event.requestContext.authorizer.iam.userId"),
        (RequestHeaders, "event.headers"),
        (Cookies, "event.cookies"),
        (RequestBody, "event.body"),
        (RequestBodyIsBase64, "event.isBase64Encoded"),
        (Status, "response.statusCode"),
        (ResponseHeaders, "response.headers"),
        (ResponseBody, "response.body"),
        (ResponseBodyIsBase64, "response.isBase64Encoded"),
        (Duration(Unit::Milliseconds), "duration_ms"),
        (Source, "event.requestContext.apiId"),
    ],
};

/// The same in payload format 1.0, and behind a load balancer.
static AWS_LAMBDA_1: Profile = Profile {
    marks: &["event.httpMethod", "event.path"],
    fields: &[
        (Id, "event.requestContext.requestId"),
        (Time, "event.requestContext.requestTimeEpoch"),
        (Method, "event.httpMethod"),
        (Path, "event.path"),
        (Query, "event.multiValueQueryStringParameters"),
        (Query, "event.queryStringParameters"),
        (Route, "event.resource"),
        (Host, "event.requestContext.domainName"),
        (ClientIp, "event.requestContext.identity.sourceIp"),
        (UserAgent, "event.requestContext.identity.userAgent"),
        (Subject, "event.requestContext.authorizer.principalId"),
        (Subject, "event.requestContext.authorizer.claims.sub"),
        (Subject, "event.requestContext.identity.user"),
        (RequestHeaders, "event.multiValueHeaders"),
        (RequestHeaders, "event.headers"),
        (RequestBody, "event.body"),
        (RequestBodyIsBase64, "event.isBase64Encoded"),
        (Status, "response.statusCode"),
        (ResponseHeaders, "response.multiValueHeaders"),
        (ResponseHeaders, "response.headers"),
        (ResponseBody, "response.body"),
        (ResponseBodyIsBase64, "response.isBase64Encoded"),
        (Duration(Unit::Milliseconds), "duration_ms"),
        (Source, "event.requestContext.apiId"),
    ],
};

/// What Akto's traffic collectors write: nearly everything as text, headers as JSON within a text.
static AKTO: Profile = Profile {
    marks: &["requestHeaders", "responseHeaders", "statusCode"],
    fields: &[
        (Time, "time"),
        (Method, "method"),
        (Uri, "path"),
        (ClientIp, "ip"),
        (RequestHeaders, "requestHeaders"),
        (RequestBody, "requestPayload"),
        (Status, "statusCode"),
        (ResponseHeaders, "responseHeaders"),
        (ResponseBody, "responsePayload"),
        (Source, "source"),
    ],
};

/// Envoy's default JSON access log, and Istio's.
static ENVOY: Profile = Profile {
    marks: &["response_code", "start_time", "method"],
    fields: &[
        (Id, "request_id"),
        (Id, "x_request_id"),
        (Time, "start_time"),
        (Method, "method"),
        (Path, "path"),
        (Path, "x_envoy_original_path"),
        (Host, "authority"),
        (Host, ":authority"),
        (ClientIp, "downstream_remote_address"),
        (ForwardedFor, "x_forwarded_for"),
        (UserAgent, "user_agent"),
        (Status, "response_code"),
        (RequestHeaders, "request_headers"),
        (ResponseHeaders, "response_headers"),
        (RequestBytes, "bytes_received"),
        (ResponseBytes, "bytes_sent"),
        (Duration(Unit::Milliseconds), "duration"),
        (Source, "route_name"),
    ],
};

/// Google Cloud's load balancers and API gateways.
static GOOGLE: Profile = Profile {
    marks: &["httpRequest.requestMethod", "httpRequest.requestUrl"],
    fields: &[
        (Id, "insertId"),
        (Time, "timestamp"),
        (Time, "receiveTimestamp"),
        (Method, "httpRequest.requestMethod"),
        (Uri, "httpRequest.requestUrl"),
        (ClientIp, "httpRequest.remoteIp"),
        (UserAgent, "httpRequest.userAgent"),
        (Status, "httpRequest.status"),
        // Both sizes count the head, as Kong's do.
        (ResponseBytes, "httpRequest.responseSize"),
        (Duration(Unit::Seconds), "httpRequest.latency"),
    ],
};

/// Elastic Common Schema and the HTTP conventions of OpenTelemetry, nested or with dots in the names.
static ECS: Profile = Profile {
    marks: &["http.request.method"],
    fields: &[
        (Id, "http.request.id"),
        (Id, "event.id"),
        (Time, "@timestamp"),
        (Time, "timestamp"),
        (Method, "http.request.method"),
        (Path, "url.path"),
        (Query, "url.query"),
        (Uri, "url.original"),
        (Uri, "url.full"),
        (Route, "http.route"),
        (Scheme, "url.scheme"),
        (Host, "url.domain"),
        (Host, "server.address"),
        (ClientIp, "client.ip"),
        (ClientIp, "source.ip"),
        (ClientIp, "client.address"),
        (ClientIp, "source.address"),
        (UserAgent, "user_agent.original"),
        (Subject, "user.id"),
        (Subject, "user.name"),
        (Subject, "enduser.id"),
        (Status, "http.response.status_code"),
        (RequestHeaders, "http.request.headers"),
        (RequestBody, "http.request.body.content"),
        (RequestBytes, "http.request.body.bytes"),
        (ResponseHeaders, "http.response.headers"),
        (ResponseBody, "http.response.body.content"),
        (ResponseBytes, "http.response.body.bytes"),
        (Duration(Unit::Nanoseconds), "event.duration"),
        (Duration(Unit::Seconds), "http.server.request.duration"),
        (Source, "observer.name"),
    ],
};
