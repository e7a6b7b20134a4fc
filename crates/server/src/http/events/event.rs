//! One event, and how it is written. Source: the HTML standard, §9.2.6, "Interpreting an event stream".

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// One event as a client gets it.
///
/// ```
/// use tidegate::Event;
///
/// let event = Event::new("line one\nline two").event("note").id("7");
/// assert_eq!(
///     event.encode().unwrap(),
///     "event: note\nid: 7\ndata: line one\ndata: line two\n\n"
/// );
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Event {
    id: Option<Cow<'static, str>>,
    name: Option<Cow<'static, str>>,
    data: Option<Cow<'static, str>>,
    retry: Option<Duration>,
    comment: Option<Cow<'static, str>>,
}

impl Event {
    /// An event with this data, which a client's `message` listeners get. Line ends of any kind arrive as
    /// LF.
    pub fn new(data: impl Into<Cow<'static, str>>) -> Self {
        Self {
            data: Some(data.into()),
            ..Self::default()
        }
    }

    /// Nothing yet. Without data no listener is called; the other parts count nevertheless.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sets its id, with which a client that lost its connection asks for what came after; an empty one
    /// has the client forget the id it has. No line end, no NUL.
    #[must_use]
    pub fn id(mut self, id: impl Into<Cow<'static, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets its name: a client's listeners for this name get it, instead of those for `message`. No line
    /// end.
    #[must_use]
    pub fn event(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets how long the client waits from now on before it connects again. Parts of a millisecond are
    /// cut off.
    #[must_use]
    pub fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets a comment, which clients pass over.
    #[must_use]
    pub fn comment(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// The id that was set.
    pub(super) fn given_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// As it goes over the wire.
    ///
    /// # Errors
    ///
    /// The id or the name cannot be written. The caller's fault.
    pub fn encode(&self) -> Result<Bytes, EventFault> {
        let is_line_end = |char| matches!(char, '\r' | '\n');
        let mut text = String::with_capacity(self.data.as_deref().map_or(0, str::len) + 64);
        if let Some(comment) = &self.comment {
            lines(comment, |line| push_line(&mut text, ":", line));
        }
        if let Some(name) = &self.name {
            if name.contains(is_line_end) {
                return Err(EventFault::Name);
            }
            push_line(&mut text, "event:", name);
        }
        if let Some(id) = &self.id {
            // A client passes over an id with a NUL.
            if id.contains(is_line_end) || id.contains('\0') {
                return Err(EventFault::Id);
            }
            push_line(&mut text, "id:", id);
        }
        if let Some(retry) = self.retry {
            push_line(&mut text, "retry:", &retry.as_millis().to_string());
        }
        if let Some(data) = &self.data {
            lines(data, |line| push_line(&mut text, "data:", line));
        }
        text.push('\n');
        Ok(text.into())
    }
}

impl From<&'static str> for Event {
    fn from(data: &'static str) -> Self {
        Self::new(data)
    }
}

impl From<String> for Event {
    fn from(data: String) -> Self {
        Self::new(data)
    }
}

fn push_line(text: &mut String, field: &str, value: &str) {
    text.push_str(field);
    // A client takes one space off: what begins with one keeps it so.
    text.push(' ');
    text.push_str(value);
    text.push('\n');
}

/// The lines of a text: CR LF, LF and CR each end one, as they do in the stream itself.
fn lines(text: &str, mut line: impl FnMut(&str)) {
    let mut rest = text;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest.as_bytes()) {
        line(&rest[..end]);
        let width = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
    }
    line(rest);
}

/// Why an event cannot be written. The application's fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EventFault {
    /// The id has a line end or a NUL.
    Id,
    /// The name has a line end.
    Name,
}

impl fmt::Display for EventFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Id => "an event's id has a line end or a NUL",
            Self::Name => "an event's name has a line end",
        })
    }
}

impl std::error::Error for EventFault {}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(event: Event) -> String {
        String::from_utf8(event.encode().unwrap().to_vec()).unwrap()
    }

    #[test]
    fn each_part_is_a_line_of_its_own() {
        let whole = Event::new("data")
            .id("7")
            .event("name")
            .retry(Duration::from_micros(1_500_999))
            .comment("why");
        assert_eq!(
            text(whole),
            ": why\nevent: name\nid: 7\nretry: 1500\ndata: data\n\n"
        );
        assert_eq!(text(Event::empty()), "\n");
        assert_eq!(text(Event::empty().id("")), "id: \n\n");
        assert_eq!(text("static".into()), "data: static\n\n");
        assert_eq!(text(String::from("owned").into()), "data: owned\n\n");
    }

    #[test]
    fn every_line_of_data_is_a_field() {
        for (data, written) in [
            ("", "data: \n"),
            ("one", "data: one\n"),
            (" leading", "data:  leading\n"),
            ("a\nb", "data: a\ndata: b\n"),
            ("a\rb", "data: a\ndata: b\n"),
            ("a\r\nb", "data: a\ndata: b\n"),
            ("a\n\rb", "data: a\ndata: \ndata: b\n"),
            ("a\n", "data: a\ndata: \n"),
            ("\n\n", "data: \ndata: \ndata: \n"),
            ("ü\u{2028}\0:", "data: ü\u{2028}\0:\n"),
            // What would begin another event, were it not data.
            (
                "x\n\nid: 9\nevent: y",
                "data: x\ndata: \ndata: id: 9\ndata: event: y\n",
            ),
        ] {
            assert_eq!(text(Event::new(data)), format!("{written}\n"), "{data:?}");
        }
        assert_eq!(text(Event::empty().comment("a\nb")), ": a\n: b\n\n");
    }

    #[test]
    fn what_would_end_its_line_is_no_id_and_no_name() {
        for end in ["\r", "\n", "\r\n"] {
            let value = format!("a{end}b");
            assert_eq!(
                Event::new("").id(value.clone()).encode(),
                Err(EventFault::Id)
            );
            assert_eq!(Event::new("").event(value).encode(), Err(EventFault::Name));
        }
        assert_eq!(Event::new("").id("a\0").encode(), Err(EventFault::Id));
        assert!(Event::new("").event("a\0").encode().is_ok());
        assert!(Event::new("").id("ü: 1").encode().is_ok());
    }
}
