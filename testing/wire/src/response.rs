//! A response as a client reads it.

/// A response, taken apart.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status line and the header section as received, but for the value of `Date`.
    pub head: String,
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The field lines.
    pub fields: Vec<(String, String)>,
    /// The content, without its framing.
    pub content: Vec<u8>,
}

impl Response {
    /// Takes a head apart; what is wrong with it is a failure.
    pub(crate) fn parse(head: &[u8]) -> Self {
        let head = String::from_utf8(head.to_vec()).expect("a head is text");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let rest = status_line
            .strip_prefix("HTTP/1.1 ")
            .unwrap_or_else(|| panic!("no status line: {head:?}"));
        let (status, reason) = rest.split_once(' ').expect("a reason phrase");
        let fields: Vec<_> = lines
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (name, value) = line.split_once(": ").expect("a field line");
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let mut response = Self {
            head: String::new(),
            status: status.parse().unwrap(),
            reason: reason.to_owned(),
            fields,
            content: Vec::new(),
        };
        response.head = match response.field("Date") {
            Some(date) => {
                assert_eq!(date.len(), 29, "{date}");
                head.replace(date, "*")
            }
            None => head,
        };
        response
    }

    /// The value of a field; two of one name are a failure.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    /// Whether the connection closes after it.
    pub fn closes(&self) -> bool {
        self.field("Connection") == Some("close")
    }

    /// The content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("text")
    }
}
