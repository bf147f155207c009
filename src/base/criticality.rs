//! How much depends on a request.

/// What ends if a request is refused, and so, how far the host should go to serve it. Ordered.
///
/// Source: `EMemoryCriticalLevel` of CLR hosting (seed `001_f38423a55030a0f1.txt`), whose application domain is a domain here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Criticality {
    /// One task, which can be tried again.
    Task = 0,
    /// A part of the program, such as a driver, a session, a script.
    Domain = 1,
    /// The program. What does not say otherwise counts as this.
    #[default]
    Process = 2,
}

impl Criticality {
    /// All of them, the least critical one first.
    pub(crate) const ALL: [Criticality; Self::COUNT] = [Criticality::Task, Criticality::Domain, Criticality::Process];

    pub(crate) const COUNT: usize = Criticality::Process as usize + 1;
}
