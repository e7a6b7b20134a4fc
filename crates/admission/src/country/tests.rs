use super::*;

/// A MaxMind DB of IPv6 whose records for `::ffff:0:0/1` halves are: addresses that begin with bit 0 are of
/// `first`, others of `second`. IPv4 is where the format has it, at `::/96`.
///
/// Source: MaxMind DB File Format Specification 2.0.
fn database(first: &str, second: &str) -> Vec<u8> {
    // 96 nodes lead to IPv4; the one after these tells the halves of IPv4 apart.
    const NODES: u32 = 97;
    let mut file = Vec::new();
    let record = |file: &mut Vec<u8>, value: u32| file.extend(&value.to_be_bytes()[1..]);
    let mut data = Vec::new();
    let country = |data: &mut Vec<u8>, code: &str| {
        let at = data.len() as u32;
        data.push(0b111_00001);
        text(data, "country");
        data.push(0b111_00001);
        text(data, "iso_code");
        text(data, code);
        NODES + 16 + at
    };
    let (first, second) = (country(&mut data, first), country(&mut data, second));
    for node in 0..96 {
        record(&mut file, node + 1);
        // The upper half of IPv6, and all that is not IPv4, is not known.
        record(&mut file, NODES);
    }
    record(&mut file, first);
    record(&mut file, second);
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    file.push(0b111_00000 | 9);
    for (key, value) in [
        ("node_count", NODES as u16),
        ("record_size", 24),
        ("ip_version", 6),
        ("binary_format_major_version", 2),
        ("binary_format_minor_version", 0),
    ] {
        text(&mut file, key);
        // Of 32 bits and of 16, here both of two bytes.
        file.push(if key == "node_count" {
            0b110_00010
        } else {
            0b101_00010
        });
        file.extend(value.to_be_bytes());
    }
    text(&mut file, "build_epoch");
    // An unsigned number of 64 bits, here of no byte.
    file.extend([0b000_00000, 2]);
    text(&mut file, "database_type");
    text(&mut file, "Test-Country");
    text(&mut file, "languages");
    file.extend([0b000_00000, 4]);
    text(&mut file, "description");
    file.push(0b111_00000);
    file
}

fn text(out: &mut Vec<u8>, text: &str) {
    assert!(text.len() < 29 + 256);
    if text.len() < 29 {
        out.push(0b010_00000 | text.len() as u8);
    } else {
        out.extend([0b010_11101, (text.len() - 29) as u8]);
    }
    out.extend(text.as_bytes());
}

fn country(code: &str) -> Option<Country> {
    Some(code.parse().unwrap())
}

#[test]
fn a_database_says_which_country_and_is_read_again_when_it_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countries.mmdb");
    fs::write(&path, database("DE", "fr")).unwrap();
    let countries = CountryDatabase::open(&path).unwrap();
    let find = |address: &str| countries.find(address.parse().unwrap());
    assert_eq!(find("10.0.0.1"), country("DE"));
    assert_eq!(find("::ffff:10.0.0.1"), country("DE"));
    assert_eq!(find("192.0.2.1"), country("FR"));
    assert_eq!(find("2001:db8::1"), None);
    assert!(!countries.refresh().unwrap());

    // What is no database leaves the one before in use.
    fs::write(&path, b"no database").unwrap();
    let error = countries.refresh().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("countries.mmdb is no MaxMind DB of countries"),
        "{error}"
    );
    assert_eq!(find("10.0.0.1"), country("DE"));

    fs::write(&path, database("ZW", "PL")).unwrap();
    assert!(countries.refresh().unwrap());
    assert_eq!(find("10.0.0.1"), country("ZW"));
    fs::remove_file(&path).unwrap();
    assert!(countries.refresh().is_err());
    assert_eq!(find("10.0.0.1"), country("ZW"));
}

// The file is the operator's; still, one that is broken must end nothing.
#[test]
fn a_broken_database_panics_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("countries.mmdb");
    let whole = database("DE", "FR");
    for index in 0..whole.len() {
        let mut broken = whole.clone();
        broken[index] ^= 0xff;
        if index % 2 == 0 {
            broken.truncate(index);
        }
        fs::write(&path, broken).unwrap();
        if let Ok(countries) = CountryDatabase::open(&path) {
            for address in ["10.0.0.1", "192.0.2.1", "2001:db8::1"] {
                let _ = countries.find(address.parse().unwrap());
            }
        }
    }
}

#[test]
fn rules_let_in_what_they_name() {
    let rules = |allow: &[&str], block: &[&str], blocks_unknown| CountryRules {
        allow: allow.iter().map(|code| code.parse().unwrap()).collect(),
        block: block.iter().map(|code| code.parse().unwrap()).collect(),
        blocks_unknown,
    };
    let open = rules(&[], &[], false);
    assert!(open.is_empty() && open.admit(None) && open.admit(country("DE")));
    let some = rules(&["DE", "fr"], &["FR"], false);
    assert!(some.admit(country("DE")) && some.admit(None));
    assert!(!some.admit(country("FR")) && !some.admit(country("IT")));
    assert!(!rules(&[], &[], true).admit(None));
    for bad in ["", "D", "DEU", "D1", "dé"] {
        assert!(bad.parse::<Country>().is_err(), "{bad}");
    }
}
