//! What the gateway's display shows: a tree of widgets in an arena, made anew for each request. Nobody frees the old one.

use serde_json::Value;
use terrace::{Cx, Gc, OutOfMemory, Root, Slot, Trace};

/// Widgets that fit on a screen, and into one of them.
const WIDGETS: usize = 24;
const INSIDE: usize = 6;

/// A label, with widgets inside.
#[derive(Trace)]
pub struct Widget<'g> {
    label: Slot<'g, str>,
    inside: Slot<'g, Widget<'g>>,
    next: Slot<'g, Widget<'g>>,
}

/// Widgets side by side.
type Row = Option<Root<Widget<'static>>>;

/// The screen for a document.
pub struct Screen {
    row: Row,
    widgets: usize,
}

impl Screen {
    /// Draws the upper part of a document.
    pub fn draw(cx: &mut Cx, name: &str, document: &Value) -> Result<Screen, OutOfMemory> {
        let mut left = WIDGETS;
        let row = draw(cx, name, document, None, &mut left)?;
        let widgets = WIDGETS - left;
        Ok(Screen { row, widgets })
    }

    /// Verifies that all of it is there.
    pub fn verify(&self, cx: &Cx) {
        let row = self.row.as_ref().map(|row| row.get(cx));
        assert_eq!(count(cx, row), self.widgets, "a screen is whole");
    }
}

/// Draws a value before the row `next`.
fn draw(cx: &mut Cx, name: &str, value: &Value, next: Row, left: &mut usize) -> Result<Row, OutOfMemory> {
    if *left == 0 {
        return Ok(next);
    }
    *left -= 1;
    let mut inside = None;
    match value {
        Value::Array(values) => {
            for value in values.iter().take(INSIDE) {
                inside = draw(cx, "-", value, inside, left)?;
            }
        }
        Value::Object(members) => {
            for (name, value) in members.iter().take(INSIDE) {
                inside = draw(cx, name, value, inside, left)?;
            }
        }
        _ => {}
    }
    widget(cx, name, inside.as_ref(), next.as_ref()).map(Some)
}

fn widget(
    cx: &mut Cx,
    label: &str,
    inside: Option<&Root<Widget<'static>>>,
    next: Option<&Root<Widget<'static>>>,
) -> Result<Root<Widget<'static>>, OutOfMemory> {
    let label = cx.new_str(label)?;
    cx.new::<Widget>(|g| Widget {
        label: Slot::new(g, label.get(g)),
        inside: inside.map_or(Slot::null(), |inside| Slot::new(g, inside.get(g))),
        next: next.map_or(Slot::null(), |next| Slot::new(g, next.get(g))),
    })
}

fn count<'g>(cx: &'g Cx, mut row: Option<Gc<'g, Widget<'g>>>) -> usize {
    let mut widgets = 0;
    while let Some(widget) = row {
        assert!(widget.label.get(cx).is_some());
        widgets += 1 + count(cx, widget.inside.get(cx));
        row = widget.next.get(cx);
    }
    widgets
}
