//! What the compiler makes: instructions of a stack machine with an accumulator.
//!
//! ```text
//!   a chunk's values   ... | closure, pc and fp of the caller | arguments | locals and temporaries | ...
//!                                                             ^ fp                                 ^ sp
//! ```

use terrace::{Slot, Trace};

use super::value::{Field, Object, Position};

/// One instruction, 4 bytes.
#[derive(Trace, Clone, Copy, PartialEq, Debug)]
pub enum Op {
    /// A constant, by index.
    Const(u16),
    Int(i16),
    /// The value of a global variable, whose symbol is the constant.
    Global(u16),
    /// An argument or a local, counted from the frame.
    Local(u16),
    /// The content of the [`Object::Variable`] there.
    LocalVariable(u16),
    /// What the closure has captured.
    Free(u16),
    FreeVariable(u16),
    /// The running closure itself.
    Own,
    Push,
    PushConst(u16),
    PushInt(i16),
    PushLocal(u16),
    /// Removes so many values.
    Drop(u16),
    /// Pops a value into a local.
    PopLocal(u16),
    /// Puts the accumulator into a new variable.
    MakeVariable,
    Unassigned,
    SetLocal(u16),
    SetLocalVariable(u16),
    SetFreeVariable(u16),
    SetGlobal(u16),
    DefineGlobal(u16),
    Jump(u16),
    JumpIfFalse(u16),
    JumpIfTrue(u16),
    /// A jump backwards, which may be a safe point.
    Loop(u16),
    /// Leaves room for what a call saves.
    Frame,
    /// Calls the accumulator with the uppermost values.
    Call(u16),
    TailCall(u16),
    Return,
    /// A closure of a constant's code and the `free` uppermost values.
    Closure {
        free: u8,
        code: u16,
    },
    /// A primitive of the uppermost values.
    Primitive {
        index: u8,
        count: u8,
    },
    /// Whether the accumulator is the constant.
    Matches(u16),
    // Primitives that are instructions: the last argument is the accumulator, the one before it was pushed.
    Add,
    Subtract,
    Multiply,
    Less,
    Greater,
    AtMost,
    AtLeast,
    Equal,
    Cons,
    Head,
    Tail,
    IsNil,
    IsPair,
    Not,
    Is,
    VectorRef,
    // The last argument is a constant.
    AddInt(i16),
    LessInt(i16),
    GreaterInt(i16),
    EqualInt(i16),
}

/// From this instruction on the program's text is there.
#[derive(Trace, Clone, Copy)]
pub struct Mark {
    pub pc: u16,
    pub line: u16,
    pub column: u8,
}

/// A procedure without what it captures.
#[derive(Trace)]
pub struct Code<'g> {
    pub ops: Slot<'g, [Op]>,
    pub constants: Slot<'g, [Field<'g>]>,
    pub marks: Slot<'g, [Mark]>,
    /// A symbol, if it has a name.
    pub name: Slot<'g, Object<'g>>,
    /// Values in a frame, at most.
    pub frame: u16,
    pub parameters: u8,
    /// Whether further arguments are put into a list.
    pub takes_rest: bool,
}

/// Where the text of the instruction at `pc` is.
pub fn position(marks: &[Mark], pc: usize) -> Option<Position> {
    let after = marks.partition_point(|mark| usize::from(mark.pc) <= pc);
    let mark = marks.get(after.checked_sub(1)?)?;
    Some(Position {
        line: mark.line,
        column: mark.column,
    })
}

const _: () = assert!(size_of::<Op>() == 4);
