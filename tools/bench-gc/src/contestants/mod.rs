//! All that are compared.

mod arena;
mod bump;
mod owned;
mod pointers;
pub mod terrace;

use crate::contestant::Contestant;

/// What is done with contestants.
pub trait Visitor {
    fn visit<C: Contestant>(&mut self);
}

macro_rules! contestants {
    ($($contestant:ty),* $(,)?) => {
        /// Names, in the order of the tables. The first is what the others are compared with.
        pub const NAMES: &[&str] = &[$(<$contestant>::NAME),*];

        /// Visits the one of this name.
        pub fn visit<V: Visitor>(name: &str, visitor: &mut V) {
            $(if name == <$contestant>::NAME {
                visitor.visit::<$contestant>();
            })*
        }
    };
}

contestants!(
    owned::Owned,
    bump::Bumped,
    terrace::windows::Windows,
    terrace::handles::Handles,
    pointers::counted::pointer::Pointers,
    arena::Arenas<arena::Incremental>,
    arena::Arenas<arena::StopTheWorld>,
    pointers::dumpster::pointer::Pointers,
    pointers::boa::pointer::Pointers,
    pointers::cycle_collected::pointer::Pointers,
);
