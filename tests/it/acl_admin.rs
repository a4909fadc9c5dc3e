//! Users and rules of ACL 2.0, and accounts of ACL 1.0, as operators keep them.

use std::time::Duration;

use rocketmq_blocking::embedded::Cluster;
use rocketmq_blocking::{
    Acl, AclAction, AclDecision, AclRule, Admin, Client, Credentials, Error, Message, OnBrokers, PlainAccount,
    ResponseCode, User, UserStatus, UserType,
};

use crate::support::{client_builder, client_to_nowhere, eventually, live_variable, mqadmin_as, say, unique};

/// Apache's brokers take some seconds to act on a change.
const ACTS_WITHIN: Duration = Duration::from_secs(40);

/// A cluster that checks who asks, and an operator of it.
struct Guarded {
    name_server: String,
    admin: Admin,
    access_key: String,
    secret_key: String,
}

/// `None`, which is said, when a server of Apache's is under test that has none of that.
fn guarded() -> Option<Guarded> {
    let (name_server, access_key, secret_key) = if live_variable("NAME_SERVER").is_none() {
        let cluster = Cluster::builder().credentials("it-operator", "it-operators-secret").start().unwrap();
        let name_server = cluster.name_server().to_owned();
        // It lives as long as the process.
        std::mem::forget(cluster);
        (name_server, "it-operator".to_owned(), "it-operators-secret".to_owned())
    } else {
        let Some(name_server) = live_variable("ACL_NAME_SERVER") else {
            say("acl_admin: the live tier runs without the site acl");
            return None;
        };
        let needed = |name| live_variable(name).unwrap_or_else(|| panic!("the live tier must set {name}"));
        (name_server, needed("ACL_ACCESS_KEY"), needed("ACL_SECRET_KEY"))
    };
    let admin = client(&name_server, &access_key, &secret_key).admin();
    Some(Guarded { name_server, admin, access_key, secret_key })
}

fn client(name_server: &str, access_key: &str, secret_key: &str) -> Client {
    let credentials = Credentials::new(access_key, secret_key);
    Client::builder().name_servers(name_server).credentials(credentials).build().unwrap()
}

/// Whether the server under test is of the 4.x line, which has accounts where later ones have users.
fn has_accounts() -> bool {
    live_variable("VERSION").is_some_and(|version| version.starts_with("4."))
}

/// Brokers of 4.x know nothing of users.
fn guarded_with_users() -> Option<Guarded> {
    let guarded = guarded()?;
    if has_accounts() {
        let asked = guarded.admin.users("");
        assert!(matches!(asked, Err(Error::Unsupported { .. })), "{asked:?}");
        say("acl_admin: users and rules came with 5.3");
        return None;
    }
    Some(guarded)
}

impl Guarded {
    fn user(&self, name: &str) -> Option<User> {
        let found: OnBrokers<User> = self.admin.user(name).unwrap();
        found.first().cloned()
    }

    fn send(&self, name: &str, password: &str, topic: &str) -> Result<(), Error> {
        let client = client(&self.name_server, name, password);
        let producer = client.producer(unique("acl")).start().unwrap();
        producer.send(Message::new(topic, "x")).map(drop).map_err(|failed| failed.error)
    }

    /// Waits until sending is allowed, or is refused.
    #[track_caller]
    fn wait_until_sending(&self, allowed: bool, name: &str, password: &str, topic: &str) {
        eventually(ACTS_WITHIN, || match self.send(name, password, topic) {
            Ok(()) if allowed => Ok(()),
            Err(error) if !allowed && error.code() == Some(ResponseCode::NO_PERMISSION) => Ok(()),
            other => Err(format!("{name} to {topic}, wanted {allowed}: {other:?}")),
        });
    }
}

#[test]
fn users_are_created_changed_listed_and_deleted() {
    let Some(guarded) = guarded_with_users() else { return };
    let (admin, name) = (&guarded.admin, unique("user"));
    assert_eq!(guarded.user(&name), None);
    admin.create_user(&User::new(&*name).password("first-secret")).unwrap();
    let expected = User::new(&*name).user_type(UserType::Normal).status(UserStatus::Enabled);
    assert_eq!(guarded.user(&name), Some(expected.clone()));
    let listed = admin.users(&name[3..]).unwrap();
    assert_eq!(listed.distinct().iter().map(|(user, _)| (*user).clone()).collect::<Vec<_>>(), [expected]);
    let again = admin.create_user(&User::new(&*name).password("other-secret")).unwrap_err();
    assert_eq!(again.code(), Some(ResponseCode::NO_PERMISSION), "{again}");
    admin.change_user(&User::new(&*name).status(UserStatus::Disabled).user_type(UserType::Super)).unwrap();
    let changed = User::new(&*name).user_type(UserType::Super).status(UserStatus::Disabled);
    assert_eq!(guarded.user(&name), Some(changed));
    admin.delete_user(&name).unwrap();
    assert_eq!(guarded.user(&name), None);
    let gone = admin.change_user(&User::new(&*name).status(UserStatus::Enabled)).unwrap_err();
    assert_eq!(gone.code(), Some(ResponseCode::NO_PERMISSION), "{gone}");
    admin.delete_user(&name).unwrap();
    assert!(admin.users(&unique("nobody")).unwrap().found.is_empty());
}

#[test]
fn rules_are_given_shown_changed_and_taken_away() {
    let Some(guarded) = guarded_with_users() else { return };
    let (admin, name) = (&guarded.admin, unique("user"));
    let subject = format!("User:{name}");
    admin.create_user(&User::new(&*name).password("secret-1")).unwrap();
    assert!(admin.acl(&subject).unwrap().found.is_empty());
    let acl = Acl::user(&name)
        .rule(AclRule::allow("Topic:orders*", [AclAction::Pub, AclAction::Sub]).source_ip("10.0.0.0/8"))
        .deny("Group:shop", [AclAction::All]);
    admin.create_acl(&acl).unwrap();
    assert_eq!(admin.acl(&subject).unwrap().first(), Some(&acl));
    admin.change_acl(&Acl::user(&name).allow("Group:shop", [AclAction::Get])).unwrap();
    let found = admin.acl(&subject).unwrap();
    let changed = found.first().unwrap().rules.iter().find(|rule| rule.resource == "Group:shop").unwrap();
    assert_eq!((changed.decision, &changed.actions[..]), (AclDecision::Allow, &[AclAction::Get][..]));
    assert_eq!(found.first().unwrap().rules.len(), 2);
    let listed = admin.acls(&name, "").unwrap();
    assert_eq!(listed.found.len(), found.found.len());
    assert!(admin.acls(&name, "Topic:orders").unwrap().found[0].value.rules.len() == 1);
    assert!(admin.acls(&name, "Topic:nothing").unwrap().found.is_empty());
    admin.delete_acl(&subject, Some("Group:shop")).unwrap();
    assert_eq!(admin.acl(&subject).unwrap().first().map(|acl| acl.rules.len()), Some(1));
    admin.delete_acl(&subject, None).unwrap();
    assert!(admin.acl(&subject).unwrap().found.is_empty());
    for refused in
        [admin.delete_acl(&subject, None), admin.create_acl(&Acl::user("nobody").allow("*", [AclAction::Pub]))]
    {
        assert_eq!(refused.as_ref().err().and_then(Error::code), Some(ResponseCode::NO_PERMISSION), "{refused:?}");
    }
    admin.delete_user(&name).unwrap();
    assert_eq!(admin.acl(&subject).unwrap_err().code(), Some(ResponseCode::NO_PERMISSION));
}

#[test]
fn users_may_do_what_rules_allow_with_the_password_they_have() {
    let Some(guarded) = guarded_with_users() else { return };
    let (admin, name) = (&guarded.admin, unique("user"));
    let (allowed, denied) = (unique("topic"), unique("topic"));
    let operator = client(&guarded.name_server, &guarded.access_key, &guarded.secret_key);
    for topic in [&allowed, &denied] {
        operator.create_topic("TBW102", topic, 1).unwrap();
        eventually(ACTS_WITHIN, || operator.publish_queues(topic));
    }
    admin.create_user(&User::new(&*name).password("first-secret")).unwrap();
    guarded.wait_until_sending(false, &name, "first-secret", &allowed);
    admin.create_acl(&Acl::user(&name).allow(format!("Topic:{allowed}"), [AclAction::Pub])).unwrap();
    guarded.wait_until_sending(true, &name, "first-secret", &allowed);
    guarded.wait_until_sending(false, &name, "first-secret", &denied);
    admin.create_acl(&Acl::user(&name).allow("Topic:*", [AclAction::Pub])).unwrap();
    guarded.wait_until_sending(true, &name, "first-secret", &denied);
    admin.change_acl(&Acl::user(&name).deny(format!("Topic:{denied}"), [AclAction::Pub])).unwrap();
    guarded.wait_until_sending(false, &name, "first-secret", &denied);
    admin.change_user(&User::new(&*name).password("second-secret")).unwrap();
    guarded.wait_until_sending(true, &name, "second-secret", &allowed);
    guarded.wait_until_sending(false, &name, "first-secret", &allowed);
    admin.change_user(&User::new(&*name).status(UserStatus::Disabled)).unwrap();
    guarded.wait_until_sending(false, &name, "second-secret", &allowed);
    // Who is no operator does not make one.
    let own = client(&guarded.name_server, &name, "second-secret").admin();
    assert!(own.create_user(&User::new(unique("user")).password("secret-1")).is_err());
    admin.delete_user(&name).unwrap();
}

#[test]
fn apaches_tool_shows_the_same_users_and_rules() {
    if live_variable("LIB").is_none() {
        return say("acl_admin: there is no tool of Apache's without its server");
    }
    let Some(guarded) = guarded_with_users() else { return };
    let (admin, name) = (&guarded.admin, unique("user"));
    admin.create_user(&User::new(&*name).password("secret-1").status(UserStatus::Disabled)).unwrap();
    let acl = Acl::user(&name)
        .rule(AclRule::allow("Topic:orders*", [AclAction::Pub, AclAction::Sub]).source_ip("10.0.0.0/8"))
        .deny("Group:shop", [AclAction::All]);
    admin.create_acl(&acl).unwrap();
    let subject = format!("User:{name}");
    let shown = |command: &str, more: &[&str]| {
        let all = [&[command, "-c", "AclCluster", "-n", &guarded.name_server], more].concat();
        mqadmin_as(&guarded.access_key, &guarded.secret_key, &all)
    };
    let rows = |shown: &str| -> Vec<Vec<String>> {
        let lines = shown.lines().filter(|line| line.contains(&name));
        lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let user = guarded.user(&name).unwrap();
    for text in [shown("listUser", &["-f", &name]), shown("getUser", &["-u", &name])] {
        let rows = rows(&text);
        let row = rows.first().unwrap_or_else(|| panic!("no user in {text}"));
        let expected = [user.user_type.unwrap().to_string(), user.status.unwrap().to_string()];
        assert!(row[0] == name && row.ends_with(&expected), "{expected:?} in {text}");
    }
    for text in [shown("listAcl", &["-s", &name]), shown("getAcl", &["-s", &subject])] {
        let rows = rows(&text);
        assert_eq!(rows.len(), acl.rules.len(), "{text}");
        for (row, rule) in rows.iter().zip(&admin.acl(&subject).unwrap().first().unwrap().rules) {
            let policy = rule.policy.to_string();
            let begin = [&subject, &policy, &rule.resource].map(String::as_str);
            assert!(row.iter().take(3).eq(begin.iter()) && row.last() == Some(&rule.decision.to_string()), "{text}");
            assert!(rule.actions.iter().all(|action| text.contains(&action.to_string())), "{text}");
            assert!(rule.source_ips.iter().all(|network| text.contains(network.as_str())), "{text}");
        }
    }
    admin.delete_user(&name).unwrap();
}

#[test]
fn accounts_of_older_brokers_are_created_listed_and_deleted() {
    let Some(guarded) = guarded() else { return };
    let admin = &guarded.admin;
    if !has_accounts() {
        assert!(matches!(admin.accounts(), Err(Error::Unsupported { .. })));
        return;
    }
    let key = unique("account");
    let mut account = PlainAccount::new(&*key);
    account.default_topic_perm = Some("PUB".into());
    account.default_group_perm = Some("DENY".into());
    account.topic_perms = vec!["orders=PUB|SUB".into(), "other=DENY".into()];
    admin.create_account(&account.clone().secret_key("first-secret")).unwrap();
    let find = || {
        let found = admin.accounts().unwrap();
        found.first().unwrap().accounts.iter().find(|account| account.access_key == key).cloned()
    };
    let found = find().unwrap();
    assert_eq!((&found.default_topic_perm, &found.topic_perms), (&account.default_topic_perm, &account.topic_perms));
    assert!(admin.accounts_version().unwrap().first().is_some_and(|version| version.contains("counter")));
    guarded.send(&key, "first-secret", &unique("topic")).unwrap();
    admin.delete_account(&key).unwrap();
    assert_eq!(find(), None);
}

#[test]
fn what_cannot_be_is_refused_and_secrets_do_not_show() {
    let admin = client_to_nowhere().admin();
    for refused in [
        admin.create_user(&User::new(" ").password("x")),
        admin.create_user(&User::new("alice")),
        admin.change_user(&User::new("alice").password(" ")),
        admin.create_acl(&Acl::user("alice")),
        admin.delete_acl("alice", None),
        admin.delete_acl("User:alice", Some("Queue:x")),
        admin.create_account(&PlainAccount::new("")),
        admin.create_account(&PlainAccount::new("someone").secret_key("hush")),
        admin.create_account(&PlainAccount::new("who").secret_key("hush-hush")),
        admin.delete_account(" "),
    ] {
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    let failed = admin.create_user(&User::new("alice").password("hush-hush")).unwrap_err();
    let user = User::new("alice").password("hush-hush");
    assert!(!format!("{user:?} {failed:?} {failed}").contains("hush"));
}

#[test]
fn a_cluster_that_checks_nothing_keeps_no_users() {
    let cluster = Cluster::builder().start().unwrap();
    let admin = client_builder().name_servers(cluster.name_server()).connect().unwrap().admin();
    assert_eq!(admin.users("").unwrap_err().code(), Some(ResponseCode::SYSTEM_ERROR));
}
