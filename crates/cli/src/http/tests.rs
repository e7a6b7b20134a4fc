//! How command lines are read, and what is made of them, whole.

use tidegate::HttpStore;

use super::*;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// A store in a folder of its own.
struct Kept {
    store: HttpStore,
    _folder: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: HttpStore::at(folder.path().join("http.toml")),
            _folder: folder,
        }
    }

    /// What a command prints, or the number of its error with the reason.
    fn run(&self, line: &str) -> Result<String, (u32, String)> {
        let Line::Call(call) = grammar::read(&words(line)).unwrap() else {
            panic!("{line} is no command");
        };
        answer(&self.store, &Running::default(), &call)
            .map_err(|failure| (failure.code as u32, failure.reason))
    }

    fn done(&self, line: &str) {
        let answer = self.run(line);
        assert!(answer.is_ok(), "{line}: {answer:?}");
    }

    fn refused(&self, line: &str) -> (u32, String) {
        self.run(line).expect_err(line)
    }
}

#[test]
fn commands_are_known_by_verb_and_noun() {
    for (line, action) in [
        ("add urlacl", Action::AddUrlAcl),
        ("ADD UrlAcl", Action::AddUrlAcl),
        ("del url", Action::DeleteUrlAcl),
        ("sh sslc", Action::ShowSslCert),
        ("show s sslcert", Action::ShowSetting),
        ("dump", Action::Dump),
        ("u sslcert", Action::UpdateSslCert),
        ("show time", Action::ShowTimeout),
        ("show serv", Action::Ask(running::Question::ServiceState)),
        ("fl log", Action::Ask(running::Question::FlushLogBuffer)),
    ] {
        match grammar::read(&words(line)) {
            Ok(Line::Call(call)) => assert_eq!(call.command.action, action, "{line}"),
            // Cut so far that it could be several.
            Err(error) => assert!(line.starts_with("show s "), "{line}: {error}"),
            Ok(other) => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn help_is_for_all_a_verb_or_one() {
    for (line, count) in [
        ("", grammar::COMMANDS.len()),
        ("help", grammar::COMMANDS.len()),
        ("?", grammar::COMMANDS.len()),
        ("dump ?", 1),
        ("add urlacl ?", 1),
        ("add urlacl help", 1),
    ] {
        match grammar::read(&words(line)).unwrap() {
            Line::Help(commands) => assert_eq!(commands.len(), count, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    let Line::Help(adding) = grammar::read(&words("add")).unwrap() else {
        panic!("add alone is help");
    };
    assert!(adding.iter().all(|command| command.verb == "add"));
    let text = help::text(adding);
    assert!(
        text.contains("add urlacl             Reserves a URL"),
        "{text}"
    );
    let Line::Help(one) = grammar::read(&words("add urlacl ?")).unwrap() else {
        panic!("? is help");
    };
    let text = help::text(one);
    assert!(
        text.contains("Usage: tidegate http add urlacl\n         [url=]VALUE"),
        "{text}"
    );
}

#[test]
fn parameters_stand_by_name_or_place() {
    for (line, wanted) in [
        ("url=http://+:80/ user=a", ["http://+:80/", "a", "-", "-"]),
        ("USER=a URL=http://+:80/", ["http://+:80/", "a", "-", "-"]),
        ("http://+:80/ a yes no", ["http://+:80/", "a", "yes", "no"]),
        (
            "http://+:80/ delegate=yes a",
            ["http://+:80/", "a", "-", "yes"],
        ),
        (
            "url=http://+:80/a=b user=D\\a",
            ["http://+:80/a=b", "D\\a", "-", "-"],
        ),
        ("http://+:80/a=b", ["http://+:80/a=b", "-", "-", "-"]),
    ] {
        let Line::Call(call) = grammar::read(&words(&format!("add urlacl {line}"))).unwrap() else {
            panic!("{line}");
        };
        let found = ["url", "user", "listen", "delegate"];
        let found = found.map(|name| call.value(name).unwrap_or("-"));
        assert_eq!(found, wanted, "{line}");
    }
}

#[test]
fn what_is_no_command_is_refused() {
    for (line, told) in [
        ("ad", ""),
        ("abc", "`abc` is no command"),
        ("add abc", "`abc` is no command after add"),
        ("add s", "could be setting or sslcert"),
        ("d urlacl", "could be delete or dump"),
        ("add urlacl foo=1", "`foo` is no parameter"),
        ("add urlacl url=1 url=2", "`url` is given twice"),
        ("add iplisten 1 2", "`2` is one too many"),
        ("dump 1", "`1` is one too many"),
        ("exec", "no command"),
        ("exec a b", "`b` is one too many"),
    ] {
        match grammar::read(&words(line)) {
            Err(error) => assert!(error.to_string().contains(told), "{line}: {error}"),
            Ok(_) => assert_eq!(told, "", "{line}"),
        }
    }
}

#[test]
fn reservations_are_shown_as_netsh_shows_them() {
    let kept = Kept::new();
    assert_eq!(
        kept.run("add urlacl url=HTTP://+:80/vroot/ user=DOMAIN\\user")
            .unwrap(),
        "URL reservation successfully added"
    );
    kept.done("add urlacl http://*:5357/ sddl=D:(A;;GX;;;BU)(A;;GA;;;alice)");
    kept.done("add urlacl url=https://h:443/ user=everyone listen=no delegate=yes");
    assert_eq!(
        kept.run("show urlacl").unwrap(),
        "
URL Reservations:
-----------------

    Reserved URL            : http://+:80/vroot/
        User: DOMAIN\\user
            Listen: Yes
            Delegate: No
            SDDL: D:(A;;GX;;;DOMAIN\\user)

    Reserved URL            : http://*:5357/
        User: BUILTIN\\Users
            Listen: Yes
            Delegate: No
        User: alice
            Listen: Yes
            Delegate: Yes
            SDDL: D:(A;;GX;;;BU)(A;;GA;;;alice)

    Reserved URL            : https://h:443/
        User: \\Everyone
            Listen: No
            Delegate: Yes
            SDDL: D:(A;;GW;;;WD)

"
    );
    let one = kept.run("show urlacl url=http://+:80/VROOT").unwrap();
    assert_eq!(one.matches("Reserved URL").count(), 1);
    // T15.
    assert_eq!(kept.refused("add urlacl http://+:80/vroot/ b").0, 183);
    assert_eq!(kept.refused("add urlacl https://+:80/ b").0, 183);
    assert_eq!(kept.refused("show urlacl http://+:81/").0, 2);
    assert_eq!(kept.refused("delete urlacl http://+:81/").0, 2);
    assert_eq!(
        kept.run("delete urlacl url=http://+:80/vroot/").unwrap(),
        "URL reservation successfully deleted"
    );
    assert_eq!(kept.refused("show urlacl http://+:80/vroot/").0, 2);
    for line in [
        "add urlacl http://+:80/",
        "add urlacl http://+:80/ a sddl=D:(A;;GX;;;WD)",
        "add urlacl url=http://+:80/ sddl=D:(A;;GX;;;WD) listen=yes",
        "add urlacl http://+:80/ a no no",
        "add urlacl http://+:80/ a maybe",
        "add urlacl url=http://+:80/ sddl=D:(D;;GX;;;WD)",
        "add urlacl http://+/ a",
        "add urlacl user=a",
    ] {
        assert_eq!(kept.refused(line).0, 87, "{line}");
    }
}

#[test]
fn addresses_timeouts_and_the_caches_limit() {
    let kept = Kept::new();
    assert_eq!(
        kept.run("show timeout").unwrap(),
        "
Timeout parameters:
-------------------

    Idle connection timeout (secs): 120
    Header wait timeout (secs): 120
"
    );
    kept.done("add timeout timeouttype=idleconnectiontimeout value=0x3C");
    kept.done("add timeout headerwaittimeout=30");
    let shown = kept.run("show timeout").unwrap();
    assert!(
        shown.contains("Idle connection timeout (secs): 60\n"),
        "{shown}"
    );
    assert!(
        shown.contains("Header wait timeout (secs): 30\n"),
        "{shown}"
    );
    kept.done("delete timeout HeaderWaitTimeout");
    let shown = kept.run("show timeout").unwrap();
    assert!(
        shown.contains("Header wait timeout (secs): 120\n"),
        "{shown}"
    );
    // T12.
    for value in ["0", "70000", "0x10000", "-1", "+1", "0x+1", "", "x"] {
        let line = format!("add timeout timeouttype=headerwaittimeout value={value}");
        assert_eq!(kept.refused(&line).0, 87, "{line}");
    }
    assert_eq!(kept.refused("add timeout sometimeout 3").0, 87);
    kept.done("add iplisten ipaddress=127.0.0.1");
    kept.done("add iplisten [::1]");
    assert_eq!(kept.refused("add iplisten ::1").0, 183);
    assert_eq!(kept.refused("add iplisten host").0, 87);
    assert_eq!(
        kept.run("show iplisten").unwrap(),
        "
IP addresses present in the IP listen list:
-------------------------------------------

    127.0.0.1
    ::1
"
    );
    kept.done("delete iplisten ::1");
    assert_eq!(kept.refused("delete iplisten ::1").0, 2);
    kept.done("add cacheparam type=maxcacheresponsesize value=4096");
    assert_eq!(
        kept.run("show cacheparam").unwrap(),
        "
Cache parameters:
-----------------

    maxcacheresponsesize (per-uri cache limit): 4096 bytes
    cacherangechunksize (range chunk size): (null)
"
    );
    assert_eq!(kept.refused("add cacheparam maxcacheresponsesize 1").0, 87);
    assert_eq!(
        kept.refused("add cacheparam cacherangechunksize 4096").0,
        50
    );
    assert_eq!(kept.refused("add setting sslthrottle 1").0, 50);
    assert_eq!(
        kept.refused("update sslpropertyex ipport=1.1.1.1:1 propertyid=0")
            .0,
        50
    );
}

#[test]
fn certificates_that_cannot_be_are_refused() {
    let kept = Kept::new();
    for (line, code, told) in [
        ("certfile=/a", 87, "what it is bound to"),
        ("ipport=1.1.1.1:443 ccs=443 certfile=/a", 87, "one of"),
        ("ipport=h:443 certfile=/a", 87, "no address and port"),
        (
            "hostnameport=1.1.1.1:443 certfile=/a",
            87,
            "no name and port",
        ),
        ("scopedccs=h:443 certfile=/a", 50, "by ccs=PORT"),
        ("ccs=0 certstorename=/", 87, "no port"),
        ("ccs=443", 87, "certstorename=FOLDER"),
        ("ccs=443 certfile=/a", 87, "nothing else"),
        ("ipport=1.1.1.1:443", 87, "named by certfile="),
        ("ipport=1.1.1.1:443 certfile=/a pkcs12=/b", 87, "in one way"),
        ("ipport=1.1.1.1:443 keyfile=/a", 87, "goes with `certfile`"),
        ("ipport=1.1.1.1:443 certhash=12", 87, "40 hexadecimal"),
        (
            "ipport=1.1.1.1:443 certhash=0123456789abcdef0123456789abcdef01234567",
            87,
            "there is no store of certificates here",
        ),
        (
            "ipport=1.1.1.1:443 certhash=0123456789abcdef0123456789abcdef01234567 certstorename=MY",
            87,
            "is no folder",
        ),
        (
            "ipport=1.1.1.1:443 certfile=/missing/a.crt",
            1312,
            "/missing/a.crt",
        ),
        ("ipport=1.1.1.1:443 certfile=/a appid=x", 87, "GUID"),
        (
            "1.1.1.1:443 certfile=/a clientcertnegotiation=enable",
            87,
            "clientca=FILE",
        ),
        (
            "1.1.1.1:443 certfile=/a verifyclientcertrevocation=enable",
            87,
            "clientcrl=FILE",
        ),
        (
            "1.1.1.1:443 certfile=/a clientcrl=/b",
            87,
            "goes with `clientca`",
        ),
        (
            "1.1.1.1:443 certfile=/a disablequic=disable",
            50,
            "HTTP/3 is not spoken",
        ),
        (
            "1.1.1.1:443 certfile=/a disablelegacytls=disable",
            50,
            "TLS 1.0",
        ),
        (
            "1.1.1.1:443 certfile=/a enabletokenbinding=enable",
            50,
            "token binding",
        ),
        (
            "1.1.1.1:443 certfile=/a usagecheck=disable",
            50,
            "always checked",
        ),
        (
            "1.1.1.1:443 certfile=/a dsmapperusage=enable",
            50,
            "not mapped",
        ),
        (
            "1.1.1.1:443 certfile=/a urlretrievaltimeout=5",
            50,
            "never fetched",
        ),
        (
            "1.1.1.1:443 certfile=/a sslctlstorename=x",
            50,
            "clientca=FILE",
        ),
        ("1.1.1.1:443 certfile=/a json=/x", 50, "exec FILE"),
        (
            "1.1.1.1:443 certfile=/a reject=yes",
            87,
            "enable or disable",
        ),
    ] {
        let (number, reason) = kept.refused(&format!("add sslcert {line}"));
        assert_eq!(number, code, "{line}: {reason}");
        assert!(reason.contains(told), "{line}: {reason}");
    }
    assert_eq!(kept.refused("delete sslcert 1.1.1.1:443").0, 2);
    assert_eq!(kept.refused("show sslcert ipport=1.1.1.1:443").0, 2);
    assert_eq!(
        kept.refused("update sslcert ipport=1.1.1.1:443 reject=enable")
            .0,
        2
    );
}
