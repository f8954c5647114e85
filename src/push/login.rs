//! What a server wants to know of us: a name and a password, or a token. Secrets stay in files, which are read again for
//! each round of requests: they may be changed while tailmeter runs.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use hyper::header::HeaderValue;

use super::base64;
use super::url::Url;

/// Bytes of a file with a secret, at most.
const MAX_BYTES: u64 = 64 << 10;

/// Who we are to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    /// Whoever the address says, if it says anything.
    #[default]
    None,
    /// A name, and the file with its password.
    Basic {
        /// The name.
        username: String,
        /// The file.
        password_file: PathBuf,
    },
    /// A file with `name:password`.
    BasicFile(PathBuf),
    /// A file with a bearer token.
    BearerFile(PathBuf),
}

impl Login {
    /// The value of the header `Authorization` for the server at `url`, if it wants one.
    ///
    /// # Errors
    /// A file cannot be read, or has nothing that can stand in a header. Shows nothing of the contents.
    pub(super) fn header(&self, url: &Url) -> Result<Option<HeaderValue>, String> {
        let basic = |pair: &str| format!("Basic {}", base64::standard(pair.as_bytes()));
        let (value, path) = match self {
            Self::None => match &url.login {
                Some((name, password)) => (basic(&format!("{name}:{password}")), None),
                None => return Ok(None),
            },
            Self::Basic { username, password_file } => {
                (basic(&format!("{username}:{}", secret(password_file)?)), Some(password_file))
            }
            Self::BasicFile(path) => match secret(path)? {
                pair if pair.contains(':') => (basic(&pair), Some(path)),
                _ => return Err(format!("{}: NAME:PASSWORD is needed", path.display())),
            },
            Self::BearerFile(path) => (format!("Bearer {}", secret(path)?), Some(path)),
        };
        let mut header = HeaderValue::from_str(&value).map_err(|_| match path {
            Some(path) => format!("{}: what is in it cannot stand in a header", path.display()),
            None => "the login cannot stand in a header".to_owned(),
        })?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

/// The text in a file, without the newline at its end.
fn secret(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {shown}: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{shown} is larger than {} KiB", MAX_BYTES >> 10));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{shown} is not UTF-8 text"))?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(format!("{shown} is empty")),
        text => Ok(text.to_owned()),
    }
}
