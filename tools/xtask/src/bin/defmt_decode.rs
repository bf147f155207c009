//! `defmt-decode ELF < FRAMES`: prints what firmware has logged through defmt, one frame a line.
//!
//! As text to compare: level and message, neither times nor places. Anything that is no frame is an error.

use defmt_decoder::{DecodeError, Table};
use std::error::Error;
use std::io::{self, Read, Write};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let elf = env::args_os().nth(1).ok_or("usage: defmt-decode ELF < FRAMES")?;
    let table = Table::parse(&fs::read(elf)?)?.ok_or("the program has no defmt strings")?;
    let mut frames = Vec::new();
    io::stdin().read_to_end(&mut frames)?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(&frames);
    let mut out = io::stdout().lock();
    loop {
        match decoder.decode() {
            Ok(frame) => {
                let level = frame.level().map_or("println", |level| level.as_str());
                writeln!(out, "{level:7} {}", frame.display_message())?;
            }
            Err(DecodeError::UnexpectedEof) => return Ok(()),
            Err(DecodeError::Malformed) => return Err("the log holds something that is no frame".into()),
        }
    }
}
