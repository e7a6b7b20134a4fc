//! Which requests are of programs, by what they say of themselves.
//!
//! A `User-Agent` that names a program, none at all, or one that claims to be a browser without the fields that every
//! browser sends. It only classifies: who wants to pass for a browser does. The families are data, in [`FAMILIES`].
//! Source: the component's Firewall (bot detection); RFC 9110 §10.1.5.

use std::collections::HashMap;

use regex::bytes::{Regex, RegexBuilder};

/// What a program that makes requests is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BotKind {
    /// Reads for a search engine.
    SearchEngine,
    /// Reads for what learns from it, or answers by it.
    AiCrawler,
    /// Shows what a link leads to.
    LinkPreview,
    /// Reads for the owners of other sites, or for archives.
    Crawler,
    /// Sees whether a site is there.
    Monitor,
    /// A browser without a window, or one that a program steers.
    Headless,
    /// A library or a command of which programs are made.
    HttpLibrary,
    /// Looks for holes.
    Scanner,
    /// It does not say what it is.
    NoUserAgent,
    /// It says that it is a browser, and lacks what browsers send.
    UnlikelyBrowser,
}

impl BotKind {
    /// As settings and logs call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SearchEngine => "search-engine",
            Self::AiCrawler => "ai-crawler",
            Self::LinkPreview => "link-preview",
            Self::Crawler => "crawler",
            Self::Monitor => "monitor",
            Self::Headless => "headless",
            Self::HttpLibrary => "http-library",
            Self::Scanner => "scanner",
            Self::NoUserAgent => "no-user-agent",
            Self::UnlikelyBrowser => "unlikely-browser",
        }
    }

    /// The kind of this name, of those that a family may have.
    pub fn of_family(name: &str) -> Option<Self> {
        const ALL: [BotKind; 8] = [
            BotKind::SearchEngine,
            BotKind::AiCrawler,
            BotKind::LinkPreview,
            BotKind::Crawler,
            BotKind::Monitor,
            BotKind::Headless,
            BotKind::HttpLibrary,
            BotKind::Scanner,
        ];
        ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A family of programs: what their `User-Agent` has in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BotFamily {
    /// The words that it has in it, in any letter case.
    pub token: String,
    /// What they are for.
    pub kind: BotKind,
}

/// A program that makes requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bot<'a> {
    /// What it is for.
    pub kind: BotKind,
    /// The words by which it was known; empty when it was known by what is missing.
    pub family: &'a str,
}

/// Which of the fields a request has that every browser sends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UsualFields {
    /// `Accept`.
    pub accept: bool,
    /// `Accept-Encoding`.
    pub accept_encoding: bool,
    /// `Accept-Language`.
    pub accept_language: bool,
}

/// Families, ready to be looked for.
#[derive(Debug)]
pub struct BotDetector {
    tokens: Regex,
    families: HashMap<Vec<u8>, BotFamily>,
}

impl BotDetector {
    /// Knows the families of [`FAMILIES`] and, before them, these.
    ///
    /// # Errors
    ///
    /// There are too many, or one has no token.
    pub fn new(own: &[BotFamily]) -> Result<Self, regex::Error> {
        if own.iter().any(|family| family.token.is_empty()) {
            return Err(regex::Error::Syntax("a token is empty".to_owned()));
        }
        let known = FAMILIES.iter().map(|&(token, kind)| BotFamily {
            token: token.to_owned(),
            kind,
        });
        let all: Vec<BotFamily> = own.iter().cloned().chain(known).collect();
        let alternatives: Vec<String> = all
            .iter()
            .map(|family| regex::escape(&family.token))
            .collect();
        let tokens = RegexBuilder::new(&alternatives.join("|"))
            .case_insensitive(true)
            .unicode(false)
            .size_limit(SIZE_MAX)
            .build()?;
        let mut families = HashMap::new();
        for family in all {
            let key = family.token.to_ascii_lowercase().into_bytes();
            families.entry(key).or_insert(family);
        }
        Ok(Self { tokens, families })
    }

    /// What a request is of, if it is of a program.
    pub fn classify(&self, user_agent: Option<&[u8]>, usual: UsualFields) -> Option<Bot<'_>> {
        let missing = |kind| Some(Bot { kind, family: "" });
        let Some(user_agent) = user_agent.filter(|text| !text.trim_ascii().is_empty()) else {
            return missing(BotKind::NoUserAgent);
        };
        let looked_at = &user_agent[..user_agent.len().min(LOOKED_AT_MAX)];
        if let Some(found) = self.tokens.find(looked_at)
            && let Some(family) = self.families.get(&found.as_bytes().to_ascii_lowercase())
        {
            return Some(Bot {
                kind: family.kind,
                family: &family.token,
            });
        }
        let UsualFields {
            accept,
            accept_encoding,
            accept_language,
        } = usual;
        let claims_browser = looked_at.starts_with(b"Mozilla/") || looked_at.starts_with(b"Opera/");
        match claims_browser && !(accept && accept_encoding && accept_language) {
            true => missing(BotKind::UnlikelyBrowser),
            false => None,
        }
    }
}

/// Of a longer `User-Agent` its beginning is looked at: names come first.
const LOOKED_AT_MAX: usize = 1024;

const SIZE_MAX: usize = 8 * 1024 * 1024;

/// The families that are known. Where several are named, the one that is named first counts.
pub const FAMILIES: [(&str, BotKind); 77] = [
    ("Googlebot", BotKind::SearchEngine),
    ("Google-InspectionTool", BotKind::SearchEngine),
    ("bingbot", BotKind::SearchEngine),
    ("DuckDuckBot", BotKind::SearchEngine),
    ("YandexBot", BotKind::SearchEngine),
    ("Baiduspider", BotKind::SearchEngine),
    ("Applebot", BotKind::SearchEngine),
    ("Sogou", BotKind::SearchEngine),
    ("SeznamBot", BotKind::SearchEngine),
    ("PetalBot", BotKind::SearchEngine),
    ("Qwantbot", BotKind::SearchEngine),
    ("MojeekBot", BotKind::SearchEngine),
    ("GPTBot", BotKind::AiCrawler),
    ("ChatGPT-User", BotKind::AiCrawler),
    ("OAI-SearchBot", BotKind::AiCrawler),
    ("ClaudeBot", BotKind::AiCrawler),
    ("Claude-User", BotKind::AiCrawler),
    ("Claude-SearchBot", BotKind::AiCrawler),
    ("anthropic-ai", BotKind::AiCrawler),
    ("PerplexityBot", BotKind::AiCrawler),
    ("Perplexity-User", BotKind::AiCrawler),
    ("CCBot", BotKind::AiCrawler),
    ("Bytespider", BotKind::AiCrawler),
    ("Amazonbot", BotKind::AiCrawler),
    ("meta-externalagent", BotKind::AiCrawler),
    ("cohere-ai", BotKind::AiCrawler),
    ("facebookexternalhit", BotKind::LinkPreview),
    ("Twitterbot", BotKind::LinkPreview),
    ("LinkedInBot", BotKind::LinkPreview),
    ("Slackbot", BotKind::LinkPreview),
    ("Discordbot", BotKind::LinkPreview),
    ("TelegramBot", BotKind::LinkPreview),
    ("WhatsApp/", BotKind::LinkPreview),
    ("SkypeUriPreview", BotKind::LinkPreview),
    ("AhrefsBot", BotKind::Crawler),
    ("SemrushBot", BotKind::Crawler),
    ("MJ12bot", BotKind::Crawler),
    ("DotBot", BotKind::Crawler),
    ("DataForSeoBot", BotKind::Crawler),
    ("Screaming Frog", BotKind::Crawler),
    ("archive.org_bot", BotKind::Crawler),
    ("ia_archiver", BotKind::Crawler),
    ("Scrapy", BotKind::Crawler),
    ("UptimeRobot", BotKind::Monitor),
    ("Pingdom", BotKind::Monitor),
    ("StatusCake", BotKind::Monitor),
    ("Site24x7", BotKind::Monitor),
    ("Datadog", BotKind::Monitor),
    ("Better Uptime", BotKind::Monitor),
    ("kube-probe", BotKind::Monitor),
    ("ELB-HealthChecker", BotKind::Monitor),
    ("GoogleHC", BotKind::Monitor),
    ("HeadlessChrome", BotKind::Headless),
    ("PhantomJS", BotKind::Headless),
    ("Puppeteer", BotKind::Headless),
    ("Playwright", BotKind::Headless),
    ("Selenium", BotKind::Headless),
    ("Electron/", BotKind::Headless),
    ("curl/", BotKind::HttpLibrary),
    ("Wget/", BotKind::HttpLibrary),
    ("python-requests", BotKind::HttpLibrary),
    ("python-httpx", BotKind::HttpLibrary),
    ("aiohttp/", BotKind::HttpLibrary),
    ("Python-urllib", BotKind::HttpLibrary),
    ("Go-http-client", BotKind::HttpLibrary),
    ("okhttp/", BotKind::HttpLibrary),
    ("Apache-HttpClient", BotKind::HttpLibrary),
    ("axios/", BotKind::HttpLibrary),
    ("node-fetch", BotKind::HttpLibrary),
    ("libwww-perl", BotKind::HttpLibrary),
    ("sqlmap", BotKind::Scanner),
    ("Nikto", BotKind::Scanner),
    ("Nmap", BotKind::Scanner),
    ("masscan", BotKind::Scanner),
    ("zgrab", BotKind::Scanner),
    ("Nuclei", BotKind::Scanner),
    ("WPScan", BotKind::Scanner),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: UsualFields = UsualFields {
        accept: true,
        accept_encoding: true,
        accept_language: true,
    };
    const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    fn kind(detector: &BotDetector, user_agent: &str, usual: UsualFields) -> Option<BotKind> {
        let found = detector.classify(Some(user_agent.as_bytes()), usual);
        found.map(|bot| bot.kind)
    }

    #[test]
    fn programs_are_known_by_their_names_in_any_letter_case() {
        let detector = BotDetector::new(&[]).unwrap();
        for (token, wanted) in FAMILIES {
            for text in [
                format!("Mozilla/5.0 (compatible; {token} 2.1; +http://example.com)"),
                token.to_ascii_uppercase(),
            ] {
                let found = detector.classify(Some(text.as_bytes()), ALL).unwrap();
                assert_eq!((found.kind, found.family), (wanted, token), "{text}");
            }
        }
    }

    #[test]
    fn a_browser_is_none_and_one_that_lacks_fields_is_unlikely() {
        let detector = BotDetector::new(&[]).unwrap();
        assert_eq!(kind(&detector, FIREFOX, ALL), None);
        for lacking in [
            UsualFields {
                accept: false,
                ..ALL
            },
            UsualFields {
                accept_encoding: false,
                ..ALL
            },
            UsualFields {
                accept_language: false,
                ..ALL
            },
        ] {
            let unlikely = Some(BotKind::UnlikelyBrowser);
            assert_eq!(kind(&detector, FIREFOX, lacking), unlikely);
        }
        // What does not claim to be a browser need not look like one.
        assert_eq!(
            kind(&detector, "shop-app/3.1", UsualFields::default()),
            None
        );
    }

    #[test]
    fn who_says_nothing_is_told_so() {
        let detector = BotDetector::new(&[]).unwrap();
        for silent in [None, Some(&b""[..]), Some(b" \t")] {
            let found = detector.classify(silent, ALL).unwrap();
            assert_eq!((found.kind, found.family), (BotKind::NoUserAgent, ""));
        }
    }

    #[test]
    fn families_of_ones_own_come_first() {
        let own = [
            BotFamily {
                token: "shop-sync".to_owned(),
                kind: BotKind::Monitor,
            },
            BotFamily {
                token: "CURL/".to_owned(),
                kind: BotKind::Scanner,
            },
        ];
        let detector = BotDetector::new(&own).unwrap();
        assert_eq!(kind(&detector, "Shop-Sync/2", ALL), Some(BotKind::Monitor));
        assert_eq!(kind(&detector, "curl/8.5", ALL), Some(BotKind::Scanner));
        let empty = BotFamily {
            token: String::new(),
            kind: BotKind::Monitor,
        };
        assert!(BotDetector::new(&[empty]).is_err());
        // No token is a pattern.
        let dots = BotFamily {
            token: "a.c".to_owned(),
            kind: BotKind::Monitor,
        };
        let detector = BotDetector::new(&[dots]).unwrap();
        assert_eq!(kind(&detector, "abc", ALL), None);
    }

    #[test]
    fn kinds_have_their_names() {
        for (_, kind) in FAMILIES {
            assert_eq!(BotKind::of_family(kind.name()), Some(kind));
        }
        assert_eq!(BotKind::of_family("no-user-agent"), None);
    }
}
