//! Whether an interrupt is being handled: other processors do not tell.

/// No.
#[inline]
pub(crate) fn is_handled() -> bool {
    false
}
