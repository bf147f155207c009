//! Why something did not work.

use std::fmt;

/// A missing thing is told apart from a failure: the first skips a step, the second fails it.
#[derive(Debug)]
pub enum Error {
    /// This machine lacks something that could not be got either.
    Missing(String),
    /// It was tried, and went wrong.
    Failed(String),
}

pub type Result<T = ()> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(what) | Self::Failed(what) => f.write_str(what),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A failure with this text.
pub fn failed<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Failed(what.into()))
}

/// Something missing, with this text.
pub fn missing<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Missing(what.into()))
}
