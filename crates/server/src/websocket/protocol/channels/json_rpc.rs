//! JSON-RPC 2.0: what a text message says, and how it is answered. Knows nothing of channels.
//!
//! Values that are only passed on stay as the peer wrote them, so that no number loses digits.
//! Source: the JSON-RPC 2.0 specification.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// Why a request failed, as its sender is told. JSON-RPC 2.0 §5.1.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RpcError {
    /// The number that says what kind of error it is. -32768 to -32000 are the standard's and the
    /// protocol's own; applications use others.
    pub code: i64,
    /// A short sentence.
    pub message: Cow<'static, str>,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// The text is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// It is JSON, but not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The method's parameters are not what it takes.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The method came to grief.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// So much waits to be sent that this was not done. It may be tried again.
    pub const BUSY: i64 = -32000;
    /// The application does not allow it.
    pub const REFUSED: i64 = -32001;
    /// A limit of the connection has been reached.
    pub const LIMIT_REACHED: i64 = -32002;

    /// An error.
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// Says more.
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The method's parameters are not what it takes.
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Self::INVALID_PARAMS, message)
    }

    /// The method came to grief. Nothing is told of why.
    pub fn internal_error() -> Self {
        Self::new(Self::INTERNAL_ERROR, "internal error")
    }

    pub(super) fn refused(message: &'static str) -> Self {
        Self::new(Self::REFUSED, message)
    }

    pub(super) fn busy() -> Self {
        Self::new(Self::BUSY, "too much waits to be sent; try again")
    }

    pub(super) fn limit_reached(message: String) -> Self {
        Self::new(Self::LIMIT_REACHED, message)
    }

    fn invalid_request(message: &'static str) -> Self {
        Self::new(Self::INVALID_REQUEST, message)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcError {}

/// What a text message holds.
#[derive(Debug)]
pub(super) enum Incoming<'a> {
    One(Item<'a>),
    Batch(Vec<Item<'a>>),
}

/// One object.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Request(Request<'a>),
    Response(Response<'a>),
    /// Something else, with its id if that can be told.
    Invalid(Option<&'a RawValue>, RpcError),
}

/// A request, or without id a notification.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Cow<'a, str>,
    pub(super) params: Option<&'a RawValue>,
}

/// An answer to a request of ours.
#[derive(Debug)]
pub(super) struct Response<'a> {
    /// `None` if it is no number, as all of ours are.
    pub(super) id: Option<u64>,
    pub(super) outcome: Result<&'a RawValue, RpcError>,
}

/// An object's members, as they are.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow, default, deserialize_with = "member")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "member")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "member")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "member")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "member")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "member")]
    error: Option<&'a RawValue>,
}

/// A member that is there, be it null.
fn member<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(reader).map(Some)
}

/// Deepest nesting of a message. Parsers of peers that it is passed on to may have less to spare than
/// serde_json, which takes 127.
const NESTING_MAX: usize = 100;

/// Takes a text message apart.
///
/// # Errors
///
/// It is no JSON, or a batch or message as a whole is refused. The peer is answered so, with id null.
pub(super) fn parse(text: &str, batch_max: u32) -> Result<Incoming<'_>, RpcError> {
    if !text.trim_ascii_start().starts_with('[') {
        let item = parse_item(text);
        if let Item::Invalid(..) = item {
            check_syntax(text)?;
        }
        check_nesting(text)?;
        return Ok(Incoming::One(item));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| syntax(&error))?;
    check_nesting(text)?;
    if parts.is_empty() {
        return Err(RpcError::invalid_request(
            "a batch holds a request at least",
        ));
    }
    if parts.len() > batch_max as usize {
        return Err(RpcError::new(
            RpcError::INVALID_REQUEST,
            format!("a batch of {}, allowed are {batch_max}", parts.len()),
        ));
    }
    let items = parts.into_iter().map(|part| parse_item(part.get()));
    Ok(Incoming::Batch(items.collect()))
}

fn check_syntax(text: &str) -> Result<(), RpcError> {
    let parsed = serde_json::from_str::<&RawValue>(text);
    parsed.map(drop).map_err(|error| syntax(&error))
}

fn syntax(error: &serde_json::Error) -> RpcError {
    RpcError::new(RpcError::PARSE_ERROR, format!("parse error: {error}"))
}

/// Of text that is JSON.
fn check_nesting(text: &str) -> Result<(), RpcError> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(RpcError::invalid_request("nested too deeply"));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn parse_item(text: &str) -> Item<'_> {
    let Ok(members) = serde_json::from_str::<Members<'_>>(text) else {
        return Item::Invalid(None, RpcError::invalid_request("not a request object"));
    };
    let id = members.id.filter(|id| is_id(id));
    let invalid = |message| Item::Invalid(id, RpcError::invalid_request(message));
    if members.jsonrpc.and_then(read::<Cow<'_, str>>).as_deref() != Some("2.0") {
        return invalid("`jsonrpc` is not \"2.0\"");
    }
    if id.is_none() && members.id.is_some() {
        return invalid("`id` is no text, number or null");
    }
    match (members.method, members.result, members.error) {
        (Some(method), None, None) => {
            let Some(method) = read(method) else {
                return invalid("`method` is no text");
            };
            let params = members.params;
            if params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
                return invalid("`params` is no object or array");
            }
            Item::Request(Request { id, method, params })
        }
        (None, result, error) => {
            let outcome = match (result, error.map(read::<RpcError>)) {
                (Some(result), None) => Ok(result),
                (None, Some(Some(error))) => Err(error),
                _ => return invalid("neither a request nor a response"),
            };
            let id = id.and_then(read::<u64>);
            Item::Response(Response { id, outcome })
        }
        _ => invalid("both a request and a response"),
    }
}

/// A member's value, if it is of this type.
fn read<'a, T: Deserialize<'a>>(value: &'a RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

fn is_id(value: &RawValue) -> bool {
    let text = value.get();
    text == "null"
        || text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit())
}

/// The answer to a request. `result` is JSON.
pub(super) fn answer(id: Option<&RawValue>, outcome: Result<&str, &RpcError>) -> String {
    let id = id.map_or("null", RawValue::get);
    match outcome {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err(error) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, json(error)),
    }
}

/// A request of ours, or without id a notification. `params` is JSON, an object or an array.
pub(super) fn request(id: Option<u64>, method: &str, params: &str) -> String {
    let method = json(method);
    match id {
        Some(id) => {
            format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params},"id":{id}}}"#)
        }
        None => format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#),
    }
}

/// A batch.
pub(super) fn batch(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// As JSON, of what cannot fail to become that.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a message is taken for, in short.
    fn seen(text: &str) -> String {
        let item = |item: &Item<'_>| match item {
            Item::Request(Request { id, method, params }) => format!(
                "request {} {method} {}",
                id.map_or("-", RawValue::get),
                params.map_or("-", RawValue::get)
            ),
            Item::Response(Response {
                id,
                outcome: Ok(result),
            }) => {
                format!("result {id:?} {result}")
            }
            Item::Response(Response {
                id,
                outcome: Err(error),
            }) => {
                format!("error {id:?} {}", error.code)
            }
            Item::Invalid(id, error) => {
                format!("invalid {} {}", id.map_or("-", RawValue::get), error.code)
            }
        };
        match parse(text, 3) {
            Err(error) => format!("refused {}", error.code),
            Ok(Incoming::One(one)) => item(&one),
            Ok(Incoming::Batch(items)) => {
                let seen: Vec<_> = items.iter().map(item).collect();
                seen.join(", ")
            }
        }
    }

    #[test]
    fn messages_are_told_apart() {
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","method":"m"}"#, "request - m -"),
            (
                r#" {"id":7,"method":"m","params":[ 1e999 ],"jsonrpc":"2.0"} "#,
                "request 7 m [ 1e999 ]",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"\u006d","id":null,"params":{}}"#,
                "request null m {}",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","id":"x","more":[]}"#,
                r#"request "x" m -"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":null}"#,
                "result Some(7) null",
            ),
            (
                r#"{"jsonrpc":"2.0","id":"7","result":{}}"#,
                "result None {}",
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"error":{"code":5,"message":"no"}}"#,
                "error Some(7) 5",
            ),
            // Not the standard's:
            (r#"{"jsonrpc":"2.0","method":1,"id":7}"#, "invalid 7 -32600"),
            (
                r#"{"jsonrpc":"2.0","method":"m","id":[7]}"#,
                "invalid - -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","id":true}"#,
                "invalid - -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":1,"id":7}"#,
                "invalid 7 -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":null,"id":7}"#,
                "invalid 7 -32600",
            ),
            (
                r#"{"jsonrpc":"1.0","method":"m","id":7}"#,
                "invalid 7 -32600",
            ),
            (r#"{"jsonrpc":2.0,"method":"m","id":7}"#, "invalid 7 -32600"),
            (r#"{"method":"m","id":7}"#, "invalid 7 -32600"),
            (r#"{"jsonrpc":"2.0","id":7}"#, "invalid 7 -32600"),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{"code":1,"message":""}}"#,
                "invalid 7 -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#,
                "invalid 7 -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"m","result":1}"#,
                "invalid 7 -32600",
            ),
            (
                r#"{"jsonrpc":"2.0","method":"m","method":"n"}"#,
                "invalid - -32600",
            ),
            ("1", "invalid - -32600"),
            ("\"text\"", "invalid - -32600"),
            // Not JSON, also where the standard's faults come first:
            ("", "refused -32700"),
            ("{", "refused -32700"),
            (r#"{"jsonrpc":"2.0","method":"m"} x"#, "refused -32700"),
            (r#"{"jsonrpc":"2.0","jsonrpc":"2.0","#, "refused -32700"),
            (
                r#"{"jsonrpc":"2.0","method":"m","params":[01]}"#,
                "refused -32700",
            ),
            (
                r#"{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]"#,
                "refused -32700",
            ),
            ("[1,", "refused -32700"),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }

    // JSON-RPC 2.0 §6 and its examples.
    #[test]
    fn batches() {
        for (text, expected) in [
            ("[]", "refused -32600"),
            ("[1]", "invalid - -32600"),
            (
                "[1,{},[]]",
                "invalid - -32600, invalid - -32600, invalid - -32600",
            ),
            ("[1,2,3,4]", "refused -32600"),
            (
                r#"[{"jsonrpc":"2.0","method":"m","id":"1"},{"foo":"boo"},{"jsonrpc":"2.0","id":1,"result":2}]"#,
                r#"request "1" m -, invalid - -32600, result Some(1) 2"#,
            ),
        ] {
            assert_eq!(seen(text), expected, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            format!(r#"{{"jsonrpc":"2.0","method":"m","params":{open}"[[\"[["{close}}}"#)
        };
        assert!(seen(&nested(NESTING_MAX - 1)).starts_with("request"));
        assert_eq!(seen(&nested(NESTING_MAX)), "refused -32600");
        // No recursion on the way there.
        assert_eq!(seen(&nested(1_000_000)), "refused -32600");
        assert_eq!(seen(&"[".repeat(1_000_000)), "refused -32700");
        assert_eq!(seen(&r#"{"a":"#.repeat(1_000_000)), "refused -32700");
    }

    #[test]
    fn answers_are_encoded() {
        let id: &RawValue = serde_json::from_str("\"x\"").unwrap();
        assert_eq!(
            answer(Some(id), Ok("19")),
            r#"{"jsonrpc":"2.0","id":"x","result":19}"#
        );
        let error = RpcError::invalid_params("no \"a\"").with_data(Value::from(1));
        assert_eq!(
            answer(None, Err(&error)),
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"no \"a\"","data":1}}"#
        );
        assert_eq!(
            request(Some(3), "m", "[1]"),
            r#"{"jsonrpc":"2.0","method":"m","params":[1],"id":3}"#
        );
        assert_eq!(batch(&["1".into(), "2".into()]), "[1,2]");
    }
}
