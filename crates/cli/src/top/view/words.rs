//! Numbers, times and texts as a person reads them.

pub(super) fn number(value: f64) -> String {
    match value {
        value if value >= 1e9 => format!("{:.2}G", value / 1e9),
        value if value >= 1e6 => format!("{:.2}M", value / 1e6),
        value if value >= 1e4 => format!("{:.1}k", value / 1e3),
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

pub(super) fn bytes(value: f64) -> String {
    match value {
        value if value >= 1_073_741_824.0 => format!("{:.1} GiB", value / 1_073_741_824.0),
        value if value >= 1_048_576.0 => format!("{:.1} MiB", value / 1_048_576.0),
        value if value >= 1024.0 => format!("{:.1} KiB", value / 1024.0),
        value => format!("{value:.0} B"),
    }
}

pub(super) fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds >= 1.0 => format!("{seconds:.2} s"),
        seconds if seconds >= 0.001 => format!("{:.2} ms", seconds * 1e3),
        0.0 => "0".to_owned(),
        seconds => format!("{:.0} µs", seconds * 1e6),
    }
}

pub(super) fn age(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        86_400.. => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        3600.. => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        60.. => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{seconds} s"),
    }
}

/// What a terminal would take as an order is not shown to it.
pub(super) fn clean(text: &str) -> String {
    let characters = text.chars();
    characters
        .filter(|character| !character.is_control())
        .collect()
}

pub(super) fn short(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let start: String = text.chars().take(columns.saturating_sub(1)).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 12.34, 123.4, 12_345.0].map(number);
        assert_eq!(numbers, ["0", "12.3", "123", "12.3k"]);
        let all = [12.0, 2048.0, 3.5e6].map(bytes);
        assert_eq!(all, ["12 B", "2.0 KiB", "3.3 MiB"]);
        let times = [0.0, 0.000_25, 0.0015, 2.0].map(time);
        assert_eq!(times, ["0", "250 µs", "1.50 ms", "2.00 s"]);
        let ages = [59.9, 61.0, 3700.0, 90_000.0].map(age);
        assert_eq!(ages, ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn texts_are_harmless_and_fit() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a[2Jb");
        assert_eq!([short("abc", 3), short("abcd", 3)], ["abc", "ab…"]);
    }
}
