//! What a program can do with an arena, as data.

/// One step. Objects, handles and blocks are named by a number, of which the remainder by the count of those that there are
/// counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Make an object that refers to another one, and root it; with a finaliser that does something.
    Make { left: usize, drops: bool, act: Option<Act> },
    /// Register an object for finalisation, once more.
    Register { root: usize },
    /// Suppress an object's finalisers.
    Suppress { root: usize },
    /// Make objects in a window, each rooted, or only referred to by an older one.
    MakeInWindow { count: usize, left: usize, holder: usize },
    /// Write a slot, or the value.
    Link { from: usize, to: usize, how: Link },
    /// Give an object a slice of slots.
    Many { holder: usize, len: usize },
    /// Give an object a name.
    Name { holder: usize, len: usize },
    /// Give an object a trait object.
    Shape { holder: usize },
    /// Pin a buffer, twice if `twice`.
    Pin { len: usize, fill: u8, twice: bool },
    /// Make a buffer that is pinned from birth.
    Born { len: usize, fill: u8 },
    /// Pin a buffer for the time of a collection.
    Scope { len: usize, fill: u8, generation: u8 },
    /// Drop a pin.
    Unpin { pin: usize },
    /// Root what an object refers to.
    Root { from: usize, right: bool },
    /// Make a root keep another object.
    Move { root: usize, to: usize },
    /// Drop a root.
    Forget { root: usize },
    /// Drop all roots but so many.
    Truncate { keep: usize },
    /// Make a weak handle, a short one or a long one.
    Weak { root: usize, long: bool },
    /// Drop a weak handle.
    Unweak { weak: usize },
    /// Collect the generations up to this one, 0 to 2.
    Collect { generation: u8 },
    /// Collect everything and compact.
    Compact,
    /// Make room for so many bytes.
    Reserve { bytes: usize },
    /// Run finalisers and destructors, and poll the heap.
    Poll,
    /// Take a native block of `size` bytes at a multiple of 2 to the power of `align`.
    Take { size: usize, align: u8 },
    /// Give a native block back.
    Give { block: usize },
    /// Collect at each safe point from now on, or not.
    Stress { on: bool },
    /// Set the budget of generation 0.
    Budget { bytes: usize },
    /// Set from how many bytes on an object is large.
    Large { bytes: usize },
    /// Drop arena and handles, which of them first, and begin with another arena.
    Again { handles_first: bool },
}

/// What [`Step::Link`] changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Left,
    Right,
    Part,
    Value,
    /// An element of the slice.
    Many(usize),
    /// One more element of the vector, or one less.
    Push,
    Pop,
    Nothing,
}

/// What a finaliser does, beside looking at all that it reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Nothing,
    /// Keep the object.
    Save,
    /// Keep it, and register it again.
    Register,
    /// Suppress the finalisers of what the object refers to.
    Suppress,
    /// Collect up to this generation.
    Collect(u8),
    Allocate,
    Poll,
    Panic,
}

impl Act {
    fn decode(code: u8) -> Act {
        match code % 10 {
            0 => Act::Nothing,
            1 | 2 => Act::Save,
            3 => Act::Register,
            4 => Act::Suppress,
            5 => Act::Collect(0),
            6 => Act::Collect(2),
            7 => Act::Allocate,
            8 => Act::Poll,
            _ => Act::Panic,
        }
    }
}

impl Step {
    /// Bytes of a step's code.
    pub const BYTES: usize = 4;

    /// Reads a step from four arbitrary bytes. Sizes follow a float's idea: few bits, many magnitudes.
    pub fn decode(code: [u8; Step::BYTES]) -> Step {
        let [kind, a, b, c] = code;
        let (first, second, third) = (usize::from(a), usize::from(b), usize::from(c));
        let size = (usize::from(b & 0x0F) << (c & 0x07)) + usize::from(b >> 4);
        match kind % 64 {
            0..14 => Step::Make {
                left: first,
                drops: b & 7 == 0,
                act: (b & 0x38 == 0).then(|| Act::decode(c)),
            },
            14..20 => Step::MakeInWindow {
                count: 1 + third % 10,
                left: first,
                holder: second,
            },
            20..32 => Step::Link {
                from: first,
                to: second,
                how: match c % 8 {
                    0 | 1 => Link::Left,
                    2 | 3 => Link::Right,
                    4 => Link::Part,
                    5 => Link::Value,
                    6 if c & 0x80 != 0 => Link::Push,
                    6 if c & 0x60 == 0x60 => Link::Pop,
                    6 => Link::Nothing,
                    _ => Link::Many(third / 8),
                },
            },
            32..35 => Step::Many {
                holder: first,
                len: 1 + size,
            },
            35..38 => Step::Name {
                holder: first,
                len: size,
            },
            38 if c & 0x80 != 0 => Step::Shape { holder: first },
            38 => Step::Scope {
                len: 1 + size,
                fill: a,
                generation: a % 3,
            },
            39 => Step::Pin {
                len: 1 + size,
                fill: a,
                twice: c & 0x80 != 0,
            },
            40 => Step::Born { len: 1 + size, fill: a },
            41 => Step::Unpin { pin: first },
            42 | 43 => Step::Root {
                from: first,
                right: b & 1 != 0,
            },
            44 => Step::Move {
                root: first,
                to: second,
            },
            45 | 46 => Step::Forget { root: first },
            47 if b & 3 != 0 => Step::Register { root: first },
            47 => Step::Suppress { root: first },
            48 if a < 64 => Step::Truncate { keep: second },
            48 | 49 => Step::Weak {
                root: first,
                long: b & 1 != 0,
            },
            50 => Step::Unweak { weak: first },
            51 => Step::Collect { generation: a % 3 },
            52 => Step::Poll,
            53 => Step::Compact,
            54 => Step::Reserve { bytes: size * 8 },
            55 => Step::Poll,
            56..59 => Step::Take {
                size: 1 + size,
                align: a % 11,
            },
            59..62 => Step::Give { block: first },
            62 if a < 32 => Step::Again {
                handles_first: b & 1 != 0,
            },
            62 => Step::Stress { on: a & 1 != 0 },
            _ if a & 1 != 0 => Step::Large {
                bytes: second << (c & 7),
            },
            _ => Step::Budget {
                bytes: (64 + second) << (c & 7),
            },
        }
    }
}
