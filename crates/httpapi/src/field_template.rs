//! Field lines that are the same for many responses, but for numbers in them.
//!
//! They are checked once, when the template is made, and then put together by copying.

use crate::field_block::FieldBlock;

/// Field lines with `COUNT` numbers left open.
#[derive(Clone, Debug)]
pub struct FieldTemplate<const COUNT: usize> {
    /// What is before the first number.
    start: Box<[u8]>,
    /// Which number comes next, and what is behind it.
    rest: Box<[(usize, Box<[u8]>)]>,
    lines: FieldBlock,
}

impl<const COUNT: usize> FieldTemplate<COUNT> {
    /// A template of these lines, in which `{0}` stands for the first number, `{1}` for the second and so on. What
    /// is no such mark is text.
    pub fn new(lines: FieldBlock) -> Self {
        let bytes = lines.as_bytes();
        let mark_at = |at: usize| {
            (0..COUNT).find_map(|number| {
                let mark = format!("{{{number}}}");
                bytes[at..]
                    .starts_with(mark.as_bytes())
                    .then_some((number, mark.len()))
            })
        };
        let mut texts = vec![(0, Vec::new())];
        let mut at = 0;
        while at < bytes.len() {
            match mark_at(at) {
                Some((number, length)) => {
                    texts.push((number, Vec::new()));
                    at += length;
                }
                None => {
                    if let Some((_, text)) = texts.last_mut() {
                        text.push(bytes[at]);
                    }
                    at += 1;
                }
            }
        }
        let mut texts = texts
            .into_iter()
            .map(|(number, text)| (number, text.into()));
        let start = texts.next().map(|(_, text)| text).unwrap_or_default();
        Self {
            start,
            rest: texts.collect(),
            lines,
        }
    }

    /// Adds the lines with these numbers after those that `fields` has.
    pub fn append_to(&self, fields: &mut FieldBlock, numbers: [u64; COUNT]) {
        let mut buffers = [itoa::Buffer::new(); COUNT];
        let mut digits = [""; COUNT];
        for ((place, buffer), number) in digits.iter_mut().zip(&mut buffers).zip(numbers) {
            *place = buffer.format(number);
        }
        // Digits end no line.
        let out = fields.bytes_for(&self.lines);
        out.extend_from_slice(&self.start);
        for (number, text) in &self.rest {
            out.extend_from_slice(digits[*number].as_bytes());
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::KnownField;

    fn template(lines: &[(&str, &str)]) -> FieldTemplate<2> {
        let mut block = FieldBlock::new();
        for (name, value) in lines {
            block.append(name, value).unwrap();
        }
        FieldTemplate::new(block)
    }

    #[test]
    fn numbers_stand_where_their_marks_were() {
        let template = template(&[("A", "\"x\";q={1};w={0}"), ("B", "{1}"), ("C", "{2} {} {")]);
        let mut fields = FieldBlock::new();
        fields.append("Z", "z").unwrap();
        template.append_to(&mut fields, [0, u64::MAX]);
        let max = u64::MAX;
        let expected = format!("Z: z\r\nA: \"x\";q={max};w=0\r\nB: {max}\r\nC: {{2}} {{}} {{\r\n");
        assert_eq!(fields.as_bytes(), expected.as_bytes());
    }

    #[test]
    fn known_fields_are_known_afterwards() {
        let mut fields = FieldBlock::new();
        template(&[("Content-Length", "{0}")]).append_to(&mut fields, [7, 0]);
        assert!(fields.contains(KnownField::ContentLength));
        assert_eq!(fields.value("content-length"), Some(&b"7"[..]));
    }

    #[test]
    fn a_template_without_numbers_is_its_lines() {
        let mut fields = FieldBlock::new();
        template(&[("A", "b")]).append_to(&mut fields, [1, 2]);
        template(&[]).append_to(&mut fields, [1, 2]);
        assert_eq!(fields.as_bytes(), b"A: b\r\n");
    }
}
