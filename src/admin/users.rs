use std::fmt;
use std::sync::Arc;

use super::{Admin, OnBrokers};
use crate::error::{Error, Result};
use crate::protocol::json;
use crate::protocol::rpc::auth::{CreateUser, DeleteUser, GetUser, ListUsers, UpdateUser, UserBody};

/// What a user may do (ACL 2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserType {
    /// Everything.
    Super,
    /// What rules allow ([`Acl`](crate::Acl)).
    Normal,
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UserStatus {
    /// They may.
    Enabled,
    /// Every request is refused.
    Disabled,
}

/// A user of brokers with ACL 2.0 (Java: `UserInfo`): whose name is a client's access key, and whose password is its secret
/// key.
///
/// The password is only ever sent, never read back, and does not appear in `Debug`.
///
/// ```
/// use rocketmq_blocking::{User, UserType};
///
/// let user = User::new("alice").password("hush").user_type(UserType::Normal);
/// assert!(!format!("{user:?}").contains("hush"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// The name.
    pub name: Arc<str>,
    /// What they may do. `None` for a new one stands for [`UserType::Normal`], in a change for what they have.
    pub user_type: Option<UserType>,
    /// Whether they may sign in. `None` for a new one stands for [`UserStatus::Enabled`], in a change for what they have.
    pub status: Option<UserStatus>,
    password: Option<Arc<str>>,
}

impl User {
    /// Begins a user of this name.
    pub fn new(name: impl Into<Arc<str>>) -> User {
        User { name: name.into(), user_type: None, status: None, password: None }
    }

    /// Sets the password. A new user needs one; in a change it replaces the one they have.
    ///
    /// It travels as it is: through a connection without TLS whoever listens reads it.
    #[must_use]
    pub fn password(mut self, password: impl Into<Arc<str>>) -> User {
        self.password = Some(password.into());
        self
    }

    /// Sets what they may do.
    #[must_use]
    pub fn user_type(mut self, user_type: UserType) -> User {
        self.user_type = Some(user_type);
        self
    }

    /// Sets whether they may sign in.
    #[must_use]
    pub fn status(mut self, status: UserStatus) -> User {
        self.status = Some(status);
        self
    }

    fn read(body: UserBody) -> User {
        let is =
            |word: &Option<String>, name: &str| word.as_deref().is_some_and(|word| word.eq_ignore_ascii_case(name));
        let user_type = if is(&body.user_type, "Super") { UserType::Super } else { UserType::Normal };
        let status = if is(&body.user_status, "disable") { UserStatus::Disabled } else { UserStatus::Enabled };
        User { name: body.username.into(), user_type: Some(user_type), status: Some(status), password: None }
    }

    fn body(&self) -> UserBody {
        UserBody {
            password: self.password.as_deref().map(str::to_owned),
            user_status: self.status.map(|status| status.to_string()),
            user_type: self.user_type.map(|kind| kind.to_string()),
            username: self.name.to_string(),
        }
    }

    fn check(&self) -> Result<()> {
        if self.name.trim().is_empty() {
            return Err(Error::invalid("the user's name is blank"));
        }
        if self.password.as_ref().is_some_and(|password| password.trim().is_empty()) {
            return Err(Error::invalid(format!("the password of user {} is blank", self.name)));
        }
        Ok(())
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("user_type", &self.user_type)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The wire's word.
impl fmt::Display for UserType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UserType::Super => "Super",
            UserType::Normal => "Normal",
        })
    }
}

/// The wire's word.
impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UserStatus::Enabled => "enable",
            UserStatus::Disabled => "disable",
        })
    }
}

/// Users and rules are for brokers 5.3 and later with ACL 2.0. Each broker keeps its own; these calls ask the masters of all, and
/// block until they have answered, at most for the request timeout (3 s by default). Changes take some seconds to act.
///
/// Older brokers answer [`Error::Unsupported`], those without ACL 2.0 and those that refuse [`Error::Rejected`]; with several
/// brokers these are in an [`Error::Exhausted`].
impl Admin {
    /// Returns the users whose names contain `filter`, all for an empty one, sorted by name (`mqadmin listUser`).
    ///
    /// # Errors
    /// A broker that fails is named in [`OnBrokers::failures`]; only when none answered the call fails.
    pub fn users(&self, filter: &str) -> Result<OnBrokers<User>> {
        let request = ListUsers { filter: (!filter.is_empty()).then(|| filter.to_owned()) };
        let found = self.collect_everywhere(&request, |body| {
            let users: Vec<UserBody> = if body.is_empty() { Vec::new() } else { json::decode("users", body)? };
            Ok(users.into_iter().map(User::read).collect())
        })?;
        Ok(found.by_key(|user| user.name.clone()))
    }

    /// Returns a user as each broker has it (`mqadmin getUser`). Nothing is found for one that does not exist.
    ///
    /// # Errors
    /// As [`users`](Admin::users), and [`Error::Invalid`] for a blank name.
    pub fn user(&self, name: &str) -> Result<OnBrokers<User>> {
        User::new(name).check()?;
        self.collect_everywhere(&GetUser { name: name.to_owned() }, |body| {
            Ok(if body.is_empty() { Vec::new() } else { vec![User::read(json::decode("user", body)?)] })
        })
    }

    /// Creates a user, who has a password then (`mqadmin createUser`).
    ///
    /// # Errors
    /// It was created on all brokers or an error is returned. [`Error::Rejected`] (16) when the user exists;
    /// [`Error::Invalid`] for a blank name or password, or none.
    pub fn create_user(&self, user: &User) -> Result<()> {
        user.check()?;
        if user.password.is_none() {
            return Err(Error::invalid(format!("user {} has no password: a new one needs it", user.name)));
        }
        self.tell_everywhere(&CreateUser { name: user.name.to_string() }, &json::encode(&user.body()))
    }

    /// Changes what is set of a user: password, type, status (`mqadmin updateUser`).
    ///
    /// # Errors
    /// It was changed on all brokers or an error is returned. [`Error::Rejected`] (16) for a user that does not exist;
    /// [`Error::Invalid`] for a blank name or password.
    pub fn change_user(&self, user: &User) -> Result<()> {
        user.check()?;
        self.tell_everywhere(&UpdateUser { name: user.name.to_string() }, &json::encode(&user.body()))
    }

    /// Deletes a user and its rules (`mqadmin deleteUser`). One that does not exist is no error.
    ///
    /// # Errors
    /// It was deleted on all brokers or an error is returned.
    pub fn delete_user(&self, name: &str) -> Result<()> {
        User::new(name).check()?;
        self.tell_everywhere(&DeleteUser { name: name.to_owned() }, &[])
    }
}
