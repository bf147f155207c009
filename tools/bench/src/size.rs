//! Flash and static RAM of a minimal firmware.

use crate::{firmware, options::Options};
use std::{fs, io, path::Path};
use terrace_measure::table::{Table, grouped};

/// Name in the table, feature of the firmware, and what is promised.
#[rustfmt::skip]
const SUBJECTS: [(&str, &str, Size); 10] = [
    ("terrace", "terrace", Size { flash: 4_864, ram: 512 }),
    ("terrace with an arena", "arena", Size { flash: 16 << 10, ram: 576 }),
    ("terrace with nearly all of an arena", "full-arena", Size::ANY),
    ("talc", "talc", Size::ANY),
    ("rlsf", "rlsf", Size::ANY),
    ("linked_list_allocator", "linked_list_allocator", Size::ANY),
    ("embedded-alloc (llff)", "llff", Size::ANY),
    ("embedded-alloc (tlsf)", "tlsf", Size::ANY),
    ("buddy_system_allocator", "buddy_system_allocator", Size::ANY),
    ("dlmalloc", "dlmalloc", Size::ANY),
];

const NOTES: &str = "\
Bytes that the allocator adds to a minimal firmware that can reach claiming the region, `alloc`, `alloc_zeroed`, `realloc` \
and `dealloc`, over the same firmware with an allocator that only ever hands out the next bytes. With an arena: objects are \
made, linked, rooted and collected as well; with nearly all of it, there are also slices, text, destructors, weak and pinned \
handles, compaction that slides large objects, and polls. thumbv7em-none-eabi, \
opt-level s, fat LTO, behind a critical section. Flash: code, constants and initial values. RAM: statics, without the \
region.";

/// What a firmware takes, in bytes.
#[derive(Clone, Copy)]
struct Size {
    flash: usize,
    ram: usize,
}

impl Size {
    const ANY: Size = Size {
        flash: usize::MAX,
        ram: usize::MAX,
    };
}

pub fn run(options: &Options) -> io::Result<()> {
    let mut table = Table::new("Size", NOTES, ["flash", "RAM"].map(String::from));
    let mut broken = Vec::new();
    let base = measure("bump")?;
    for (name, feature, most) in SUBJECTS {
        if !options.allocators.is_empty() && !options.allocators.iter().any(|wanted| name.contains(wanted.as_str())) {
            continue;
        }
        let size = measure(feature)?;
        let added = [size.flash - base.flash, size.ram - base.ram];
        table.row(name, added.map(grouped));
        if added[0] > most.flash || added[1] > most.ram {
            broken.push(format!("{name}: {added:?} rather than {:?}", [most.flash, most.ram]));
        }
    }
    println!("{table}");
    if options.limits && !broken.is_empty() {
        return Err(io::Error::other(format!("larger than promised: {}", broken.join("; "))));
    }
    Ok(())
}

fn measure(feature: &str) -> io::Result<Size> {
    eprintln!("size: {feature}");
    sections(&firmware::build("size", "small", Some(feature), None)?)
}

/// Sums the sections of a little-endian ELF file of 32 bits that are loaded.
fn sections(elf: &Path) -> io::Result<Size> {
    let bytes = fs::read(elf)?;
    let malformed = || io::Error::other(format!("{} is not an ELF file of the firmware", elf.display()));
    let word =
        |at: usize| -> Option<usize> { Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize) };
    let half =
        |at: usize| -> Option<usize> { Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?) as usize) };
    let sum = || -> Option<Size> {
        const ALLOCATED: usize = 2;
        const WRITABLE: usize = 1;
        const WITHOUT_CONTENTS: usize = 8;
        bytes.starts_with(b"\x7fELF\x01\x01").then_some(())?;
        let (table, entry, count) = (word(0x20)?, half(0x2e)?, half(0x30)?);
        let mut size = Size { flash: 0, ram: 0 };
        for header in (0..count).map(|n| table + n * entry) {
            let (kind, flags, len) = (word(header + 4)?, word(header + 8)?, word(header + 20)?);
            if flags & ALLOCATED != 0 {
                size.flash += if kind == WITHOUT_CONTENTS { 0 } else { len };
                size.ram += if flags & WRITABLE != 0 { len } else { 0 };
            }
        }
        Some(size)
    };
    sum().ok_or_else(malformed)
}
