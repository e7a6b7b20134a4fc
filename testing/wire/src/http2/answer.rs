//! What a server sent on one stream.

/// Field lines.
pub type Fields = Vec<(String, String)>;

/// What came on a stream so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Answer {
    /// Interim responses.
    pub interim: Vec<Fields>,
    /// The head, `:status` first; empty until it has come.
    pub fields: Fields,
    /// The content, as far as it has come.
    pub content: Vec<u8>,
    /// The trailer section.
    pub trailers: Option<Fields>,
    /// How many DATA frames there were.
    pub data_frames: usize,
    /// Whether the server has ended its side.
    pub ended: bool,
    /// The code with which the server has reset the stream.
    pub reset: Option<u32>,
}

impl Answer {
    /// The status; 0 until the head has come.
    pub fn status(&self) -> u16 {
        match self.field(":status") {
            Some(status) => status.parse().unwrap(),
            None => 0,
        }
    }

    /// The value of a field; two of one name are a failure.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(field, _)| field == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    /// The content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("text")
    }

    /// Whether nothing more can come.
    pub fn is_complete(&self) -> bool {
        self.ended || self.reset.is_some()
    }

    /// Takes a header block of this stream.
    pub(super) fn take_block(&mut self, fields: Fields, ended: bool) {
        for (name, _) in &fields {
            assert!(
                !name.bytes().any(|byte| byte.is_ascii_uppercase()),
                "{name}"
            );
        }
        if !self.fields.is_empty() {
            assert!(ended, "trailers that do not end the stream");
            assert!(fields.iter().all(|(name, _)| !name.starts_with(':')));
            self.trailers = Some(fields);
        } else if fields[0].1.starts_with('1') {
            assert!(!ended, "an interim response ends the stream");
            self.interim.push(fields);
        } else {
            assert_eq!(fields[0].0, ":status");
            self.fields = fields;
        }
        self.ended |= ended;
    }
}
