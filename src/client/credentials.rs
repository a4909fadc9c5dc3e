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

    /// Whether the channel is the cloud's, which has trace topics of its own.
    pub(crate) fn is_cloud(&self) -> bool {
        self.channel.as_ref().is_some_and(|channel| channel.eq_ignore_ascii_case("CLOUD"))
    }

    pub(super) fn has_empty_key(&self) -> bool {
        self.access_key.trim().is_empty() || self.secret_key.is_empty()
    }

    #[cfg(feature = "acl")]
    pub(super) fn signer(&self) -> crate::remoting::Signer {
        let text = |value: &Option<Arc<str>>| value.as_ref().map(ToString::to_string);
        let (access_key, secret_key) = (self.access_key.to_string(), self.secret_key.to_string());
        crate::remoting::Signer::new(access_key, secret_key, text(&self.security_token), text(&self.channel))
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
