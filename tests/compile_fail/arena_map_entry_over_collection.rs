//! What was taken out of a map is of the window.

use terrace::*;

fn work(cx: &mut Cx, map: &Root<GcMap<'static, Symbol, Slot<'static, u32>>>, key: Symbol) {
    let value = map.get(cx).get().get(cx, &key);
    cx.collect(Generation::Young);
    let _ = value.map(|value| value.get(cx).is_some());
}

fn main() {}
