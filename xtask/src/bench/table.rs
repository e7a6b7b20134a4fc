//! Markdown tables and the numbers in them.

use super::statistics::Spread;

/// Lines of a Markdown table whose columns are as wide as their widest cell.
pub(crate) fn markdown(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([head[column].chars().count(), 3])
            .max()
            .unwrap_or(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = String>| {
        let padded: Vec<String> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        format!("| {} |\n", padded.join(" | "))
    };
    let mut text = line(&mut head.iter().map(|cell| (*cell).to_owned()));
    text.push_str(&line(&mut widths.iter().map(|width| "-".repeat(*width))));
    for row in rows {
        text.push_str(&line(&mut row.iter().cloned()));
    }
    text
}

/// A number with about three significant digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => thousands(value.round() as i64),
    }
}

/// A number, or `-` where there is none.
pub(crate) fn number_or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), number)
}

/// `median [lowest–highest]`.
pub(crate) fn spread(spread: &Spread) -> String {
    format!(
        "{} [{}–{}]",
        number(spread.median),
        number(spread.lowest),
        number(spread.highest)
    )
}

fn thousands(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_aligned() {
        let rows = vec![
            vec!["hyper".to_owned(), "9.80".to_owned()],
            vec!["µ".to_owned(), "10".to_owned()],
        ];
        let expected = "| server | CPU µs |\n\
                        | ------ | ------ |\n\
                        | hyper  | 9.80   |\n\
                        | µ      | 10     |\n";
        assert_eq!(markdown(&["server", "CPU µs"], &rows), expected);
    }

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0.00"),
            (7.456, "7.46"),
            (16.54, "16.5"),
            (131.4, "131"),
            (1234567.8, "1,234,568"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(-1234.0), "-1,234");
        assert_eq!(number_or_dash(None), "-");
    }
}
