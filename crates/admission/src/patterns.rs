//! Looks for what attacks look like, in paths, queries, fields and texts.
//!
//! A net with holes, and no substitute for code that is safe: it keeps common probes away and tells of them. All
//! is searched in time linear to the length, for all patterns at once and without backtracking. Percent
//! escapes are resolved twice before, since attackers write them twice. The patterns ask for what an attack
//! needs to work, not for words that occur in it, so that ordinary texts pass.
//!
//! Source: the component's Firewall; the attacks are those of OWASP's "Injection" and "Path Traversal" pages.

use std::borrow::Cow;
use std::fmt;

use regex::bytes::{RegexSet, RegexSetBuilder};

/// What an attack is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Attack {
    /// SQL in a value.
    SqlInjection,
    /// Script in a value.
    CrossSiteScripting,
    /// A path that leaves its folder.
    PathTraversal,
    /// A command of a shell in a value.
    CommandInjection,
    /// A pattern of the application's own: its place in the list given.
    Custom(usize),
}

impl Attack {
    /// As settings and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SqlInjection => "sql_injection",
            Self::CrossSiteScripting => "cross_site_scripting",
            Self::PathTraversal => "path_traversal",
            Self::CommandInjection => "command_injection",
            Self::Custom(_) => "custom_pattern",
        }
    }
}

/// Which attacks to look for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PatternChoice {
    /// SQL in a value.
    pub sql_injection: bool,
    /// Script in a value.
    pub cross_site_scripting: bool,
    /// A path that leaves its folder.
    pub path_traversal: bool,
    /// A command of a shell in a value.
    pub command_injection: bool,
    /// Regular expressions, as the `regex` crate has them, compared with resolved text, letter case ignored.
    pub custom: Vec<String>,
}

/// Patterns, ready to be looked for.
#[derive(Clone, Debug)]
pub struct Patterns {
    set: RegexSet,
    /// What each of the set is.
    attacks: Box<[Attack]>,
    /// Whether a text without any of the bytes that attacks need can be passed over.
    may_pass_over: bool,
}

/// A pattern that cannot be. The caller's fault.
#[derive(Clone, Debug)]
pub struct CustomPatternError {
    /// The pattern.
    pub pattern: Box<str>,
    /// Why.
    pub source: regex::Error,
}

impl Patterns {
    /// Makes ready what was chosen; `None` when that is nothing.
    ///
    /// # Errors
    ///
    /// The first pattern of the application's own that cannot be, or becomes too large.
    pub fn new(choice: &PatternChoice) -> Result<Option<Self>, CustomPatternError> {
        let mut texts: Vec<&str> = Vec::new();
        let mut attacks = Vec::new();
        let built_in = [
            (
                choice.sql_injection,
                Attack::SqlInjection,
                &SQL_INJECTION[..],
            ),
            (
                choice.cross_site_scripting,
                Attack::CrossSiteScripting,
                &CROSS_SITE_SCRIPTING,
            ),
            (
                choice.path_traversal,
                Attack::PathTraversal,
                &PATH_TRAVERSAL,
            ),
            (
                choice.command_injection,
                Attack::CommandInjection,
                &COMMAND_INJECTION,
            ),
        ];
        for (is_chosen, attack, of_attack) in built_in {
            if is_chosen {
                texts.extend(of_attack);
                attacks.resize(texts.len(), attack);
            }
        }
        for (index, custom) in choice.custom.iter().enumerate() {
            // Alone first: of a set, the error would not say which it was.
            build(&[custom]).map_err(|source| CustomPatternError {
                pattern: custom.as_str().into(),
                source,
            })?;
            texts.push(custom);
            attacks.push(Attack::Custom(index));
        }
        if texts.is_empty() {
            return Ok(None);
        }
        let set = build(&texts).map_err(|source| CustomPatternError {
            pattern: choice.custom.join(" | ").into(),
            source,
        })?;
        Ok(Some(Self {
            set,
            attacks: attacks.into(),
            may_pass_over: choice.custom.is_empty(),
        }))
    }

    /// The first attack, in the order of [`PatternChoice`], that a path or query looks like. `+` is a blank
    /// in a query.
    pub fn find_in_target(&self, text: &[u8], part: TargetPart) -> Option<Attack> {
        if self.may_pass_over && !may_be_attack(text) {
            return None;
        }
        let once = resolve(text, part == TargetPart::Query);
        let twice = resolve(&once, false);
        self.find(&twice)
    }

    /// The first attack that a text looks like in which nothing is escaped: a message, the value of a field.
    pub fn find_in_text(&self, text: &[u8]) -> Option<Attack> {
        if self.may_pass_over && !may_be_attack(text) {
            return None;
        }
        self.find(text)
    }

    /// The first attack that a form's content looks like: names and values as in a query.
    pub fn find_in_form(&self, text: &[u8]) -> Option<Attack> {
        self.find_in_target(text, TargetPart::Query)
    }

    /// The first attack that a text in JSON, or its beginning, looks like. Only its strings are looked at, with their
    /// escapes resolved: what is around them is no part of a value.
    pub fn find_in_json(&self, text: &[u8]) -> Option<Attack> {
        self.find_in_text(&json_strings(text))
    }

    fn find(&self, text: &[u8]) -> Option<Attack> {
        let found = self.set.matches(text);
        found.iter().next().map(|index| self.attacks[index])
    }
}

/// A part of a request's target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetPart {
    /// The path.
    Path,
    /// What is behind the question mark.
    Query,
}

fn build(texts: &[&str]) -> Result<RegexSet, regex::Error> {
    RegexSetBuilder::new(texts)
        .case_insensitive(true)
        .unicode(false)
        .size_limit(SIZE_MAX)
        .dfa_size_limit(SIZE_MAX)
        .build()
}

/// Most memory for patterns, and for what is made of them while searching.
const SIZE_MAX: usize = 8 * 1024 * 1024;

/// Whether a text has anything that every built-in pattern needs: one of these bytes, two dots in a
/// row, or a folder of the system.
///
/// Most paths and queries end here.
fn may_be_attack(text: &[u8]) -> bool {
    let mut before = 0;
    text.iter().any(|&byte| {
        let is_suspect = SUSPECT[usize::from(byte)] || (byte == b'.' && before == b'.');
        before = byte;
        is_suspect
    }) || FOLDERS
        .iter()
        .any(|folder| memchr::memmem::find(text, folder).is_some())
}

/// Folders of systems, which paths name without any suspect byte.
const FOLDERS: [&[u8]; 2] = [b"/etc/", b"/proc/"];

/// All but letters, digits and what is common in paths and queries. A colon may begin `javascript:`.
const SUSPECT: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < 128 {
        let ordinary = (byte as u8).is_ascii_alphanumeric()
            || matches!(
                byte as u8,
                b'/' | b'.' | b'-' | b'_' | b'=' | b'&' | b'?' | b',' | b'~' | b'@' | b'!'
            );
        table[byte] = !ordinary;
        byte += 1;
    }
    table
};

/// Resolves percent escapes, `%u` ones of ASCII too, and in a query `+`. What is no escape stays.
fn resolve(text: &[u8], plus_is_blank: bool) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| *byte != b'%' && !(plus_is_blank && *byte == b'+');
    if text.iter().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut resolved = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let escape = match (byte, after) {
            (b'%', [b'u' | b'U', b'0', b'0', high, low, after @ ..]) => {
                hex(*high, *low).map(|byte| (byte, after))
            }
            (b'%', [high, low, after @ ..]) => hex(*high, *low).map(|byte| (byte, after)),
            (b'+', after) if plus_is_blank => Some((b' ', after)),
            _ => None,
        };
        match escape {
            Some((byte, after)) => {
                resolved.push(byte);
                rest = after;
            }
            None => resolved.push(byte),
        }
    }
    Cow::Owned(resolved)
}

/// The strings of a text in JSON, each in a line of its own. What is no JSON gives what can be made of it.
fn json_strings(text: &[u8]) -> Vec<u8> {
    let mut strings = Vec::with_capacity(text.len());
    let mut is_inside = false;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (is_inside, byte) {
            (false, b'"') => is_inside = true,
            (false, _) => {}
            (true, b'"') => {
                is_inside = false;
                strings.push(b'\n');
            }
            (true, b'\\') => match after {
                // What is not ASCII is part of no pattern.
                [b'u', b'0', b'0', high, low, after @ ..] if hex(*high, *low).is_some() => {
                    strings.extend(hex(*high, *low));
                    rest = after;
                }
                [escaped, after @ ..] => {
                    strings.push(match escaped {
                        b'n' => b'\n',
                        b't' => b'\t',
                        b'r' => b'\r',
                        b'b' | b'f' => b' ',
                        other => *other,
                    });
                    rest = after;
                }
                [] => {}
            },
            (true, other) => strings.push(other),
        }
    }
    strings
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

const SQL_INJECTION: [&str; 7] = [
    // A second query joined to the first, with what it is to give.
    r"(?s)\bunion(?:(?:\s|/\*.{0,40}?\*/)|\()+(?:(?:all|distinct)(?:(?:\s|/\*.{0,40}?\*/)|\()+)?select(?:\s|/\*.{0,40}?\*/)+(?:null\b|\d|[*@('\x22]|[\w.`]{1,60}(?:(?:\s|/\*.{0,40}?\*/)*[,(]|(?:\s|/\*.{0,40}?\*/)+from\b|(?:\s|/\*.{0,40}?\*/)*--))",
    // A quote that ends the value, then a condition that is always true: ' or '1'='1, " or 1=1.
    r#"(?s)['"`)](?:\s|/\*.{0,40}?\*/)*(?:\|\||&&|\b(?:or|and|xor|having)\b)(?:(?:\s|/\*.{0,40}?\*/)|\()*(?:not(?:(?:\s|/\*.{0,40}?\*/)|\()+)?['"`]?[\w-]{0,40}['"`]?\s{0,10}(?:=|<|>|\blike\b|\bis\s|\bin\s{0,5}\()"#,
    // A number in place of the value, then the same number twice: 1 or 1=1.
    r"(?:^|[=\s])-?\d{1,20}\s+(?:or|and)\s+\(?(?:0\s*=\s*0|1\s*=\s*1|2\s*=\s*2|true\b|sleep\s*\(|\d{1,10}\s*=\s*\d{1,10}(?:\s*(?:--|#|;)|\s*$))",
    // A quote or number that ends the value, then another statement.
    r#"['"`)\d]\s*;\s*(?:drop|alter|truncate|create|delete|insert|update|exec(?:ute)?|declare|shutdown|grant)\s+(?:table|database|from|into|procedure|user|schema|view|index|login|xp_|@|\w{1,60}\s+set\b|\w{1,60}\s+to\b|\w{1,60}\s+on\b|all\b)"#,
    // A quote that ends the value, then a comment that hides what follows.
    r#"(?:['"`]\)*\s*;?\s*(?:--(?:[\s-]|$)|#\s*$|/\*)\s*)"#,
    // What waits or tells, in engines that have it.
    r#"(?:\b(?:sleep|pg_sleep|benchmark)\s*\(\s*\d[^)]{0,80}\).{0,10}(?:--|#|['"`]|$)|\bwaitfor\s+delay\s+['"])"#,
    // Catalogues and procedures that no ordinary value names with their punctuation.
    r"\b(?:information_schema\s*\.\s*(?:tables|columns|schemata)|xp_cmdshell\b|(?:load_file|extractvalue|updatexml)\s*\(|into\s+(?:out|dump)file\s+['\x22])",
];

const CROSS_SITE_SCRIPTING: [&str; 5] = [
    r"<\s*/?\s*script[\s/>]",
    // An element with a handler: <img src=x onerror=...>.
    r#"<[a-z!/][^>]{0,2000}?[\s/'"]on[a-z]{3,30}\s*="#,
    // A value that is left for a handler: " onmouseover="...
    r#"['"]\s*/?\s*\bon(?:error|load|click|mouse[a-z]{2,6}|focus(?:in)?|blur|key(?:up|down|press)|toggle|animation[a-z]{3,9}|pointer[a-z]{2,12}|begin|submit|input)\s*=\s*[\w'"(`]"#,
    r"<\s*(?:iframe|object|embed|applet|meta\s|base\s|svg[\s/][^>]{0,200}on|math\s)[^>]{0,300}(?:src|srcdoc|data|href|content|code|on[a-z]{3,30})\s*=",
    // Where a URL begins: at the start of a value.
    r#"(?:^|[=\s"'(<])(?:java\s{0,5}script|vbscript)\s{0,5}:\s{0,5}(?:[\w.$]{1,60}\s{0,5}[(=`\[]|//|/\*|['"(\[{!~])|data:text/html[;,]"#,
];

const PATH_TRAVERSAL: [&str; 4] = [
    // Above the folder, twice at least or to a name that attacks are after.
    r"(?:^|[/\\=\s])\.\.[/\\]+(?:[^/\\&\s]{0,60}[/\\]+){0,4}?\.\.[/\\]",
    r"\.\.[/\\]+(?:[^&\s]{0,200}[/\\])?(?:etc[/\\]|windows[/\\]|winnt[/\\]|boot\.ini|proc[/\\]self|\.ssh|\.git[/\\]|\.env\b|web\.config|wp-config)",
    // Files of the system by their full names, as a value.
    r"(?:^|[=\s'\x22]|file:/{2,3})[/\\]*(?:/etc/(?:passwd|shadow|hosts|group|sudoers)\b|/proc/self/|c:[/\\]+(?:windows|winnt|boot\.ini))",
    // Dots in encodings that are no longer UTF-8: only an attack writes them so. And a NUL that cuts a name.
    r"(?:\xc0\xae|\xe0\x80\xae){2}|\xc0\xaf|\.\w{1,5}\x00|\x00\.\w{1,5}",
];

const COMMAND_INJECTION: [&str; 5] = [
    // A command after what ends or joins one, with what it is to act upon.
    r"(?:[;|\n]|&&|\|\|)\s*(?:/(?:usr/)?(?:s?bin|local/bin)/)?(?:cat\s+[/.~]|ls\s+[-/.~]|id\s*(?:$|[;|&`#])|whoami\b|uname\s+-|wget\s+\S{0,20}(?:https?|ftp)?:?/?|curl\s+(?:-|https?:|\S{1,60}[/.])|nc\s+-|ncat\s+-|bash\s+-|sh\s+-c\b|rm\s+-[rf]|chmod\s+[0-7+]|python[23]?\s+-c|perl\s+-e|php\s+-r|ping\s+-[cn]\s|sleep\s+\d+\s*(?:$|[;|&`#])|powershell(?:\.exe)?\s+-|cmd(?:\.exe)?\s+/c|nslookup\s+\S{1,60}\.|type\s+c:)",
    // A substitution that runs something.
    r"(?:\$\(|=`)\s*(?:/(?:usr/)?s?bin/)?(?:cat|ls|id|whoami|uname|wget|curl|nc|bash|sh|rm|ping|sleep|nslookup|python[23]?|perl|printenv|env)(?:\s+[-/.~$\w][^`)]{0,200})?\s*[`)]",
    // The same in a text, where `id` may be a name that is set apart, and only an argument tells.
    r"`\s*(?:/(?:usr/)?s?bin/)?(?:cat|ls|uname|wget|curl|nc|bash|sh|rm|ping|nslookup|python[23]?|perl)\s+[-/.~$][^`]{0,200}`",
    // Functions defined in the environment (CVE-2014-6271), look-ups (CVE-2021-44228).
    r"\(\)\s*\{\s*:?\s*;?\s*\}\s*;",
    r"\$\{\s*(?:jndi|\$\{[^}]{0,40}\}\s*ndi|(?:lower|upper|env|sys)\s*:[^}]{0,60}\}[^}]{0,60}\})\s*:?",
];

impl fmt::Display for CustomPatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is no pattern: {}",
            self.pattern, self.source
        )
    }
}

impl std::error::Error for CustomPatternError {}

#[cfg(test)]
mod tests;
