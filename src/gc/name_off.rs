//! No names of types: without feature `names` none is linked.

/// No name.
pub(crate) struct Name;

impl Name {
    #[allow(clippy::extra_unused_type_parameters, reason = "the other form names the type")]
    pub(crate) const fn of<T: ?Sized>() -> Name {
        Name
    }

    pub(crate) fn get(&self) -> Option<&'static str> {
        None
    }
}
