//! Requests of programs: the settings, and what is looked at. The families are `tidegate-admission`'s.

use schemars::JsonSchema;
use serde::Deserialize;
use tidegate_admission::bots::{Bot, BotDetector, BotFamily, BotKind, UsualFields};
use tidegate_httpapi::{KnownField, RequestHead};

use super::error::TrafficError;

/// Which requests are of programs. It classifies and tells of them, and keeps nobody out: what to do is for
/// [`on_bot_detected`](crate::Events::on_bot_detected) and [`on_firewall_rule`](crate::Events::on_firewall_rule) to
/// say.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BotSettings {
    /// Whether they are looked for. Default false.
    pub enabled: bool,
    /// Families of programs beside those that are known, which they come before.
    /// `[[firewall.bots.family]]` in a settings file.
    pub family: Vec<BotFamilySettings>,
}

/// A family of programs.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BotFamilySettings {
    /// What their `User-Agent` has in it, in any letter case.
    pub token: String,
    /// What they are for.
    pub kind: BotFamilyKind,
}

/// What a family of programs is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum BotFamilyKind {
    /// Reads for a search engine.
    SearchEngine,
    /// Reads for what learns from it.
    AiCrawler,
    /// Shows what a link leads to.
    LinkPreview,
    /// Reads for others.
    Crawler,
    /// Sees whether a site is there.
    Monitor,
    /// A browser that a program steers.
    Headless,
    /// A library or a command.
    HttpLibrary,
    /// Looks for holes.
    Scanner,
}

impl From<BotFamilyKind> for BotKind {
    fn from(kind: BotFamilyKind) -> Self {
        match kind {
            BotFamilyKind::SearchEngine => Self::SearchEngine,
            BotFamilyKind::AiCrawler => Self::AiCrawler,
            BotFamilyKind::LinkPreview => Self::LinkPreview,
            BotFamilyKind::Crawler => Self::Crawler,
            BotFamilyKind::Monitor => Self::Monitor,
            BotFamilyKind::Headless => Self::Headless,
            BotFamilyKind::HttpLibrary => Self::HttpLibrary,
            BotFamilyKind::Scanner => Self::Scanner,
        }
    }
}

impl BotSettings {
    /// `None` when they are not looked for.
    pub(super) fn detector(&self) -> Result<Option<BotDetector>, TrafficError> {
        if !self.enabled {
            return Ok(None);
        }
        let families = self.family.iter().map(|family| BotFamily {
            token: family.token.clone(),
            kind: family.kind.into(),
        });
        let families: Vec<BotFamily> = families.collect();
        let detector = BotDetector::new(&families).map_err(|_| TrafficError::Setting {
            key: "firewall.bots.family",
            wanted: "needs a token that is not empty, and not too many of them",
        })?;
        Ok(Some(detector))
    }
}

/// What a request is of, if it is of a program. With what it says of itself.
pub(super) fn classify<'a>(
    detector: &'a BotDetector,
    head: &RequestHead<'a>,
) -> Option<(Bot<'a>, Option<&'a [u8]>)> {
    let has = |name: &str| {
        head.fields
            .lines()
            .any(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
    };
    let user_agent = head.fields.known(KnownField::UserAgent);
    let usual = UsualFields {
        accept: has("Accept"),
        accept_encoding: has("Accept-Encoding"),
        accept_language: has("Accept-Language"),
    };
    Some((detector.classify(user_agent, usual)?, user_agent))
}
