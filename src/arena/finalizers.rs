//! Arenas whose finalisers and destructors a poll of the heap runs.

use super::arena::Arena;
use super::brand::Brand;

/// An arena, or several, whose finalisers and destructors [`Heap::poll_with`](crate::Heap::poll_with) is to run: an [`Arena`], a
/// slice or an array of references to such, a pair; `()` is none.
///
/// The heap does not run them of itself: they are the user's code, and may belong to one thread.
pub trait Finalizers {
    /// Finalisers and destructors that are due.
    fn waiting(&mut self) -> usize;

    /// Whether one is due.
    fn is_waiting(&mut self) -> bool {
        self.waiting() != 0
    }

    /// Runs one; tells whether there was one.
    fn run_one(&mut self) -> bool;
}

impl Finalizers for () {
    #[inline(always)]
    fn waiting(&mut self) -> usize {
        0
    }

    #[inline(always)]
    fn run_one(&mut self) -> bool {
        false
    }
}

impl<A: Brand> Finalizers for Arena<A> {
    fn waiting(&mut self) -> usize {
        // SAFETY: BRAND: the arena lives, and is of one thread of control.
        let waiting = unsafe { A::state().look(|collector| collector.finals.queued() + collector.drops.dying()) };
        waiting.unwrap_or(0)
    }

    fn run_one(&mut self) -> bool {
        self.enter(|cx| cx.poll_some(1) != 0)
    }
}

impl<F: Finalizers + ?Sized> Finalizers for &mut F {
    fn waiting(&mut self) -> usize {
        (**self).waiting()
    }

    fn run_one(&mut self) -> bool {
        (**self).run_one()
    }
}

impl<F: Finalizers> Finalizers for [F] {
    fn waiting(&mut self) -> usize {
        self.iter_mut().map(F::waiting).sum()
    }

    fn run_one(&mut self) -> bool {
        self.iter_mut().any(F::run_one)
    }
}

impl<F: Finalizers, const N: usize> Finalizers for [F; N] {
    fn waiting(&mut self) -> usize {
        self.as_mut_slice().waiting()
    }

    fn run_one(&mut self) -> bool {
        self.as_mut_slice().run_one()
    }
}

impl<F: Finalizers, G: Finalizers> Finalizers for (F, G) {
    fn waiting(&mut self) -> usize {
        self.0.waiting() + self.1.waiting()
    }

    fn run_one(&mut self) -> bool {
        self.0.run_one() || self.1.run_one()
    }
}
