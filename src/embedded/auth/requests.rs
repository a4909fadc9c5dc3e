//! Looking at users and rules and changing them on request.

use super::users::SUPER;
use crate::code::ResponseCode;
use crate::embedded::broker::Broker;
use crate::embedded::call::{Call, Handled};
use crate::error::Result;
use crate::protocol::fields::Header;
use crate::protocol::json;
use crate::protocol::rpc::auth::{
    AclBody, CreateAcl, CreateUser, DeleteAcl, DeleteUser, GetAcl, GetUser, ListAcls, ListUsers, UpdateAcl, UpdateUser,
    UserBody,
};

/// So a broker answers that keeps no users.
const NOT_CONFIGURED: &str = "An system error occurred, please try again later.";

impl Broker {
    pub(in crate::embedded) fn create_user(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<CreateUser>(call) {
            Ok(asked) => {
                const ONLY_SUPER: &str = "The super user can only be create by super user";
                self.put_user(call, asked.name, ONLY_SUPER, |user| self.set.settings.users.kept.create(user))
            }
            Err(handled) => handled,
        }
    }

    pub(in crate::embedded) fn change_user(&self, call: &mut Call<'_>) -> Handled {
        const ONLY_SUPER: &str = "The super user can only be update by super user";
        let asked: UpdateUser = match self.read(call) {
            Ok(asked) => asked,
            Err(handled) => return handled,
        };
        let by_super = self.is_by_super(call);
        self.put_user(call, asked.name, ONLY_SUPER, |user| {
            let old = self.set.settings.users.kept.find(&user.username);
            if !by_super && old.is_some_and(|old| old.user_type.as_deref() == Some(SUPER)) {
                return Err(ONLY_SUPER);
            }
            self.set.settings.users.kept.change(user)
        })
    }

    fn put_user(
        &self,
        call: &mut Call<'_>,
        username: String,
        only_super: &str,
        put: impl FnOnce(UserBody) -> Result<(), &'static str>,
    ) -> Handled {
        if username.is_empty() {
            return call.error(ResponseCode::INVALID_PARAMETER, "The username is blank");
        }
        let body: UserBody = match json::decode("user", call.frame.body()) {
            Ok(body) => body,
            Err(error) => return call.unreadable(&error),
        };
        let becomes_super = body.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case(SUPER));
        if becomes_super && !self.is_by_super(call) {
            return call.error(ResponseCode::SYSTEM_ERROR, only_super);
        }
        let done = put(UserBody { username, ..body });
        done_or_refused(call, done.map_err(str::to_owned))
    }

    pub(in crate::embedded) fn delete_user(&self, call: &mut Call<'_>) -> Handled {
        let asked: DeleteUser = match self.read(call) {
            Ok(asked) => asked,
            Err(handled) => return handled,
        };
        let known = self.set.settings.users.kept.find(&asked.name);
        let is_super = known.is_some_and(|user| user.user_type.as_deref() == Some(SUPER));
        if is_super && !self.is_by_super(call) {
            return call.error(ResponseCode::NO_PERMISSION, "The super user can only be update by super user");
        }
        self.set.settings.users.kept.delete(&asked.name);
        call.done()
    }

    pub(in crate::embedded) fn show_user(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<GetUser>(call) {
            Ok(asked) if asked.name.trim().is_empty() => {
                call.error(ResponseCode::INVALID_PARAMETER, "The username is blank")
            }
            Ok(asked) => match self.set.settings.users.kept.find(&asked.name) {
                Some(user) => call.body(&json::encode(&user)),
                None => call.done(),
            },
            Err(handled) => handled,
        }
    }

    pub(in crate::embedded) fn list_users(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<ListUsers>(call) {
            Ok(asked) => {
                let found = self.set.settings.users.kept.list(asked.filter.as_deref().unwrap_or_default());
                if found.is_empty() { call.done() } else { call.body(&json::encode(&found)) }
            }
            Err(handled) => handled,
        }
    }

    pub(in crate::embedded) fn create_rules(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<CreateAcl>(call) {
            Ok(asked) => self.put_rules(call, &asked.subject),
            Err(handled) => handled,
        }
    }

    /// Apache's broker does the same for both requests.
    pub(in crate::embedded) fn change_rules(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<UpdateAcl>(call) {
            Ok(asked) => self.put_rules(call, &asked.subject),
            Err(handled) => handled,
        }
    }

    fn put_rules(&self, call: &mut Call<'_>, subject: &str) -> Handled {
        match json::decode::<AclBody>("rules", call.frame.body()) {
            Ok(body) if body.policies.is_empty() => call.error(
                ResponseCode::SYSTEM_ERROR,
                "org.apache.rocketmq.auth.authorization.exception.AuthorizationException: The body of acl is null",
            ),
            Ok(body) => done_or_refused(call, self.set.settings.users.kept.put_rules(subject, body)),
            Err(error) => call.unreadable(&error),
        }
    }

    pub(in crate::embedded) fn delete_rules(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<DeleteAcl>(call) {
            Ok(asked) => {
                let (kind, resource) = (asked.policy_type.as_deref(), asked.resource.as_deref());
                done_or_refused(call, self.set.settings.users.kept.delete_rules(&asked.subject, kind, resource))
            }
            Err(handled) => handled,
        }
    }

    pub(in crate::embedded) fn show_rules(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<GetAcl>(call) {
            Ok(asked) => match self.set.settings.users.kept.rules(&asked.subject) {
                Ok(Some(acl)) => call.body(&json::encode(&acl)),
                Ok(None) => call.done(),
                Err(remark) => call.error(ResponseCode::NO_PERMISSION, &remark),
            },
            Err(handled) => handled,
        }
    }

    pub(in crate::embedded) fn list_rules(&self, call: &mut Call<'_>) -> Handled {
        match self.read::<ListAcls>(call) {
            Ok(asked) => {
                let text = |filter: Option<String>| filter.unwrap_or_default();
                let found =
                    self.set.settings.users.kept.all_rules(&text(asked.subject_filter), &text(asked.resource_filter));
                if found.is_empty() { call.done() } else { call.body(&json::encode(&found)) }
            }
            Err(handled) => handled,
        }
    }

    /// Reads a request about users; a broker that keeps none answers at once.
    fn read<H: Header>(&self, call: &mut Call<'_>) -> Result<H, Handled> {
        if self.set.settings.users.is_empty() {
            return Err(call.error(ResponseCode::SYSTEM_ERROR, NOT_CONFIGURED));
        }
        call.frame.header().map_err(|error| call.unreadable(&error))
    }

    fn is_by_super(&self, call: &Call<'_>) -> bool {
        let by = call.frame.field("AccessKey").unwrap_or_default();
        self.set.settings.users.kept.find(&by).is_some_and(|user| user.user_type.as_deref() == Some(SUPER))
    }
}

fn done_or_refused(call: &mut Call<'_>, done: Result<(), String>) -> Handled {
    match done {
        Ok(()) => call.done(),
        Err(remark) => call.error(ResponseCode::NO_PERMISSION, &remark),
    }
}
