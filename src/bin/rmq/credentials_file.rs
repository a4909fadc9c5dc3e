//! Keys in a file: Java's `tools.yml`, or `name=value` lines as for a shell.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::secret::Secret;

/// A file of keys is a few lines; whatever is larger is another file.
const LIMIT: u64 = 64 * 1024;

/// What a file, or whatever else, says of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    pub(crate) access_key: Option<Secret>,
    pub(crate) secret_key: Option<Secret>,
    pub(crate) security_token: Option<Secret>,
}

/// Reads a file that nobody but its owner and group may read. The error never quotes what the file contains.
pub(crate) fn read(path: &Path) -> Result<Entries, String> {
    let failed = |error: std::io::Error| format!("cannot read the credentials file {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    if let Some(mode) = open_to_others(&file).map_err(failed)? {
        let path = path.display();
        return Err(format!(
            "the credentials file {path} can be read or changed by other users of this machine (mode {mode:04o}): chmod 600 {path}"
        ));
    }
    let mut text = String::new();
    file.take(LIMIT + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(format!("the credentials file {} is larger than {LIMIT} bytes", path.display()));
    }
    parse(&text).map_err(|what| format!("the credentials file {}: {what}", path.display()))
}

/// The permissions of a file that others than its owner and group may read or write.
#[cfg(unix)]
fn open_to_others(file: &File) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o7777;
    // A pipe, as of <(…), is of this user's own making.
    Ok((metadata.is_file() && mode & 0o006 != 0).then_some(mode))
}

#[cfg(not(unix))]
fn open_to_others(_file: &File) -> std::io::Result<Option<u32>> {
    Ok(None)
}

/// Reads lines `accessKey: value` or `accessKey=value`; names are the same with `-`, `_` or neither, and with `ROCKETMQ_`
/// or `export` before them. Others are left alone.
fn parse(text: &str) -> Result<Entries, String> {
    let mut entries = Entries::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') || line == "---" {
            continue;
        }
        let at =
            line.find([':', '=']).ok_or_else(|| format!("line {number} is neither `name: value` nor `name=value`"))?;
        let (name, value) = (&line[..at], value(&line[at + 1..], line.as_bytes()[at] == b':'));
        let entry = match plain(name).as_str() {
            "accesskey" => &mut entries.access_key,
            "secretkey" => &mut entries.secret_key,
            "securitytoken" => &mut entries.security_token,
            _ => continue,
        };
        if entry.replace(Secret::from(value)).is_some() {
            return Err(format!("line {number} names a key for the second time"));
        }
    }
    Ok(entries)
}

/// `export ROCKETMQ_ACCESS_KEY` is `accesskey`.
fn plain(name: &str) -> String {
    let name: String = name.trim().trim_start_matches("export ").chars().filter(char::is_ascii_alphanumeric).collect();
    let name = name.to_ascii_lowercase();
    name.strip_prefix("rocketmq").map(str::to_owned).unwrap_or(name)
}

/// Takes the quotes away, and in YAML a remark.
fn value(text: &str, yaml: bool) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            if let Some(end) = rest.find(quote) {
                return &rest[..end];
            }
        }
    }
    let end = if yaml { text.find(" #") } else { None };
    text[..end.unwrap_or(text.len())].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> (String, String, String) {
        let Entries { access_key, secret_key, security_token } = parse(text).unwrap();
        let text = |key: Option<Secret>| key.map(|key| key.reveal().to_owned()).unwrap_or_default();
        (text(access_key), text(secret_key), text(security_token))
    }

    #[test]
    fn keys_are_read_in_the_forms_there_are() {
        let expected = ("ak".to_owned(), "s:k=1#2".to_owned(), String::new());
        for text in [
            "accessKey: ak\nsecretKey: s:k=1#2\n",
            "# of the tools\n---\nsecretKey: \"s:k=1#2\" # quoted\naccessKey: ak # plain\nother: x\n",
            "access_key=ak\nsecret_key=s:k=1#2",
            "export ROCKETMQ_ACCESS_KEY=ak\r\nexport ROCKETMQ_SECRET_KEY='s:k=1#2'\r\n",
            "\u{feff}access-key = ak\n\n  secret-key = s:k=1#2  ",
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
        assert_eq!(all("securityToken: t\n").2, "t");
        assert_eq!(all(""), Default::default());
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line_and_never_quoted() {
        for text in ["accessKey: ak\nhush\n", "secretKey: hush\nsecret_key=hush2\n"] {
            let told = parse(text).unwrap_err();
            assert!(told.contains("line 2") && !told.contains("hush"), "{told}");
        }
    }
}
