//! What is kept of channels' messages for late subscribers. A plain value: bounded, without clock or lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::settings::{ChannelSettings, DeliveryLevel, Retention};

/// Kept messages of all channels, by their numbers, which is the order they were published in.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<u64, Kept>,
    channels: HashMap<Arc<str>, VecDeque<u64>>,
    bytes: u64,
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) channel: Arc<str>,
    pub(super) level: DeliveryLevel,
    /// As it was sent.
    pub(super) text: Bytes,
}

impl Kept {
    fn cost(&self) -> u64 {
        (self.text.len() + self.channel.len()) as u64 + ENTRY_BYTES
    }
}

/// What an entry takes beside its texts, roughly.
const ENTRY_BYTES: u64 = 128;

impl Retained {
    /// Keeps a message, whose number is higher than all before. Whatever is too much goes, the oldest
    /// first; that may be the message itself.
    pub(super) fn keep(
        &mut self,
        number: u64,
        channel: &str,
        (level, text): (DeliveryLevel, Bytes),
        retention: Retention,
        settings: &ChannelSettings,
    ) {
        let count_max = match retention {
            Retention::None => return,
            Retention::Last => 1,
            Retention::All => settings.retained_messages as usize,
        };
        let channel = match self.channels.get_key_value(channel) {
            Some((known, _)) => Arc::clone(known),
            None => channel.into(),
        };
        let kept = Kept {
            channel: Arc::clone(&channel),
            level,
            text,
        };
        self.bytes += kept.cost();
        self.messages.insert(number, kept);
        let numbers = self.channels.entry(channel).or_default();
        numbers.push_back(number);
        if numbers.len() > count_max
            && let Some(oldest) = numbers.front().copied()
        {
            self.drop_oldest_of_its_channel(oldest);
        }
        while self.bytes > settings.retained_bytes
            && let Some((&oldest, _)) = self.messages.first_key_value()
        {
            self.drop_oldest_of_its_channel(oldest);
        }
    }

    fn drop_oldest_of_its_channel(&mut self, number: u64) {
        let Some(kept) = self.messages.remove(&number) else {
            return;
        };
        self.bytes -= kept.cost();
        if let Some(numbers) = self.channels.get_mut(&kept.channel) {
            numbers.pop_front();
            if numbers.is_empty() {
                self.channels.remove(&kept.channel);
            }
        }
    }

    /// Forgets a channel's messages. Says how many there were.
    pub(super) fn clear(&mut self, channel: &str) -> usize {
        let numbers = self.channels.remove(channel).unwrap_or_default();
        for number in &numbers {
            if let Some(kept) = self.messages.remove(number) {
                self.bytes -= kept.cost();
            }
        }
        numbers.len()
    }

    /// The messages of a channel, in order.
    pub(super) fn of_channel(&self, channel: &str) -> Vec<(u64, &Kept)> {
        let numbers = self.channels.get(channel);
        self.find(numbers.into_iter().flatten().copied())
    }

    /// The messages of all channels that `is_wanted` names, in order.
    pub(super) fn of_channels(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<(u64, &Kept)> {
        let wanted = self.channels.iter().filter(|(name, _)| is_wanted(name));
        let mut numbers: Vec<u64> = wanted.flat_map(|(_, numbers)| numbers).copied().collect();
        numbers.sort_unstable();
        self.find(numbers)
    }

    fn find(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, &Kept)> {
        let found = numbers.into_iter();
        found
            .filter_map(|number| Some((number, self.messages.get(&number)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> ChannelSettings {
        ChannelSettings {
            retained_messages: 3,
            retained_bytes: 5 * (ENTRY_BYTES + 2),
            ..ChannelSettings::default()
        }
    }

    fn numbers(found: Vec<(u64, &Kept)>) -> Vec<u64> {
        found.into_iter().map(|(number, _)| number).collect()
    }

    fn keep(retained: &mut Retained, number: u64, channel: &str, retention: Retention) {
        let text = Bytes::from_static(b"x");
        let message = (DeliveryLevel::AtMostOnce, text);
        retained.keep(number, channel, message, retention, &settings());
    }

    #[test]
    fn each_retention_keeps_what_it_says() {
        let mut retained = Retained::default();
        for (retention, kept) in [
            (Retention::None, vec![]),
            (Retention::Last, vec![5]),
            (Retention::All, vec![3, 4, 5]),
        ] {
            for number in 1..=5 {
                keep(&mut retained, number, "a", retention);
            }
            assert_eq!(numbers(retained.of_channel("a")), kept, "{retention:?}");
            assert_eq!(retained.clear("a"), kept.len());
            assert_eq!(retained.bytes, 0);
        }
    }

    #[test]
    fn the_oldest_of_all_channels_goes_when_bytes_are_spent() {
        let mut retained = Retained::default();
        for number in 1..=3 {
            keep(&mut retained, number, "a", Retention::All);
            keep(&mut retained, number + 10, "b", Retention::All);
        }
        assert_eq!(numbers(retained.of_channel("a")), [2, 3]);
        assert_eq!(numbers(retained.of_channel("b")), [11, 12, 13]);
        assert_eq!(numbers(retained.of_channels(|_| true)), [2, 3, 11, 12, 13]);
        assert_eq!(
            numbers(retained.of_channels(|name| name == "b")),
            [11, 12, 13]
        );
        assert_eq!(retained.channels.len(), 2);
    }

    #[test]
    fn a_message_longer_than_all_that_may_be_kept_is_not() {
        let mut retained = Retained::default();
        keep(&mut retained, 1, "a", Retention::Last);
        let long = (DeliveryLevel::AtMostOnce, Bytes::from(vec![0; 4096]));
        retained.keep(2, "a", long, Retention::Last, &settings());
        assert!(
            retained.of_channel("a").is_empty(),
            "not an outdated one either"
        );
        assert!(retained.channels.is_empty() && retained.messages.is_empty());
        assert_eq!(retained.bytes, 0);
    }
}
