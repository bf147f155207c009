//! The name of a type, for whoever looks at an arena. Feature `names`.

/// A type's name, as the compiler writes it.
pub(crate) struct Name(fn() -> &'static str);

impl Name {
    pub(crate) const fn of<T: ?Sized>() -> Name {
        Name(core::any::type_name::<T>)
    }

    pub(crate) fn get(&self) -> Option<&'static str> {
        Some((self.0)())
    }
}
