//! The table of low-memory callbacks: fixed capacity, keyed by function and data, in the order in which they are called.
//!
//! ```text
//!   | first ... | common ... | last ... |
//! ```

use core::fmt;
use core::ptr;

use heapless::Vec;

use super::LowMemory;

/// Callbacks that one heap can hold.
pub const CALLBACKS: usize = 4;

/// Where a low-memory callback stands among the others. Within a priority, in the order of registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Priority {
    /// Before the others: what is given up easily, such as caches.
    First,
    /// After those, and before the last ones.
    #[default]
    Common,
    /// After the others: what is given up only if need be, such as a session. It sees the load that they have left.
    Last,
}

/// Why a callback was not registered or removed. The table is unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CallbackError {
    /// The table has no free place.
    Full {
        /// Callbacks that it can hold.
        capacity: usize,
    },
    /// This function is registered with this data already.
    Duplicate,
    /// This function is not registered with this data.
    Unknown,
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallbackError::Full { capacity } => write!(f, "all {capacity} callbacks are taken"),
            CallbackError::Duplicate => f.write_str("the function is registered with this data already"),
            CallbackError::Unknown => f.write_str("the function is not registered with this data"),
        }
    }
}

impl core::error::Error for CallbackError {}

/// A function and its data, their types forgotten.
///
/// **Invariant `PAIR`**: `function` was a `fn(&LowMemory, &'static T)` and `data` a `&'static T`, for the same `T: Sync`.
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    function: fn(&LowMemory, *const ()),
    data: *const (),
}

// SAFETY: PAIR: the data is a shared reference to a `Sync` type, which may be used from any thread.
unsafe impl Send for Callback {}

impl Callback {
    pub(crate) fn new<T: Sync>(function: fn(&LowMemory, &'static T), data: &'static T) -> Callback {
        // SAFETY: the two function types differ only in `&'static T` against `*const ()`, thin pointers both, which are
        // ABI-compatible; PAIR sees to it that the function only ever gets a `&'static T`.
        let function =
            unsafe { core::mem::transmute::<fn(&LowMemory, &'static T), fn(&LowMemory, *const ())>(function) };
        Callback {
            function,
            data: ptr::from_ref(data).cast(),
        }
    }

    pub(crate) fn call(&self, event: &LowMemory) {
        (self.function)(event, self.data);
    }
}

impl PartialEq for Callback {
    fn eq(&self, other: &Callback) -> bool {
        ptr::fn_addr_eq(self.function, other.function) && ptr::eq(self.data, other.data)
    }
}

/// The callbacks, and which of them are still to be called for the event under way.
pub(crate) struct Table {
    callbacks: Vec<Callback, CALLBACKS, u8>,
    /// Bit i: `callbacks[i]` is still to be called.
    pending: u8,
    /// How many are of [`Priority::First`], and of [`Priority::Last`].
    first: u8,
    last: u8,
}

const _: () = assert!(CALLBACKS <= u8::BITS as usize);

impl Table {
    pub(crate) const EMPTY: Table = Table {
        callbacks: Vec::new(),
        pending: 0,
        first: 0,
        last: 0,
    };

    /// Adds `callback`. It is not called for an event that is under way.
    ///
    /// # Errors
    /// `Duplicate`, `Full`.
    pub(crate) fn add(&mut self, callback: Callback, priority: Priority) -> Result<(), CallbackError> {
        if self.callbacks.contains(&callback) {
            return Err(CallbackError::Duplicate);
        }
        let at = match priority {
            Priority::First => usize::from(self.first),
            Priority::Common => self.callbacks.len() - usize::from(self.last),
            Priority::Last => self.callbacks.len(),
        };
        self.callbacks
            .insert(at, callback)
            .map_err(|_| CallbackError::Full { capacity: CALLBACKS })?;
        self.first += u8::from(priority == Priority::First);
        self.last += u8::from(priority == Priority::Last);
        let below = (1 << at) - 1;
        self.pending = self.pending & below | (self.pending & !below) << 1;
        Ok(())
    }

    /// Removes `callback`. Once this has returned it is not called any more, unless it is running already.
    ///
    /// # Errors
    /// `Unknown`.
    pub(crate) fn remove(&mut self, callback: Callback) -> Result<(), CallbackError> {
        let at = self
            .callbacks
            .iter()
            .position(|other| *other == callback)
            .ok_or(CallbackError::Unknown)?;
        if at < usize::from(self.first) {
            self.first -= 1;
        } else if at >= self.callbacks.len() - usize::from(self.last) {
            self.last -= 1;
        }
        self.callbacks.remove(at);
        let below = (1 << at) - 1;
        self.pending = self.pending & below | self.pending >> 1 & !below;
        Ok(())
    }

    /// Starts an event: every callback is to be called once.
    pub(crate) fn start(&mut self) {
        self.pending = ((1u16 << self.callbacks.len()) - 1) as u8;
    }

    /// Whether a callback is still to be called.
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending != 0
    }

    /// The next callback to be called, if any is left.
    pub(crate) fn next(&mut self) -> Option<Callback> {
        let at = self.pending.trailing_zeros() as usize;
        let callback = *self.callbacks.get(at)?;
        self.pending &= self.pending - 1;
        Some(callback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(_: &LowMemory, _: &'static u32) {}
    fn two(event: &LowMemory, data: &'static u32) {
        assert!(event.count != *data);
    }

    #[test]
    fn a5_full_duplicate_and_unknown_are_errors() {
        static DATA: [u32; 8] = [0; 8];
        let mut table = Table::EMPTY;
        for (at, data) in DATA.iter().enumerate() {
            let expected = if at < CALLBACKS {
                Ok(())
            } else {
                Err(CallbackError::Full { capacity: CALLBACKS })
            };
            assert_eq!(table.add(Callback::new(one, data), Priority::Common), expected);
        }
        assert_eq!(
            table.add(Callback::new(one, &DATA[1]), Priority::Common),
            Err(CallbackError::Duplicate)
        );
        assert_eq!(table.remove(Callback::new(two, &DATA[1])), Err(CallbackError::Unknown));
        assert_eq!(table.remove(Callback::new(one, &DATA[1])), Ok(()));
        assert_eq!(table.remove(Callback::new(one, &DATA[1])), Err(CallbackError::Unknown));
        assert_eq!(table.add(Callback::new(two, &DATA[1]), Priority::Common), Ok(()));
    }

    #[test]
    fn a5_each_is_called_once_whatever_is_removed_meanwhile() {
        static DATA: [u32; 4] = [0; 4];
        for (removed, leaving) in DATA.iter().enumerate() {
            for after in 0..4 {
                let mut table = Table::EMPTY;
                DATA.iter()
                    .for_each(|data| table.add(Callback::new(one, data), Priority::Common).unwrap());
                table.start();
                let mut called = std::vec::Vec::new();
                for at in 0.. {
                    if at == after {
                        table.remove(Callback::new(one, leaving)).unwrap();
                    }
                    let Some(callback) = table.next() else { break };
                    called.push(callback.data);
                }
                let expected: std::vec::Vec<_> = (0..4)
                    .filter(|at| *at != removed || removed < after)
                    .map(|at| ptr::from_ref(&DATA[at]).cast::<()>())
                    .collect();
                assert_eq!(called, expected, "{removed} removed before call {after}");
            }
        }
    }

    #[test]
    fn a5_they_are_called_by_priority_whatever_is_added_and_removed_meanwhile() {
        use Priority::*;
        static DATA: [u32; 5] = [0, 1, 2, 3, 4];
        let add = |table: &mut Table, index: usize, priority| table.add(Callback::new(one, &DATA[index]), priority);
        let order = |table: &mut Table| {
            let mut called = std::vec::Vec::new();
            while let Some(callback) = table.next() {
                called.push(
                    DATA.iter()
                        .position(|data| callback == Callback::new(one, data))
                        .unwrap(),
                );
            }
            called
        };
        let mut table = Table::EMPTY;
        for (index, priority) in [(0, Last), (1, Common), (2, First), (3, Common)] {
            add(&mut table, index, priority).unwrap();
        }
        assert_eq!(
            add(&mut table, 4, First),
            Err(CallbackError::Full { capacity: CALLBACKS })
        );
        table.start();
        assert_eq!(order(&mut table), [2, 1, 3, 0]);
        table.start();
        assert!(table.next() == Some(Callback::new(one, &DATA[2])));
        table.remove(Callback::new(one, &DATA[2])).unwrap();
        add(&mut table, 4, First).unwrap();
        assert_eq!(order(&mut table), [1, 3, 0], "the new one is for the next event");
        table.remove(Callback::new(one, &DATA[0])).unwrap();
        add(&mut table, 2, Last).unwrap();
        table.start();
        assert_eq!(order(&mut table), [4, 1, 3, 2]);
    }
}
