//! The firewall: who is kept out, by address and by what they do.
//!
//! What it keeps for addresses is cut into shards with a lock each; there is no lock that all workers take. Source:
//! the component's Firewall.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_admission::address_list::{AddressList, read_ranges};
use tidegate_admission::ban::file::BanFile;
use tidegate_admission::ban::offence::{Offence, OffenceRules};
use tidegate_admission::ban::{Ban, Bans};
use tidegate_admission::bots::BotDetector;
use tidegate_admission::country::{CountryDatabase, CountryRules};
use tidegate_admission::flood::{Counted, FloodAction, FloodLimits};
use tidegate_admission::patterns::{Attack, PatternChoice, Patterns, TargetPart};
use tidegate_admission::rate::Limit;
use tidegate_admission::table::{Seed, Table};
use tidegate_httpapi::{
    AddressRange, Admission, ConnectionId, ConnectionInfo, ContentFraming, Exchange, PeerAddress,
    RequestHead, ResponseHead, Version,
};

use super::bots;
use super::clock::Clock;
use super::content::ContentForm;
use super::counters::TrafficCounters;
use super::error::TrafficError;
use super::firewall_settings::FirewallSettings;
use super::notice::{
    BotDetected, FilterReason, FirewallFiltered, FirewallViolation, RequestPart, ScoreChanged,
    ViolationKind,
};
use super::statistics::{FirewallStatistics, Statistics};
use crate::component;
use crate::event::Events;
use crate::http::{ContentLimits, Request};
use crate::websocket::close_code;

/// A server's firewall.
pub(crate) struct Firewall {
    clock: Clock,
    allow: AddressList,
    block: AddressList,
    v6_bits: u8,
    stores: bool,
    /// What is counted for addresses.
    table: Table,
    floods: FloodLimits,
    offences: Option<OffenceRules>,
    bans: Bans,
    /// Locked by the keeper alone.
    ban_file: Option<Mutex<BanFile>>,
    patterns: Option<Patterns>,
    fields: Vec<String>,
    scans_content: bool,
    scans_messages: bool,
    bots: Option<BotDetector>,
    statistics: Statistics,
    scan_bytes_max: usize,
    refuses_attacks: bool,
    request_bytes_max: u64,
    message_bytes_max: u64,
    countries: CountryRules,
    database: Option<CountryDatabase>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// Who sends it, or what it looks like.
    Forbidden,
    /// It is too long.
    TooLong,
}

/// Why a WebSocket connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct MessageRefusal(&'static str);

impl MessageRefusal {
    pub(crate) fn close_code(self) -> u16 {
        close_code::POLICY_VIOLATION
    }

    /// As the peer is told.
    pub(crate) fn reason(self) -> &'static str {
        self.0
    }
}

impl Firewall {
    pub(super) fn open(settings: &FirewallSettings, clock: Clock) -> Result<Self, TrafficError> {
        let now = clock.now();
        let bans = Bans::new(settings.ban_rules(), random_seed());
        let ban_file = match &settings.bans.file {
            Some(path) => {
                let (file, read) =
                    BanFile::open(path).map_err(|error| TrafficError::Bans(Arc::new(error)))?;
                if read.damaged > 0 {
                    let damaged = read.damaged;
                    tracing::warn!(
                        "{damaged} damaged lines of {} were left out",
                        path.display()
                    );
                }
                for change in read.changes {
                    bans.apply(change, now);
                }
                Some(Mutex::new(file))
            }
            None => None,
        };
        let patterns = &settings.patterns;
        let choice = PatternChoice {
            sql_injection: patterns.sql_injection,
            cross_site_scripting: patterns.cross_site_scripting,
            path_traversal: patterns.path_traversal,
            command_injection: patterns.command_injection,
            custom: patterns.custom.clone(),
        };
        let compiled =
            Patterns::new(&choice).map_err(|error| TrafficError::Pattern(Arc::new(error)))?;
        let database = match &settings.country.database {
            Some(path) => {
                let opened = CountryDatabase::open(path);
                Some(opened.map_err(|error| TrafficError::Countries(Arc::new(error)))?)
            }
            None => None,
        };
        let (connections, messages) = (&settings.connections, &settings.messages);
        Ok(Self {
            clock,
            allow: list(&settings.allow, &settings.allow_files)?,
            block: list(&settings.block, &settings.block_files)?,
            v6_bits: settings.ipv6_prefix_length,
            stores: settings.cached_answers,
            table: Table::new(settings.states_max as usize, random_seed()),
            floods: FloodLimits {
                connections: connections
                    .enabled
                    .then(|| Limit::new(connections.limit, connections.window)),
                messages: messages
                    .enabled
                    .then(|| Limit::new(messages.limit, messages.window)),
                action: messages.action,
            },
            offences: settings.offence_rules(),
            bans,
            ban_file,
            patterns: compiled,
            fields: patterns.fields.clone(),
            scans_content: patterns.content,
            scans_messages: patterns.messages,
            bots: settings.bots.detector()?,
            statistics: Statistics::default(),
            scan_bytes_max: patterns.scan_bytes_max as usize,
            refuses_attacks: !patterns.log_only,
            request_bytes_max: settings.max_request_bytes,
            message_bytes_max: messages.max_bytes,
            countries: CountryRules {
                allow: settings.country.allow.clone(),
                block: settings.country.block.clone(),
                blocks_unknown: settings.country.block_unknown,
            },
            database,
        })
    }

    /// Whether answers may be stored, which are served without asking.
    pub(super) fn stores(&self) -> bool {
        self.stores
    }

    /// Whether a new connection may stay.
    pub(crate) fn connection(&self, events: &dyn Events, connection: &ConnectionInfo) -> Admission {
        let Some(address) = address_of(&connection.peer) else {
            return Admission::Accept;
        };
        if self.allow.contains(address) {
            return Admission::Accept;
        }
        match self.filter(events, address) {
            None => Admission::Accept,
            Some(reason) => {
                if reason == FilterReason::ConnectionRate {
                    self.offence(events, address, Offence::Flood);
                }
                self.refuse_address(events, address, reason)
            }
        }
    }

    /// Why an address is kept out.
    fn filter(&self, events: &dyn Events, address: IpAddr) -> Option<FilterReason> {
        if self.block.contains(address) {
            return Some(FilterReason::BlockList);
        }
        let now = self.clock.now();
        if let Some(ban) = self.bans.find(address, now) {
            return Some(FilterReason::Banned(ban));
        }
        if !self.countries.is_empty() {
            let told = guarded(events, || events.on_resolve_country(address)).flatten();
            let country = told.or_else(|| self.database.as_ref()?.find(address));
            if !self.countries.admit(country) {
                return Some(FilterReason::Country(country));
            }
        }
        let is_within =
            self.floods
                .count(&self.table, Counted::Connection, address, self.v6_bits, now);
        (!is_within).then_some(FilterReason::ConnectionRate)
    }

    fn refuse_address(
        &self,
        events: &dyn Events,
        address: IpAddr,
        reason: FilterReason,
    ) -> Admission {
        let filtered = FirewallFiltered { address, reason };
        let answer = guarded(events, || events.on_firewall_filtered(&filtered));
        let answer = answer.unwrap_or(Admission::Refuse);
        if answer == Admission::Refuse {
            self.statistics.filtered(reason);
        }
        answer
    }

    /// Whether a request may be made.
    #[inline]
    pub(super) fn request(
        &self,
        events: &dyn Events,
        exchange: &Exchange<'_>,
    ) -> Result<(), Refusal> {
        let address = address_of(&exchange.peer());
        if let Some(address) = address {
            if self.allow.contains(address) {
                return Ok(());
            }
            // Whoever was banned since the connection was made.
            if let Some(ban) = self.bans.find(address, self.clock.now()) {
                let reason = FilterReason::Banned(ban);
                if self.refuse_address(events, address, reason) == Admission::Refuse {
                    return Err(Refusal::Forbidden);
                }
            }
        }
        let head = exchange.head();
        let culprit = Culprit {
            address,
            connection_id: head.connection_id,
        };
        if self.request_bytes_max > 0
            && let ContentFraming::Length(bytes) = head.framing
            && bytes > self.request_bytes_max
        {
            self.violation(events, culprit, ViolationKind::Payload(bytes), true);
            return Err(Refusal::TooLong);
        }
        if let Some(detector) = &self.bots {
            self.look_for_bot(events, culprit, detector, head);
        }
        if events.watches_firewall_rules() && self.breaks_rule(events, exchange) {
            self.violation(events, culprit, ViolationKind::Rule, true);
            return Err(Refusal::Forbidden);
        }
        let Some(patterns) = &self.patterns else {
            return Ok(());
        };
        let in_target = |text, part| patterns.find_in_target(text, part);
        let found = in_target(head.raw_path(), TargetPart::Path)
            .map(|attack| (attack, RequestPart::Path))
            .or_else(|| {
                let attack = in_target(head.query()?, TargetPart::Query)?;
                Some((attack, RequestPart::Query))
            })
            .or_else(|| {
                let mut attacks = self.fields.iter().filter_map(|name| {
                    let value = head.field(name)?;
                    patterns.find_in_text(self.beginning(&value))
                });
                Some((attacks.next()?, RequestPart::Field))
            });
        match found {
            Some(found) if self.attack(events, culprit, found) => Err(Refusal::Forbidden),
            _ => Ok(()),
        }
    }

    /// Tells of a request that is of a program.
    fn look_for_bot(
        &self,
        events: &dyn Events,
        culprit: Culprit,
        detector: &BotDetector,
        head: &RequestHead<'_>,
    ) {
        let Some((bot, user_agent)) = bots::classify(detector, head) else {
            return;
        };
        self.statistics.bot();
        let detected = BotDetected {
            address: culprit.address,
            connection_id: culprit.connection_id,
            kind: bot.kind,
            family: bot.family,
            user_agent,
        };
        guarded(events, || events.on_bot_detected(&detected));
    }

    /// Whether the application's own rule refuses a request. A rule that panics refuses nothing.
    fn breaks_rule(&self, events: &dyn Events, exchange: &Exchange<'_>) -> bool {
        let request = Request::without_content(exchange, &ContentLimits::NONE);
        let answer = guarded(events, || events.on_firewall_rule(&request));
        answer == Some(Admission::Refuse)
    }

    /// What of a request's content is to be looked at, and for whom; `None` if nothing is.
    pub(super) fn content_to_scan(
        &self,
        exchange: &Exchange<'_>,
    ) -> Option<(Culprit, ContentForm)> {
        if !self.scans_content || self.patterns.is_none() {
            return None;
        }
        let head = exchange.head();
        let form = ContentForm::of(head)?;
        let address = address_of(&exchange.peer());
        if address.is_some_and(|address| self.allow.contains(address)) {
            return None;
        }
        let culprit = Culprit {
            address,
            connection_id: head.connection_id,
        };
        Some((culprit, form))
    }

    /// Whether content with this beginning may pass.
    pub(super) fn content(
        &self,
        events: &dyn Events,
        culprit: Culprit,
        form: ContentForm,
        content: &[u8],
    ) -> bool {
        let Some(patterns) = &self.patterns else {
            return true;
        };
        let beginning = self.beginning(content);
        let found = match form {
            ContentForm::Form => patterns.find_in_form(beginning),
            ContentForm::Json => patterns.find_in_json(beginning),
        };
        !found.is_some_and(|attack| self.attack(events, culprit, (attack, RequestPart::Content)))
    }

    /// Of content, how many bytes from its beginning are looked at.
    pub(super) fn scan_bytes_max(&self) -> usize {
        self.scan_bytes_max
    }

    /// What has been counted.
    pub(super) fn statistics(&self) -> FirewallStatistics {
        self.statistics.now()
    }

    /// Whether a connection may send this message. Text is looked at, binary content is not.
    pub(crate) fn message(
        &self,
        events: &dyn Events,
        (peer, connection_id): (&PeerAddress, ConnectionId),
        text: Option<&str>,
        bytes: usize,
    ) -> Result<(), MessageRefusal> {
        let address = address_of(peer);
        let culprit = Culprit {
            address,
            connection_id,
        };
        if let Some(address) = address {
            if self.allow.contains(address) {
                return Ok(());
            }
            let now = self.clock.now();
            if let Some(ban) = self.bans.find(address, now)
                && self.refuse_address(events, address, FilterReason::Banned(ban))
                    == Admission::Refuse
            {
                return Err(MessageRefusal("banned"));
            }
            let is_within =
                self.floods
                    .count(&self.table, Counted::Message, address, self.v6_bits, now);
            if !is_within && self.floods.action != FloodAction::Allow {
                let is_refused = self.floods.action == FloodAction::Deny;
                self.violation(events, culprit, ViolationKind::MessageFlood, is_refused);
                if is_refused {
                    return Err(MessageRefusal("too many messages"));
                }
            }
        }
        let bytes = bytes as u64;
        if self.message_bytes_max > 0 && bytes > self.message_bytes_max {
            self.violation(events, culprit, ViolationKind::Payload(bytes), true);
            return Err(MessageRefusal("message too long"));
        }
        if self.scans_messages
            && let (Some(patterns), Some(text)) = (&self.patterns, text)
            && let Some(attack) = patterns.find_in_text(self.beginning(text.as_bytes()))
            && self.attack(events, culprit, (attack, RequestPart::Message))
        {
            return Err(MessageRefusal("forbidden content"));
        }
        Ok(())
    }

    /// Counts something that an address should not have done, and bans it if that was enough.
    pub(crate) fn offence(&self, events: &dyn Events, address: IpAddr, offence: Offence) {
        let Some(rules) = &self.offences else {
            return;
        };
        if self.allow.contains(address) {
            return;
        }
        let now = self.clock.now();
        let counted = rules.count(&self.table, offence, address, self.v6_bits, now);
        let ban = counted
            .ban
            .and_then(|reason| self.bans.escalate(address, reason, now));
        self.statistics.offence(ban.is_some());
        if counted.score_before != counted.score || ban.is_some() {
            let changed = ScoreChanged {
                address,
                offence,
                before: counted.score_before,
                after: counted.score,
                ban,
            };
            guarded(events, || events.on_score_changed(&changed));
        }
    }

    /// Counts an offence of whoever is at the other end of a connection.
    pub(crate) fn offence_of(&self, events: &dyn Events, peer: &PeerAddress, offence: Offence) {
        if let Some(address) = address_of(peer) {
            self.offence(events, address, offence);
        }
    }

    /// Bans an address until further notice, or for a time; `None` when there is no room.
    pub(crate) fn ban(&self, address: IpAddr, duration: Option<Duration>) -> Option<Ban> {
        self.bans.ban(address, duration, self.clock.now())
    }

    /// Lets an address in again; whether it was banned.
    pub(crate) fn unban(&self, address: IpAddr) -> bool {
        self.bans.unban(address)
    }

    /// Adds what has been counted.
    pub(super) fn add_counters(&self, counters: &mut TrafficCounters) {
        counters.firewall = self.statistics();
        counters.bans = self.list().len() as u64;
    }

    /// All bans that are on.
    pub(crate) fn list(&self) -> Vec<Ban> {
        self.bans.list(self.clock.now())
    }

    /// Gives the file what has changed, and takes what others have changed in it. For the keeper.
    pub(super) fn keep_bans(&self) {
        let changes = self.bans.take_changes();
        let Some(file) = &self.ban_file else {
            return;
        };
        let now = self.clock.now();
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let is_anew = self.bans.has_overflowed(&changes) || file.is_worn(self.bans.known());
        let kept = match is_anew {
            // The file is written from what is known here, once that has what others have added.
            true => file.rewrite(|others| {
                for change in others.changes {
                    self.bans.apply(change, now);
                }
                // What was changed here is later than what others have added before.
                for change in &changes {
                    self.bans.apply(*change, now);
                }
                self.bans.known_bans()
            }),
            false => file.exchange(&changes).map(|others| {
                for change in others.changes {
                    self.bans.apply(change, now);
                }
                for change in &changes {
                    self.bans.apply(*change, now);
                }
            }),
        };
        if let Err(error) = kept {
            tracing::error!("bans cannot be kept: {error}; it is tried again");
            self.bans.put_back(changes);
        }
    }

    /// Forgets bans that have ended long ago, and reads the database of countries again if it is another. For the
    /// keeper.
    pub(super) fn refresh(&self) {
        self.bans.sweep(self.clock.now());
        match self.database.as_ref().map(CountryDatabase::refresh) {
            Some(Ok(true)) => tracing::info!("the database of countries was read again"),
            Some(Err(error)) => tracing::warn!("{error}; the one before stays in use"),
            Some(Ok(false)) | None => {}
        }
    }

    /// Whether what was found is refused.
    #[cold]
    fn attack(
        &self,
        events: &dyn Events,
        culprit: Culprit,
        (attack, part): (Attack, RequestPart),
    ) -> bool {
        let kind = ViolationKind::Attack(attack, part);
        self.violation(events, culprit, kind, self.refuses_attacks);
        self.refuses_attacks
    }

    #[cold]
    fn violation(
        &self,
        events: &dyn Events,
        culprit: Culprit,
        kind: ViolationKind,
        is_refused: bool,
    ) {
        let Culprit {
            address,
            connection_id,
        } = culprit;
        let violation = FirewallViolation {
            address,
            connection_id,
            kind,
            is_refused,
        };
        self.statistics.violated(kind, is_refused);
        guarded(events, || events.on_firewall_violation(&violation));
        if let Some(address) = address {
            let offence = match kind {
                ViolationKind::Attack(..) | ViolationKind::Rule => Offence::Attack,
                ViolationKind::Payload(_) => Offence::Payload,
                ViolationKind::MessageFlood => Offence::Flood,
            };
            self.offence(events, address, offence);
        }
    }

    fn beginning<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[..text.len().min(self.scan_bytes_max)]
    }
}

/// Who did something.
#[derive(Clone, Copy)]
pub(super) struct Culprit {
    address: Option<IpAddr>,
    connection_id: ConnectionId,
}

/// Answers a request that may not be made.
#[cold]
pub(super) fn refuse(exchange: Exchange<'_>, refusal: Refusal) {
    if refusal == Refusal::TooLong {
        return component::refuse_content(exchange);
    }
    let mut head = ResponseHead::new(403);
    // Nothing else is wanted from it.
    head.close = exchange.head().version() < Version::Http2;
    exchange.respond(head, Default::default());
}

/// The IP address of a peer, if it has one.
pub(super) fn address_of(peer: &PeerAddress) -> Option<IpAddr> {
    match peer {
        PeerAddress::Tcp(address) => Some(address.ip()),
        PeerAddress::Unix(_) | PeerAddress::Unknown => None,
    }
}

/// Calls a handler; `None` when it panicked, which is told.
pub(super) fn guarded<Answer>(
    events: &dyn Events,
    handler: impl FnOnce() -> Answer,
) -> Option<Answer> {
    match catch_unwind(AssertUnwindSafe(handler)) {
        Ok(answer) => Some(answer),
        Err(payload) => {
            events.panicked(None, &*payload);
            None
        }
    }
}

/// A seed that nobody can know.
pub(super) fn random_seed() -> Seed {
    // Each has keys from the system's random numbers, which the hash does not give away.
    Seed([0, 1].map(|number: u64| RandomState::new().hash_one(number)))
}

fn list(ranges: &[AddressRange], files: &[PathBuf]) -> Result<AddressList, TrafficError> {
    let mut all = ranges.to_vec();
    for file in files {
        read_ranges(file, &mut all).map_err(|error| TrafficError::List(Arc::new(error)))?;
    }
    Ok(all.into_iter().collect())
}
