//! Generations, by how much their objects have survived.

/// A generation, the youngest first: how many collections of its own generation an object has survived, 2 at most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Generation {
    /// What was allocated since the last collection. Cheap to collect: work for what lives, not for what died.
    Young = 0,
    /// What has survived one.
    Middle = 1,
    /// All.
    Old = 2,
}

impl Generation {
    /// The generation of this number, 2 at most.
    pub(crate) const fn from_index(index: u8) -> Generation {
        match index {
            0 => Generation::Young,
            1 => Generation::Middle,
            _ => Generation::Old,
        }
    }

    /// For a table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Generation::Young => "young",
            Generation::Middle => "middle",
            Generation::Old => "old",
        }
    }
}
