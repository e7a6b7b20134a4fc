//! Who may use a reserved prefix: rights, accounts, and their list as SDDL writes it.
//!
//! Words and their comparison. Which reservation decides for a prefix is found by whoever holds them.
//! Accounts are those of this system: a user's name or number, the few groups that every system has, and the
//! identifiers that Samba gives Unix users (`S-1-22-1-UID`) and groups (`S-1-22-2-GID`).
//! Source: "Security Descriptor String Format"; `netsh http add urlacl`; http-server-api §3.

use std::fmt;
use std::str::FromStr;

/// What an account may do with a reserved prefix. Source: GX, GW and GA of SDDL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UrlRights {
    /// Register the prefix and those below it. `GX`.
    pub listen: bool,
    /// Reserve prefixes below it, and delete these reservations. `GW`.
    pub delegate: bool,
}

impl UrlRights {
    /// To register, and no more.
    pub const LISTEN: Self = Self {
        listen: true,
        delegate: false,
    };
    /// To reserve below, and no more.
    pub const DELEGATE: Self = Self {
        listen: false,
        delegate: true,
    };

    fn includes(self, wanted: Self) -> bool {
        (self.listen || !wanted.listen) && (self.delegate || !wanted.delegate)
    }

    fn with(self, other: Self) -> Self {
        Self {
            listen: self.listen || other.listen,
            delegate: self.delegate || other.delegate,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(digits) = text.strip_prefix("0x") {
            let mask = u32::from_str_radix(digits, 16).ok()?;
            let known = GENERIC_EXECUTE | GENERIC_WRITE | GENERIC_ALL;
            let has = |right| mask & right != 0;
            return (mask != 0 && mask & !known == 0).then(|| Self {
                listen: has(GENERIC_EXECUTE) || has(GENERIC_ALL),
                delegate: has(GENERIC_WRITE) || has(GENERIC_ALL),
            });
        }
        let mut rights = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, after) = rest.split_at_checked(2)?;
            rights = rights.with(match word {
                "GX" => Self::LISTEN,
                "GW" => Self::DELEGATE,
                "GA" => Self::LISTEN.with(Self::DELEGATE),
                _ => return None,
            });
            rest = after;
        }
        (rights != Self::default()).then_some(rights)
    }
}

impl fmt::Display for UrlRights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match (self.listen, self.delegate) {
            (true, true) => "GA",
            (true, false) => "GX",
            (false, true) => "GW",
            (false, false) => "",
        })
    }
}

/// An account, or a group of them, as a list names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account(Who);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Who {
    WellKnown(&'static WellKnown),
    /// `S-1-22-1-UID`, or a number alone.
    User(u32),
    /// `S-1-22-2-GID`.
    Group(u32),
    /// A name as written, such as `alice` or `DOMAIN\alice`.
    Name(Box<str>),
}

#[derive(Debug, Eq, PartialEq)]
struct WellKnown {
    alias: &'static str,
    identifier: &'static str,
    name: &'static str,
    /// Other spellings of the name.
    names: &'static [&'static str],
    is_everyone: bool,
}

/// The groups that there are on every system: everybody, and who administers it.
const WELL_KNOWN: [WellKnown; 5] = [
    WellKnown {
        alias: "WD",
        identifier: "S-1-1-0",
        name: "\\Everyone",
        names: &["Everyone"],
        is_everyone: true,
    },
    WellKnown {
        alias: "AU",
        identifier: "S-1-5-11",
        name: "NT AUTHORITY\\Authenticated Users",
        names: &["Authenticated Users"],
        is_everyone: true,
    },
    WellKnown {
        alias: "BU",
        identifier: "S-1-5-32-545",
        name: "BUILTIN\\Users",
        names: &["Users"],
        is_everyone: true,
    },
    WellKnown {
        alias: "BA",
        identifier: "S-1-5-32-544",
        name: "BUILTIN\\Administrators",
        names: &["Administrators"],
        is_everyone: false,
    },
    WellKnown {
        alias: "SY",
        identifier: "S-1-5-18",
        name: "NT AUTHORITY\\SYSTEM",
        names: &["SYSTEM"],
        is_everyone: false,
    },
];

impl Account {
    /// Reads what a person writes: a user's name, as it is, or its number; or one of `Everyone`,
    /// `Authenticated Users`, `Users`, `Administrators` and `SYSTEM`, with or without what stands before them
    /// on Windows; or what SDDL has for an account.
    ///
    /// # Errors
    ///
    /// It is empty, has a character that SDDL could not write, or is an identifier of no account here.
    pub fn parse(text: &str) -> Result<Self, SddlError> {
        let named = WELL_KNOWN.iter().find(|known| {
            let mut names = known.names.iter().chain([&known.name]);
            names.any(|name| name.eq_ignore_ascii_case(text))
        });
        match named {
            Some(known) => Ok(Self(Who::WellKnown(known))),
            None => Self::parse_sddl(text),
        }
    }

    fn parse_sddl(text: &str) -> Result<Self, SddlError> {
        let refuse = || SddlError::Account { text: text.into() };
        let known = WELL_KNOWN
            .iter()
            .find(|known| known.alias == text || known.identifier.eq_ignore_ascii_case(text));
        if let Some(known) = known {
            return Ok(Self(Who::WellKnown(known)));
        }
        if text.is_empty()
            || text
                .chars()
                .any(|c| matches!(c, '(' | ')' | ';') || c.is_control())
        {
            return Err(refuse());
        }
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| match is_number(text) {
            true => text.parse().map_err(|_| refuse()),
            false => Err(refuse()),
        };
        if is_number(text) {
            return Ok(Self(Who::User(number(text)?)));
        }
        if let Some(id) = text.strip_prefix("S-1-22-1-") {
            return Ok(Self(Who::User(number(id)?)));
        }
        if let Some(id) = text.strip_prefix("S-1-22-2-") {
            return Ok(Self(Who::Group(number(id)?)));
        }
        // What Windows would read as an account of its own would be a name that nobody here has.
        let is_alias = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_alias || text.starts_with("S-1-") || text.starts_with("s-1-") {
            return Err(refuse());
        }
        Ok(Self(Who::Name(text.into())))
    }

    /// As SDDL has it.
    fn sddl(&self) -> String {
        match &self.0 {
            Who::WellKnown(known) => known.alias.to_owned(),
            Who::User(id) => format!("S-1-22-1-{id}"),
            Who::Group(id) => format!("S-1-22-2-{id}"),
            Who::Name(name) => name.to_string(),
        }
    }

    fn is(&self, caller: &Caller) -> bool {
        match &self.0 {
            Who::WellKnown(known) => known.is_everyone || caller.is_administrator,
            Who::User(id) => caller.user_id == Some(*id),
            Who::Group(id) => caller.group_ids.contains(id),
            Who::Name(name) => caller.name.as_deref().is_some_and(|callers| {
                // Names of domains are compared without case, names of users are not.
                match name.contains('\\') {
                    true => callers.eq_ignore_ascii_case(name),
                    false => callers == &**name,
                }
            }),
        }
    }
}

/// As a person knows it: `\Everyone`, `alice`, `1000`.
impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Who::WellKnown(known) => formatter.write_str(known.name),
            Who::User(id) => write!(formatter, "{id}"),
            Who::Group(id) => write!(formatter, "S-1-22-2-{id}"),
            Who::Name(name) => formatter.write_str(name),
        }
    }
}

/// The accounts for whom a prefix is reserved, each with its rights. Nobody else has any.
///
/// Written as SDDL, of which it knows lists that allow: `D:(A;;GX;;;WD)(A;;GA;;;alice)`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessControlList {
    entries: Vec<(Account, UrlRights)>,
}

impl AccessControlList {
    /// A list of one account.
    pub fn of(account: Account, rights: UrlRights) -> Self {
        Self {
            entries: vec![(account, rights)],
        }
    }

    /// The accounts with their rights.
    pub fn entries(&self) -> impl Iterator<Item = (&Account, UrlRights)> {
        self.entries
            .iter()
            .map(|(account, rights)| (account, *rights))
    }

    /// Whether it gives these rights to who calls.
    pub fn grants(&self, caller: &Caller, wanted: UrlRights) -> bool {
        let his = self
            .entries
            .iter()
            .filter(|(account, _)| account.is(caller));
        let rights = his.fold(UrlRights::default(), |all, (_, rights)| all.with(*rights));
        rights.includes(wanted)
    }
}

impl FromStr for AccessControlList {
    type Err = SddlError;

    /// Reads `D:(A;;RIGHTS;;;ACCOUNT)…`.
    fn from_str(text: &str) -> Result<Self, SddlError> {
        let entries = text
            .strip_prefix("D:")
            .ok_or_else(|| SddlError::List { text: text.into() })?;
        let mut list = Self::default();
        let mut rest = entries;
        while !rest.is_empty() {
            let entry = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .ok_or_else(|| SddlError::List { text: text.into() })?;
            rest = entry.1;
            let refuse = || SddlError::Entry {
                text: entry.0.into(),
            };
            let parts: Vec<_> = entry.0.split(';').collect();
            let ["A", "", rights, "", "", account] = parts[..] else {
                return Err(refuse());
            };
            let rights = UrlRights::parse(rights).ok_or_else(|| SddlError::Rights {
                text: rights.into(),
            })?;
            list.entries.push((Account::parse_sddl(account)?, rights));
        }
        match list.entries.is_empty() {
            true => Err(SddlError::List { text: text.into() }),
            false => Ok(list),
        }
    }
}

impl fmt::Display for AccessControlList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("D:")?;
        for (account, rights) in &self.entries {
            write!(formatter, "(A;;{rights};;;{})", account.sddl())?;
        }
        Ok(())
    }
}

/// Who registers or reserves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Caller {
    /// The name of the user; `None` when the system tells none.
    pub name: Option<String>,
    /// The number of the user.
    pub user_id: Option<u32>,
    /// The numbers of the user's groups.
    pub group_ids: Vec<u32>,
    /// Whether it is an administrator: what nobody has reserved is theirs.
    pub is_administrator: bool,
}

impl Caller {
    /// Whether he has these rights where the list of the reservation that decides is `list`; `None`: no
    /// reservation does, and it is the administrators' (http-server-api §3, the implicit owner).
    pub fn may(&self, wanted: UrlRights, list: Option<&AccessControlList>) -> bool {
        match list {
            Some(list) => list.grants(self, wanted),
            None => self.is_administrator,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.user_id) {
            (Some(name), _) => formatter.write_str(name),
            (None, Some(id)) => write!(formatter, "user {id}"),
            (None, None) => formatter.write_str("this user"),
        }
    }
}

/// What is wrong with a text that should say who may use a prefix. The caller's fault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SddlError {
    /// It is no list of accounts.
    List {
        /// The text.
        text: Box<str>,
    },
    /// An entry is of another kind than this can be.
    Entry {
        /// The entry.
        text: Box<str>,
    },
    /// Rights that a prefix does not have.
    Rights {
        /// The rights.
        text: Box<str>,
    },
    /// An account that there is not.
    Account {
        /// The account.
        text: Box<str>,
    },
}

impl fmt::Display for SddlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { text } => write!(
                formatter,
                "`{text}` is no list of accounts: write D:(A;;GX;;;USER), with an entry in brackets for each"
            ),
            Self::Entry { text } => write!(
                formatter,
                "`({text})` is not understood: an entry allows, without flags or objects, as (A;;GX;;;USER)"
            ),
            Self::Rights { text } => write!(
                formatter,
                "`{text}` are no rights to a URL: GX is to listen, GW to delegate, GA both"
            ),
            Self::Account { text } => write!(
                formatter,
                "`{text}` is no account here: name the user, or give its number, S-1-22-1-UID, S-1-22-2-GID of a \
                 group, or one of WD, AU, BU, BA, SY"
            ),
        }
    }
}

impl std::error::Error for SddlError {}

const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC_EXECUTE: u32 = 0x2000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AccessControlList {
        text.parse().unwrap()
    }

    fn user(name: &str) -> Caller {
        Caller {
            name: Some(name.to_owned()),
            user_id: Some(1000),
            group_ids: vec![50],
            is_administrator: false,
        }
    }

    #[test]
    fn lists_are_read_and_written() {
        for text in [
            "D:(A;;GX;;;WD)",
            "D:(A;;GX;;;BU)(A;;GA;;;alice)",
            "D:(A;;GW;;;DOMAIN\\alice)",
            "D:(A;;GX;;;S-1-22-1-1000)(A;;GX;;;S-1-22-2-50)",
        ] {
            assert_eq!(list(text).to_string(), text);
        }
        for (text, written) in [
            ("D:(A;;GXGW;;;alice)", "D:(A;;GA;;;alice)"),
            ("D:(A;;0x20000000;;;S-1-1-0)", "D:(A;;GX;;;WD)"),
            ("D:(A;;GX;;;1000)", "D:(A;;GX;;;S-1-22-1-1000)"),
        ] {
            assert_eq!(list(text).to_string(), written);
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in [
            "",
            "D:",
            "O:BAD:(A;;GX;;;WD)",
            "D:P(A;;GX;;;WD)",
            "D:(A;;GX;;;WD",
            "D:(A;;GX;;;WD)x",
            "D:(D;;GX;;;WD)",
            "D:(A;CI;GX;;;WD)",
            "D:(A;;GX;x;;WD)",
            "D:(A;;GX;;;WD;x)",
            "D:(A;;;;;WD)",
            "D:(A;;GR;;;WD)",
            "D:(A;;0x1;;;WD)",
            "D:(A;;0x0;;;WD)",
            "D:(A;;GXé;;;WD)",
            "D:(A;;GX;;;)",
            "D:(A;;GX;;;LS)",
            "D:(A;;GX;;;S-1-5-21-1-2-3-1001)",
            "D:(A;;GX;;;S-1-22-1-)",
            "D:(A;;GX;;;99999999999)",
        ] {
            assert!(text.parse::<AccessControlList>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn accounts_are_known_by_their_names() {
        for (text, name) in [
            ("everyone", "\\Everyone"),
            ("\\Everyone", "\\Everyone"),
            ("builtin\\users", "BUILTIN\\Users"),
            ("NT AUTHORITY\\SYSTEM", "NT AUTHORITY\\SYSTEM"),
            ("alice", "alice"),
            ("DOMAIN\\user", "DOMAIN\\user"),
            ("1000", "1000"),
            ("BA", "BUILTIN\\Administrators"),
        ] {
            assert_eq!(Account::parse(text).unwrap().to_string(), name);
        }
        for text in ["", "a;b", "a(b", "a\nb", "NS"] {
            assert!(Account::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn rights_are_those_of_all_entries_of_a_caller() {
        let (listen, delegate) = (UrlRights::LISTEN, UrlRights::DELEGATE);
        let alice = user("alice");
        let both = list("D:(A;;GX;;;alice)(A;;GW;;;S-1-22-2-50)");
        assert!(both.grants(&alice, listen) && both.grants(&alice, delegate));
        let only = list("D:(A;;GX;;;alice)");
        assert!(only.grants(&alice, listen) && !only.grants(&alice, delegate));
        assert!(!only.grants(&user("Alice"), listen));
        assert!(list("D:(A;;GX;;;dom\\al)").grants(&user("DOM\\Al"), listen));
        assert!(list("D:(A;;GX;;;1000)").grants(&alice, listen));
        assert!(list("D:(A;;GX;;;WD)").grants(&alice, listen));
        let administrators = list("D:(A;;GX;;;BA)");
        assert!(!administrators.grants(&alice, listen));
        let root = Caller {
            is_administrator: true,
            ..user("root")
        };
        assert!(administrators.grants(&root, listen));
        // An administrator is nobody special where others have reserved.
        assert!(!root.may(listen, Some(&only)) && root.may(listen, None));
        assert!(!alice.may(listen, None));
    }
}
