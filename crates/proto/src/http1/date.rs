//! Dates in the form of HTTP fields.

/// Writes a time, in seconds since 1970-01-01 00:00:00 UTC, as an IMF-fixdate. RFC 9110 §5.6.7.
///
/// The year has four digits: times after 9999 are written as its last second.
pub fn format_date(unix_seconds: u64) -> [u8; 29] {
    let seconds = unix_seconds.min(LAST_SECOND);
    let days = seconds / 86_400;
    let time = seconds % 86_400;
    let (year, month, day) = civil(days);
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    // 1970-01-01 was a Thursday.
    date[..3].copy_from_slice(DAYS[((days + 4) % 7) as usize]);
    two_digits(&mut date[5..7], day);
    date[8..11].copy_from_slice(MONTHS[month as usize]);
    two_digits(&mut date[12..14], year / 100);
    two_digits(&mut date[14..16], year % 100);
    two_digits(&mut date[17..19], time / 3600);
    two_digits(&mut date[20..22], time / 60 % 60);
    two_digits(&mut date[23..25], time % 60);
    date
}

/// Year, month from 0 and day from 1 of a day since 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted in years that begin in March, so that a leap day ends its year; 719,468 days lie between
    // 0000-03-01 and 1970-01-01, 146,097 days are 400 years.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on last 153 days in five.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, month, day)
}

fn two_digits(to: &mut [u8], number: u64) {
    to[0] = b'0' + (number / 10) as u8;
    to[1] = b'0' + (number % 10) as u8;
}

/// 9999-12-31 23:59:59.
const LAST_SECOND: u64 = 253_402_300_799;

const DAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
