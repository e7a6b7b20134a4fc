//! The account that a process acts for.

/// A user, as the system knows him.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessAccount {
    /// His name; `None` when the system has none for his number.
    pub name: Option<String>,
    /// His number: 0 is the superuser.
    pub user_id: u32,
    /// The numbers of his groups.
    pub group_ids: Vec<u32>,
}
