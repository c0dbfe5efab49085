//! What ingest is told: who a request belongs to, how foreign records are read, what is masked.

use engine::features::sensitive::SensitiveKind;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a session or a subject is taken from. Lists of these are tried in order; the first that finds a value wins.
///
/// Written as text: `jwt:CLAIM`, `jwt:HEADER:CLAIM`, `header:NAME`, `cookie:NAME`, `field:PATH`, `client`.
///
/// ```
/// use runtime::config::Extractor;
/// let extractor: Extractor = "jwt:sub".parse()?;
/// assert_eq!(extractor, Extractor::JwtClaim { header: "authorization".into(), claim: "sub".into() });
/// # Ok::<(), runtime::config::BadExtractor>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Extractor {
    /// A claim of the JSON web token in a header (`Bearer ` before it is allowed). The signature is the gateway's to check.
    JwtClaim {
        /// Name of the header, lower case.
        header: String,
        /// Name of the claim.
        claim: String,
    },
    /// The whole value of a request header, name in lower case.
    Header(String),
    /// The value of a cookie, by its name as sent.
    Cookie(String),
    /// A field of the gateway's own record, by dotted path (`consumer.id`).
    Field(String),
    /// Client address and user agent together.
    ClientAddressAndAgent,
}

/// Text that is no [`Extractor`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no extractor: write `jwt:CLAIM`, `jwt:HEADER:CLAIM`, `header:NAME`, `cookie:NAME`, `field:PATH` or `client`")]
pub struct BadExtractor(String);

impl FromStr for Extractor {
    type Err = BadExtractor;

    fn from_str(text: &str) -> Result<Self, BadExtractor> {
        let bad = || BadExtractor(text.to_owned());
        let (kind, rest) = text.trim().split_once(':').unwrap_or((text.trim(), ""));
        if kind == "client" && rest.is_empty() {
            return Ok(Self::ClientAddressAndAgent);
        }
        if rest.is_empty() {
            return Err(bad());
        }
        match kind {
            "header" => Ok(Self::Header(rest.to_ascii_lowercase())),
            "cookie" => Ok(Self::Cookie(rest.to_owned())),
            "field" => Ok(Self::Field(rest.to_owned())),
            "jwt" => {
                let (header, claim) = rest.split_once(':').unwrap_or(("authorization", rest));
                if header.is_empty() || claim.is_empty() {
                    return Err(bad());
                }
                Ok(Self::JwtClaim { header: header.to_ascii_lowercase(), claim: claim.to_owned() })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JwtClaim { header, claim } => write!(f, "jwt:{header}:{claim}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Field(path) => write!(f, "field:{path}"),
            Self::ClientAddressAndAgent => f.write_str("client"),
        }
    }
}

impl TryFrom<String> for Extractor {
    type Error = BadExtractor;

    fn try_from(text: String) -> Result<Self, BadExtractor> {
        text.parse()
    }
}

impl From<Extractor> for String {
    fn from(extractor: Extractor) -> Self {
        extractor.to_string()
    }
}

/// How the records of a foreign JSON log become exchanges: for each field of an exchange, the dotted path of the log's field.
/// What is absent stays unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FieldMap {
    /// The record's own id.
    pub id: Option<String>,
    /// Time: RFC 3339, or epoch seconds, milliseconds, microseconds or nanoseconds (told apart by size).
    pub time: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host, with or without a port.
    pub host: Option<String>,
    /// Path without query.
    pub path: Option<String>,
    /// Query without the question mark.
    pub query: Option<String>,
    /// Path and query together, or the whole URL; used where `path` is absent.
    pub uri: Option<String>,
    /// `GET /path?query HTTP/1.1`; used where `method`, `path` and `uri` are absent.
    pub request_line: Option<String>,
    /// Declared route template.
    pub route: Option<String>,
    /// Response status.
    pub status: Option<String>,
    /// Client address.
    pub client_ip: Option<String>,
    /// Forwarding chain, as in `X-Forwarded-For`.
    pub forwarded_for: Option<String>,
    /// User agent.
    pub user_agent: Option<String>,
    /// Session as the gateway knows it (hashed by ingest).
    pub session: Option<String>,
    /// Account as the gateway knows it (hashed by ingest).
    pub subject: Option<String>,
    /// Object or array of request headers.
    pub request_headers: Option<String>,
    /// Request body.
    pub request_body: Option<String>,
    /// Bytes of the request body on the wire.
    pub request_bytes: Option<String>,
    /// Object or array of response headers.
    pub response_headers: Option<String>,
    /// Response body.
    pub response_body: Option<String>,
    /// Bytes of the response body on the wire.
    pub response_bytes: Option<String>,
    /// Duration in milliseconds.
    pub duration_ms: Option<String>,
    /// Duration in seconds, where the log has no milliseconds.
    pub duration_s: Option<String>,
}

/// Format of the records of a raw gateway topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordFormat {
    /// Found out from each record.
    #[default]
    Auto,
    /// Weir's own exchange.
    Exchange,
    /// HTTP archive 1.2.
    Har,
    /// Combined access log.
    Combined,
    /// Any JSON log, by its well-known fields or by a field map.
    Json,
    /// OpenTelemetry's spans as OTLP/JSON.
    Otlp,
    /// Traces of Envoy's HTTP tap as JSON.
    Tap,
}

/// A topic that a gateway writes itself, in its own format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTopic {
    /// Full name of the topic; `topics.prefix` is not put before it.
    pub name: String,
    /// Format of its records.
    #[serde(default)]
    pub format: RecordFormat,
    /// Name of the field map under `ingest.field_maps`, for JSON logs.
    #[serde(default)]
    pub field_map: Option<String>,
}

/// A log file of a gateway, followed as it grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// Its path; files that were moved away are found beside it, under names that begin with its name.
    pub path: PathBuf,
    /// Format of its lines.
    #[serde(default)]
    pub format: RecordFormat,
    /// Name of the field map under `ingest.field_maps`, for JSON logs.
    #[serde(default)]
    pub field_map: Option<String>,
}

/// What is done with a value before it reaches any topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyAction {
    /// Replaced by a mask that keeps length and kinds of characters.
    Mask,
    /// Replaced by its keyed hash.
    Hash,
    /// Taken out.
    Drop,
    /// Kept as it is, though a default would mask it.
    Keep,
}

/// One rule of `privacy.rules`; the first that fits a field wins, and all of them come before the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "DeclaredRule")]
pub struct PrivacyRule {
    /// What it speaks of.
    pub of: Private,
    /// What is done with it.
    pub action: PrivacyAction,
}

/// What a privacy rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Private {
    /// A place, as verdicts name it: `request.headers.x-api-key`, `request.body.card.number`, `query.token`, `cookie.NAME`; `*` for one step of any
    /// name.
    Field(String),
    /// A name at any depth: of a header, a cookie, a parameter, a field of a body; case does not count. What stands below it is treated alike.
    Name(String),
    /// Values that hold personal data or secrets of a kind, wherever they stand.
    Kind(SensitiveKind),
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredRule {
    field: Option<String>,
    name: Option<String>,
    kind: Option<String>,
    action: PrivacyAction,
}

/// Kinds as they are written.
const KINDS: [(&str, SensitiveKind); 8] = [
    ("card", SensitiveKind::Card),
    ("iban", SensitiveKind::Iban),
    ("email", SensitiveKind::Email),
    ("phone", SensitiveKind::Phone),
    ("ssn", SensitiveKind::Ssn),
    ("jwt", SensitiveKind::Jwt),
    ("private-key", SensitiveKind::PrivateKey),
    ("cloud-key", SensitiveKind::CloudKey),
];

impl TryFrom<DeclaredRule> for PrivacyRule {
    type Error = String;

    fn try_from(declared: DeclaredRule) -> Result<Self, String> {
        let of = match (declared.field, declared.name, declared.kind) {
            (Some(field), None, None) => Private::Field(field),
            (None, Some(name), None) if name.is_empty() => return Err("a `name` is not empty".to_owned()),
            (None, Some(name), None) => Private::Name(name),
            (None, None, Some(kind)) => match KINDS.iter().find(|(name, _)| *name == kind) {
                Some((_, kind)) => Private::Kind(*kind),
                None => return Err(format!("`{kind}` is no kind of personal data: {}", KINDS.map(|(name, _)| name).join(", "))),
            },
            _ => return Err("a rule speaks of one of `field`, `name` and `kind`".to_owned()),
        };
        if declared.action == PrivacyAction::Keep && matches!(of, Private::Kind(_)) {
            return Err("`keep` is for a `field` or a `name`: a kind is kept unless a rule says otherwise".to_owned());
        }
        Ok(Self { of, action: declared.action })
    }
}
