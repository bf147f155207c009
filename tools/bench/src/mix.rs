//! The distributions that request sizes are drawn from.

use terrace_measure::random::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mix {
    /// 1 to 64 bytes, uniform.
    Small,
    /// Firmware: 80 % 8 to 128 bytes, the rest 129 to 2048 bytes, both uniform.
    Firmware,
    /// 1 to 1024 bytes, uniform.
    Uniform1K,
    /// 16 bytes to 256 KiB, log-uniform.
    Log,
}

/// The alignment of every request drawn from a mix, in bytes.
pub const ALIGN: usize = 8;

impl Mix {
    pub const fn name(self) -> &'static str {
        match self {
            Mix::Small => "small",
            Mix::Firmware => "fw",
            Mix::Uniform1K => "rand1k",
            Mix::Log => "log",
        }
    }

    /// A size in bytes.
    pub fn draw(self, random: &mut Random) -> usize {
        match self {
            Mix::Small => random.between(1, 64),
            Mix::Firmware if random.below(5) < 4 => random.between(8, 128),
            Mix::Firmware => random.between(129, 2048),
            Mix::Uniform1K => random.between(1, 1024),
            Mix::Log => (16.0 * (random.unit() * f64::from(1 << 14).ln()).exp()) as usize,
        }
    }
}
