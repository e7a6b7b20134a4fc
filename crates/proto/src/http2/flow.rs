//! Flow-control windows, of connections and of streams. Source: RFC 9113 §5.2, §6.9.

use super::frame::MAX_U31;

/// What the peer still takes. Below zero when it made its initial window smaller (RFC 9113 §6.9.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SendWindow(i32);

/// A window would pass 2³¹−1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct WindowOverflow;

impl SendWindow {
    /// A window of at most 2³¹−1.
    pub(super) const fn new(bytes: u32) -> Self {
        Self(if bytes > MAX_U31 {
            MAX_U31 as i32
        } else {
            bytes as i32
        })
    }

    /// How many bytes may be sent now.
    #[inline(always)]
    pub(super) const fn available(self) -> usize {
        if self.0 > 0 { self.0 as usize } else { 0 }
    }

    /// Whether anything may be sent now.
    #[inline(always)]
    pub(super) const fn is_open(self) -> bool {
        self.0 > 0
    }

    /// `bytes` are sent, which were available.
    #[inline(always)]
    pub(super) fn take(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.available());
        self.0 = self.0.saturating_sub_unsigned(bytes as u32);
    }

    /// Takes WINDOW_UPDATE. Says whether the window was closed and is open now.
    #[inline]
    pub(super) fn widen(&mut self, increment: u32) -> Result<bool, WindowOverflow> {
        let was_open = self.is_open();
        self.0 = self
            .0
            .checked_add_unsigned(increment)
            .ok_or(WindowOverflow)?;
        Ok(!was_open && self.is_open())
    }

    /// Takes another initial window: the difference moves each stream's. Else as [`widen`](Self::widen).
    pub(super) fn move_initial(&mut self, from: u32, to: u32) -> Result<bool, WindowOverflow> {
        if to >= from {
            return self.widen(to - from);
        }
        // At worst from 0 by 2³¹−1: what was sent is bounded by what the window was.
        self.0 = self.0.saturating_sub_unsigned(from - to);
        Ok(false)
    }
}

/// What we still take from the peer, and what was taken and is not given back yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ReceiveWindow {
    window: i32,
    gathered: u32,
    /// By how much it is larger than what was announced.
    widened: u32,
}

/// The peer sent more than the window allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct WindowExceeded;

impl ReceiveWindow {
    /// A window of at most 2³¹−1.
    pub(super) const fn new(bytes: u32) -> Self {
        Self {
            window: SendWindow::new(bytes).0,
            gathered: 0,
            widened: 0,
        }
    }

    /// The peer has sent so many bytes, padding and all.
    #[inline]
    pub(super) fn take(&mut self, bytes: u32) -> Result<(), WindowExceeded> {
        let left = self.window.checked_sub_unsigned(bytes);
        self.window = left
            .filter(|left| *left >= 0 || bytes == 0)
            .ok_or(WindowExceeded)?;
        Ok(())
    }

    /// Room for so many bytes is there again. Says by how much to widen the window, once it is worth a
    /// frame: when half of `full` has gathered.
    #[inline]
    pub(super) fn give_back(&mut self, bytes: usize, full: u32) -> Option<u32> {
        // No more than was taken, whatever the caller says.
        let full = full.saturating_add(self.widened);
        let taken = i64::from(full) - i64::from(self.window) - i64::from(self.gathered);
        let bytes = (bytes as u64).min(taken.max(0) as u64) as u32;
        self.gathered += bytes;
        if self.gathered < full.div_ceil(2).max(1) {
            return None;
        }
        let increment = std::mem::take(&mut self.gathered);
        self.window = self.window.saturating_add_unsigned(increment);
        Some(increment)
    }

    /// Makes the whole window larger by so much.
    pub(super) fn widen(&mut self, bytes: u32) {
        self.widened = self.widened.saturating_add(bytes);
        self.window = self.window.saturating_add_unsigned(bytes);
    }

    /// The peer has acknowledged an initial window that is smaller by so much.
    pub(super) fn shrink(&mut self, bytes: u32) {
        self.window = self.window.saturating_sub_unsigned(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 9113 §6.9.1: a window must not exceed 2³¹−1.
    #[test]
    fn a_send_window_ends_at_its_largest() {
        let mut window = SendWindow::new(65_535);
        assert_eq!(window.widen(MAX_U31 - 65_535), Ok(false));
        assert_eq!(window.available(), MAX_U31 as usize);
        assert_eq!(window.widen(1), Err(WindowOverflow));
        window.take(1);
        assert_eq!(window.widen(1), Ok(false));
    }

    // RFC 9113 §6.9.2: a change of the initial window can make a window negative.
    #[test]
    fn a_send_window_may_be_below_zero() {
        let mut window = SendWindow::new(60_000);
        window.take(60_000);
        assert_eq!(window.move_initial(60_000, 16_000), Ok(false));
        assert_eq!(window.available(), 0);
        assert_eq!(window.widen(44_000), Ok(false));
        assert_eq!(window.widen(1), Ok(true));
        assert_eq!(window.available(), 1);
    }

    #[test]
    fn the_largest_change_of_the_initial_window_is_survived() {
        let mut window = SendWindow::new(MAX_U31);
        window.take(MAX_U31 as usize);
        assert_eq!(window.move_initial(MAX_U31, 0), Ok(false));
        assert_eq!(window.move_initial(0, MAX_U31), Ok(false));
        assert_eq!(window.widen(5), Ok(true));
        assert_eq!(window.move_initial(0, MAX_U31), Err(WindowOverflow));
    }

    #[test]
    fn a_receive_window_is_kept_to() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.take(11), Err(WindowExceeded));
        assert_eq!(window.take(10), Ok(()));
        assert_eq!(window.take(0), Ok(()));
        assert_eq!(window.take(1), Err(WindowExceeded));
    }

    #[test]
    fn half_a_window_is_given_back_at_once() {
        let mut window = ReceiveWindow::new(10);
        assert_eq!(window.take(10), Ok(()));
        assert_eq!(window.give_back(4, 10), None);
        assert_eq!(window.take(1), Err(WindowExceeded));
        assert_eq!(window.give_back(1, 10), Some(5));
        assert_eq!(window.take(5), Ok(()));
        // What was never taken is not given back.
        assert_eq!(window.give_back(100, 10), Some(10));
        assert_eq!(window.give_back(100, 10), None);
        assert_eq!(window.take(11), Err(WindowExceeded));
    }

    // RFC 9113 §6.9.3: what the peer sent before it knew of a smaller window is taken.
    #[test]
    fn a_receive_window_may_shrink_below_zero() {
        let mut window = ReceiveWindow::new(65_535);
        assert_eq!(window.take(60_000), Ok(()));
        window.shrink(65_535 - 16_384);
        assert_eq!(window.take(0), Ok(()));
        assert_eq!(window.take(1), Err(WindowExceeded));
        assert_eq!(window.give_back(60_000, 16_384), Some(60_000));
        assert_eq!(window.take(16_384), Ok(()));
        assert_eq!(window.take(1), Err(WindowExceeded));
    }
}
