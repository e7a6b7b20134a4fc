//! Who has subscribed to which channels and masks. A plain value.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::websocket::mask;

/// Connections by what they have subscribed to.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    channels: HashMap<Arc<str>, Channel>,
    masks: HashMap<Arc<str>, HashSet<u64>>,
}

/// A channel with subscribers.
#[derive(Debug)]
struct Channel {
    /// Its name among all channels of the component.
    lane_name: Arc<str>,
    members: HashSet<u64>,
}

/// Whom a message goes to.
#[derive(Debug)]
pub(super) enum Audience {
    Nobody,
    /// All of a channel, by its name among the component's.
    Channel(Arc<str>),
    /// Those of a channel and of masks that match it.
    These(HashSet<u64>),
}

impl Subscriptions {
    /// Adds a connection to a channel, whose name among the component's is made when it is the first.
    /// Gives that name.
    pub(super) fn join_channel(
        &mut self,
        channel: Arc<str>,
        connection: u64,
        lane_name: impl FnOnce() -> String,
    ) -> Arc<str> {
        let channel = self.channels.entry(channel).or_insert_with(|| Channel {
            lane_name: lane_name().into(),
            members: HashSet::new(),
        });
        channel.members.insert(connection);
        Arc::clone(&channel.lane_name)
    }

    /// Adds a connection to all channels that match a mask.
    pub(super) fn join_mask(&mut self, mask: Arc<str>, connection: u64) {
        self.masks.entry(mask).or_default().insert(connection);
    }

    /// Takes a connection out of a channel or mask. Gives a channel's name among the component's.
    pub(super) fn leave(&mut self, name: &str, connection: u64) -> Option<Arc<str>> {
        if let Some(members) = self.masks.get_mut(name) {
            members.remove(&connection);
            if members.is_empty() {
                self.masks.remove(name);
            }
            return None;
        }
        let channel = self.channels.get_mut(name)?;
        channel.members.remove(&connection);
        let lane_name = Arc::clone(&channel.lane_name);
        if channel.members.is_empty() {
            self.channels.remove(name);
        }
        Some(lane_name)
    }

    /// Whom a message to a channel goes to.
    pub(super) fn audience(&self, channel: &str) -> Audience {
        let by_name = self.channels.get(channel);
        let matching = self
            .masks
            .iter()
            .filter(|(known, _)| mask::matches(known, channel));
        let mut by_mask: HashSet<u64> =
            matching.flat_map(|(_, members)| members).copied().collect();
        match by_name {
            Some(channel) if by_mask.is_empty() => {
                Audience::Channel(Arc::clone(&channel.lane_name))
            }
            None if by_mask.is_empty() => Audience::Nobody,
            by_name => {
                let members = by_name.map(|channel| &channel.members);
                by_mask.extend(members.into_iter().flatten());
                Audience::These(by_mask)
            }
        }
    }

    /// The connections of a channel's audience.
    pub(super) fn members<'a>(
        &'a self,
        audience: &'a Audience,
        channel: &str,
    ) -> Option<&'a HashSet<u64>> {
        match audience {
            Audience::Nobody => None,
            Audience::Channel(_) => Some(&self.channels.get(channel)?.members),
            Audience::These(connections) => Some(connections),
        }
    }

    /// The channels that connections have subscribed to by name.
    pub(super) fn channels(&self) -> Vec<Arc<str>> {
        self.channels.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(subscriptions: &Subscriptions, channel: &str) -> Vec<u64> {
        let audience = subscriptions.audience(channel);
        let members = subscriptions.members(&audience, channel);
        let mut members: Vec<u64> = members.into_iter().flatten().copied().collect();
        members.sort_unstable();
        members
    }

    #[test]
    fn an_audience_has_each_connection_once() {
        let mut subscriptions = Subscriptions::default();
        let join = |subscriptions: &mut Subscriptions, channel: &str, connection| {
            subscriptions.join_channel(channel.into(), connection, || format!("x/{channel}"))
        };
        assert_eq!(&*join(&mut subscriptions, "a.b", 1), "x/a.b");
        join(&mut subscriptions, "a.b", 2);
        assert!(
            matches!(subscriptions.audience("a.b"), Audience::Channel(name) if &*name == "x/a.b")
        );
        assert!(matches!(subscriptions.audience("a"), Audience::Nobody));
        subscriptions.join_mask("a.*".into(), 2);
        subscriptions.join_mask("*".into(), 2);
        subscriptions.join_mask("*".into(), 3);
        assert_eq!(members(&subscriptions, "a.b"), [1, 2, 3]);
        assert_eq!(members(&subscriptions, "a.c"), [2, 3]);
        assert_eq!(subscriptions.leave("*", 3), None);
        assert_eq!(subscriptions.leave("*", 2), None);
        assert!(members(&subscriptions, "b").is_empty());
        assert_eq!(subscriptions.leave("a.*", 2), None);
        assert_eq!(members(&subscriptions, "a.b"), [1, 2]);
    }

    #[test]
    fn nothing_is_kept_of_channels_that_all_have_left() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.join_channel("a".into(), 1, || "x/a".to_owned());
        subscriptions.join_channel("a".into(), 2, || unreachable!("it has its name"));
        assert_eq!(subscriptions.channels().len(), 1);
        assert_eq!(subscriptions.leave("a", 1).as_deref(), Some("x/a"));
        assert_eq!(subscriptions.leave("a", 2).as_deref(), Some("x/a"));
        assert_eq!(subscriptions.leave("a", 2), None);
        assert!(subscriptions.channels.is_empty() && subscriptions.masks.is_empty());
    }
}
