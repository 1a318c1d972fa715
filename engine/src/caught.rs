//! Panics of others, caught: redb answers some damage of a file with one.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is expected and caught.
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What `work` answers, or `None` when it panicked. Nothing is printed: it is the caller's to say in
/// one sentence what happened.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if EXPECTED.get() {
                tracing::debug!(panic = %info, "a panic was caught");
            } else {
                usual(info);
            }
        }));
    });
    let outer = EXPECTED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(outer);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_anything_else_is_some() {
        assert_eq!(caught(|| 3), Some(3));
        assert_eq!(caught(|| Vec::<u8>::new()[std::hint::black_box(3)]), None);
        assert_eq!(caught(|| caught(|| panic!("inner")).is_none()), Some(true));
    }
}
