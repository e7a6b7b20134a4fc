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

/// A number below `bound`, each as likely as the other.
pub(crate) fn below(bound: u32) -> u32 {
    debug_assert!(bound > 0, "there is a number below the bound");
    // What is left over would make the first few likelier.
    let usable = u32::MAX - u32::MAX % bound;
    loop {
        let drawn = u32::from_le_bytes(bytes());
        if drawn < usable {
            return drawn % bound;
        }
    }
}
