use std::fmt;
use std::sync::Arc;

/// The keys that sign every request of a client.
///
/// For brokers 5.3 and later the access key is the user's name and the secret key the password. The secret key and the
/// security token appear in no `Debug` output, log or error.
///
/// ```
/// # use rocketmq_blocking::Credentials;
/// let credentials = Credentials::new("access", "secret").channel("ALIYUN");
/// assert!(!format!("{credentials:?}").contains("secret\""));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    access_key: Arc<str>,
    secret_key: Arc<str>,
    security_token: Option<Arc<str>>,
    channel: Option<Arc<str>>,
}

impl Credentials {
    /// Takes the access key and the secret key. That neither is empty is checked when the client is built.
    pub fn new(access_key: impl Into<Arc<str>>, secret_key: impl Into<Arc<str>>) -> Credentials {
        Credentials {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            security_token: None,
            channel: None,
        }
    }

    /// Names the channel, sent as `OnsChannel` the way the C++ client does; Apache's brokers do not look at it.
    #[must_use]
    pub fn channel(mut self, channel: impl Into<Arc<str>>) -> Credentials {
        self.channel = Some(channel.into());
        self
    }

    /// Adds the token that comes with temporary keys.
    #[must_use]
    pub fn security_token(mut self, token: impl Into<Arc<str>>) -> Credentials {
        self.security_token = Some(token.into());
        self
    }

    pub(crate) fn access_key(&self) -> &Arc<str> {
        &self.access_key
    }

    pub(crate) fn secret_key(&self) -> &Arc<str> {
        &self.secret_key
    }

    pub(crate) fn token(&self) -> Option<&Arc<str>> {
        self.security_token.as_ref()
    }

    pub(crate) fn channel_name(&self) -> Option<&Arc<str>> {
        self.channel.as_ref()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let credentials = Credentials::new("who", "hush-1").security_token("hush-2").channel("ALIYUN");
        let text = format!("{credentials:?}");
        assert!(text.contains("who") && text.contains("ALIYUN"), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}
