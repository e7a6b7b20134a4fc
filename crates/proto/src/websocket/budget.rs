//! Memory that all connections share.
//!
//! What a peer makes us keep is taken from a budget before it is allocated, and given back with it.

use std::fmt;
use std::sync::Arc;

use super::violation::Violation;

/// A bound on the memory for messages in progress, over all connections.
///
/// Messages read in place take nothing from it.
pub trait Budget: Send + Sync {
    /// Takes so many bytes; `false`, and nothing is taken, when they are not left.
    fn take(&self, bytes: usize) -> bool;
    /// Gives back so many bytes that were taken.
    fn give(&self, bytes: usize);
}

/// What one message has taken from the budget. Given back when dropped.
#[derive(Default)]
pub(super) struct Charge {
    budget: Option<Arc<dyn Budget>>,
    bytes: usize,
}

impl Charge {
    /// Nothing yet, to be taken from this budget, or from nowhere.
    pub(super) fn new(budget: Option<&Arc<dyn Budget>>) -> Self {
        Self {
            budget: budget.cloned(),
            bytes: 0,
        }
    }

    /// Takes so many bytes more.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Violation> {
        if let Some(budget) = &self.budget {
            if !budget.take(bytes) {
                return Err(Violation::BudgetSpent);
            }
            self.bytes += bytes;
        }
        Ok(())
    }

    /// Takes what is missing for this many bytes in all.
    pub(super) fn raise_to(&mut self, bytes: usize) -> Result<(), Violation> {
        self.take(bytes.saturating_sub(self.bytes))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget
            && self.bytes != 0
        {
            budget.give(self.bytes);
        }
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Charge").field(&self.bytes).finish()
    }
}
