//! What nobody can guess.

/// Bytes of the system's random number generator.
///
/// # Panics
///
/// The system has none, which it has from its start on: then nothing here could be kept secret.
pub(crate) fn bytes<const COUNT: usize>() -> [u8; COUNT] {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes
}
