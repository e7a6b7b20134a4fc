//! A store as commands that make it, and commands from a file.
//!
//! A line is one command, in words as a shell of Unix reads them: what stands between quotes is one word.

use std::fs;
use std::io::{self, Read as _};

use tidegate::{HttpCertificate, HttpCertificateSource, HttpConfiguration, TlsBindingKey};

/// The commands that make what there is.
pub(super) fn write(all: &HttpConfiguration) -> String {
    let mut lines = vec![String::from("# HTTP configuration")];
    let mut line = |words: Vec<String>| {
        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
        lines.push(words.join(" "));
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for address in all.listen_addresses() {
        line(words(&format!("add iplisten ipaddress={address}")));
    }
    for (name, seconds) in [
        ("idleconnectiontimeout", all.idle_connection_timeout()),
        ("headerwaittimeout", all.header_wait_timeout()),
    ] {
        if let Some(seconds) = seconds {
            line(words(&format!(
                "add timeout timeouttype={name} value={seconds}"
            )));
        }
    }
    if let Some(bytes) = all.cache_response_bytes_max() {
        line(words(&format!(
            "add cacheparam type=maxcacheresponsesize value={bytes}"
        )));
    }
    for reservation in all.reservations() {
        let mut command = words("add urlacl");
        command.push(format!("url={}", reservation.prefix));
        command.push(format!("sddl={}", reservation.list));
        line(command);
    }
    for certificate in all.certificates() {
        let mut command = words("add sslcert");
        command.extend(parameters(certificate));
        line(command);
    }
    lines.push(String::from("# End of HTTP configuration"));
    lines.join("\n")
}

fn parameters(certificate: &HttpCertificate) -> Vec<String> {
    let mut words = vec![match &certificate.key {
        TlsBindingKey::Directory { port } => format!("ccs={port}"),
        key @ TlsBindingKey::Name { .. } => format!("hostnameport={key}"),
        key => format!("ipport={key}"),
    }];
    let mut path = |name: &str, path: Option<&std::path::PathBuf>| {
        if let Some(path) = path {
            words.push(format!("{name}={}", path.display()));
        }
    };
    let mut hash = None;
    match &certificate.source {
        HttpCertificateSource::Pem { chain, key } => {
            path("certfile", Some(chain));
            path("keyfile", Some(key));
        }
        HttpCertificateSource::Pkcs12 {
            path: archive,
            password_file,
        } => {
            path("pkcs12", Some(archive));
            path("passwordfile", password_file.as_ref());
        }
        HttpCertificateSource::Thumbprint { thumbprint, folder } => {
            hash = Some(format!("certhash={thumbprint}"));
            path("certstorename", Some(folder));
        }
        HttpCertificateSource::Folder(folder) => path("certstorename", Some(folder)),
        _ => {}
    }
    path("clientca", certificate.client_authorities.as_ref());
    path("clientcrl", certificate.client_revocation_lists.as_ref());
    path("ocspresponse", certificate.ocsp_response.as_ref());
    words.extend(hash);
    words.push(format!("appid={}", certificate.app_id));
    for (word, is_said) in [
        ("reject=enable", certificate.reject),
        ("disablehttp2=enable", !certificate.http2),
        ("disabletls12=enable", !certificate.tls12),
        ("disabletls13=enable", !certificate.tls13),
        ("disableocspstapling=enable", !certificate.ocsp_stapling),
        ("enablesessionticket=disable", !certificate.session_tickets),
        ("disablesessionid=enable", !certificate.session_ids),
    ] {
        if is_said {
            words.push(word.to_owned());
        }
    }
    words
}

/// The commands of a file, each with the number of its line; `-` is the input.
pub(super) fn read(file: &str) -> io::Result<Vec<(usize, Vec<String>)>> {
    let mut text = String::new();
    match file {
        "-" => {
            io::stdin().lock().read_to_string(&mut text)?;
        }
        file => text = fs::read_to_string(file)?,
    }
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    let words = lines.map(|(index, line)| match split(line) {
        Some(words) => Ok((index + 1, words)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line {}: a quote has no end", index + 1),
        )),
    });
    words.collect()
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=:/.,+-_@".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// The words of a line; `None` when a quote has no end.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        character => word.push(character),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        // As in netsh: a backslash is part of a user's name.
                        character => word.push(character),
                    }
                }
            }
            '\\' if characters.as_str().starts_with('\'') => {
                characters.next();
                word.get_or_insert_default().push('\'');
            }
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_they_were_quoted() {
        for word in [
            "a=b",
            "",
            "it's",
            "a b",
            "DOMAIN\\user",
            "\"x\"",
            "D:(A;;GX;;;WD)",
            "'",
            "{0}",
        ] {
            assert_eq!(split(&quoted(word)).unwrap(), [word], "{word:?}");
        }
        assert_eq!(split("a  \"b c\"d\t'e'").unwrap(), ["a", "b cd", "e"]);
        assert_eq!(split("user=DOMAIN\\user").unwrap(), ["user=DOMAIN\\user"]);
        assert_eq!(split("a 'b"), None);
        assert_eq!(split("a \"b"), None);
    }
}
