//! How much a poll may do.

/// Steps that a poll may do. A step is one collection, one finaliser or destructor, one callback, or one event; each is as long as it
/// is. With [`Budget::or_until`], a clock of yours ends it between two steps.
///
/// # Examples
/// ```
/// use terrace::Budget;
///
/// fn is_late() -> bool {
///     false // here: the timer has passed the deadline
/// }
///
/// const SLICE: Budget = Budget::steps(8).or_until(is_late);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Budget {
    steps: u32,
    is_over: Option<fn() -> bool>,
}

impl Budget {
    /// As many steps as there are to do.
    pub const UNLIMITED: Budget = Budget::steps(u32::MAX);

    /// So many steps.
    pub const fn steps(steps: u32) -> Budget {
        Budget { steps, is_over: None }
    }

    /// Ends as soon as this is true, too. It is called before each step, outside of all locks.
    pub const fn or_until(self, is_over: fn() -> bool) -> Budget {
        Budget {
            is_over: Some(is_over),
            ..self
        }
    }

    /// Takes a step; tells whether there was one.
    pub(crate) fn take(&mut self) -> bool {
        if self.steps == 0 || self.is_over.is_some_and(|is_over| is_over()) {
            return false;
        }
        if self.steps != u32::MAX {
            self.steps -= 1;
        }
        true
    }

    /// Gives a step back that was not needed.
    pub(crate) fn give_back(&mut self) {
        self.steps = self.steps.saturating_add(1);
    }
}
