//! Making validated settings of what a builder was given and of the environment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::builder::ClientBuilder;
use super::discovery::Discovery;
use super::name_server;
use super::options::ClientOptions;
use super::{identity, namespace};
use crate::error::{Error, Result};
use crate::protocol::frame::{HeaderKind, MAX_FRAME};
use crate::protocol::json::MOST_IN_BODY;
use crate::remoting::RemotingOptions;
#[cfg(feature = "acl")]
use crate::remoting::Signing;

/// The shortest interval of a periodic job: shorter ones would only keep the scheduler busy.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);
/// The longest name of an instance or unit; the client id stands in every heartbeat.
const NAME_LIMIT: usize = 255;

impl ClientBuilder {
    /// `environment` looks a variable up.
    pub(super) fn options(self, environment: impl Fn(&str) -> Option<String>) -> Result<ClientOptions> {
        self.check()?;
        let environment = |name| environment(name).filter(|value| !value.trim().is_empty());
        let name_servers = match self.name_servers.as_deref() {
            Some(list) => required_list(list)?,
            None => match environment("NAMESRV_ADDR") {
                Some(list) => required_list(&list)?,
                None => Vec::new(),
            },
        };
        let discovery = if name_servers.is_empty() {
            let domain = self.discovery_domain.clone().or_else(|| environment("ROCKETMQ_NAMESRV_DOMAIN"));
            let subgroup = self.discovery_subgroup.clone().or_else(|| environment("ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP"));
            Some(Discovery::new(domain.as_deref(), subgroup.as_deref(), self.unit_name.as_deref())?)
        } else {
            None
        };
        let towards = name_servers.first().and_then(|addr| addr.parse::<SocketAddr>().ok());
        let binary = || environment("ROCKETMQ_SERIALIZE_TYPE").is_some_and(|kind| kind.trim() == "ROCKETMQ");
        let header_kind =
            self.header_kind.unwrap_or_else(|| if binary() { HeaderKind::Binary } else { HeaderKind::Json });
        let namespace = match &self.namespace {
            Some(given) => Some(given.to_string()),
            None => {
                let list = self.name_servers.clone().or_else(|| environment("NAMESRV_ADDR"));
                list.as_deref().and_then(namespace::of_endpoint).map(str::to_owned)
            }
        };
        let namespace = namespace.filter(|name| !name.is_empty()).map(|name| namespace::checked(&name)).transpose()?;
        let zone = self.zone.clone().unwrap_or_else(|| {
            let part = |name| environment(name).unwrap_or_default().trim().into();
            (part("ROCKETMQ_ZONE"), part("ROCKETMQ_ZONE_MODE"))
        });
        let fields = fields(self.namespace_v2.as_ref(), zone)?;
        #[cfg_attr(not(any(feature = "acl", feature = "tls")), expect(unused_mut, reason = "only these add something"))]
        let mut remoting = RemotingOptions { header_kind, namespace, fields, ..self.remoting };
        #[cfg(feature = "acl")]
        {
            remoting.signing = match (&self.credentials, &self.credentials_provider) {
                (_, Some(_)) => Signing::Renewed(Arc::default()),
                (Some(credentials), None) => Signing::Fixed(Arc::new(credentials.signer())),
                (None, None) => Signing::Off,
            };
        }
        #[cfg(feature = "tls")]
        {
            remoting.tls = self.tls.as_ref().map(super::tls::Tls::options).transpose()?;
        }
        Ok(ClientOptions {
            name_servers,
            discovery,
            client_ip: self.client_ip.unwrap_or_else(|| identity::local_ip(towards)),
            has_own_name: self.instance_name.is_some(),
            instance_name: self.instance_name.unwrap_or_else(identity::unique_instance_name),
            unit_name: self.unit_name,
            unit_mode: self.unit_mode,
            request_timeout: self.request_timeout,
            route_interval: self.route_interval,
            heartbeat_interval: self.heartbeat_interval,
            discovery_interval: self.discovery_interval,
            scan_interval: self.scan_interval,
            limits: self.limits,
            answer_diagnosis: self.answer_diagnosis,
            callback_threads: self.callback_threads,
            callback_queue: self.callback_queue,
            address_map: self.address_map,
            vip_channel: self.vip_channel,
            credentials: self.credentials,
            credentials_provider: self.credentials_provider,
            credentials_interval: self.credentials_interval,
            remoting,
        })
    }

    fn check(&self) -> Result<()> {
        let remoting = &self.remoting;
        for (name, timeout) in [
            ("request_timeout", self.request_timeout),
            ("connect_timeout", remoting.connect_timeout),
            ("stall_limit", remoting.stall_limit),
            ("silence_limit", remoting.silence_limit),
            ("probe_timeout", remoting.probe_timeout),
        ] {
            require(!timeout.is_zero(), || format!("{name} is zero; a duration above zero is needed"))?;
        }
        for (name, interval) in [
            ("route_interval", self.route_interval),
            ("heartbeat_interval", self.heartbeat_interval),
            ("discovery_interval", self.discovery_interval),
            ("scan_interval", self.scan_interval),
            ("credentials_interval", self.credentials_interval),
        ] {
            require(interval >= SHORTEST_INTERVAL, || {
                format!("{name} is {interval:?}; at least {SHORTEST_INTERVAL:?} is needed")
            })?;
        }
        for (name, value, most) in [
            ("frame_limit", remoting.frame_limit, MAX_FRAME),
            ("outbox_limit", remoting.outbox_limit, usize::MAX),
            ("pending_limit", remoting.pending_limit, usize::MAX),
            ("connection_limit", remoting.connection_limit, usize::MAX),
            ("server_request_limit", remoting.server_request_limit, usize::MAX),
            ("callback_threads", self.callback_threads, 256),
            ("callback_queue", self.callback_queue, usize::MAX),
        ] {
            require((1..=most).contains(&value), || format!("{name} is {value}; 1 to {most} is allowed"))?;
        }
        for (name, value) in self.limits.all() {
            let most =
                if matches!(name, "route_limit" | "broker_limit" | "member_limit") { MOST_IN_BODY } else { usize::MAX };
            require((1..=most).contains(&value), || format!("{name} is {value}; 1 to {most} is allowed"))?;
        }
        check_name("instance_name", self.instance_name.as_deref())?;
        check_name("unit_name", self.unit_name.as_deref())?;
        self.check_credentials()
    }

    fn check_credentials(&self) -> Result<()> {
        if self.credentials.is_none() && self.credentials_provider.is_none() {
            return Ok(());
        }
        require(self.credentials.is_none() || self.credentials_provider.is_none(), || {
            "both credentials and credentials_provider are set; one of them is expected".into()
        })?;
        let empty = self.credentials.as_ref().is_some_and(|credentials| credentials.has_empty_key());
        require(!empty, || "the access key or the secret key is empty".into())?;
        if cfg!(not(feature = "acl")) {
            let what = "signing requests needs the feature `acl` of this crate, which is on by default";
            return Err(Error::Unsupported { what: what.into(), addr: None });
        }
        Ok(())
    }
}

/// The fields that every request gets.
fn fields(namespace_v2: Option<&Arc<str>>, zone: (Arc<str>, Arc<str>)) -> Result<Vec<(&'static str, Arc<str>)>> {
    let mut fields = Vec::new();
    if let Some(namespace) = namespace_v2.filter(|name| !name.is_empty()) {
        fields.extend([("nsd", "true".into()), ("ns", namespace.clone())]);
    }
    fields
        .extend([("__ZONE_NAME", zone.0), ("__ZONE_MODE", zone.1)].into_iter().filter(|(_, value)| !value.is_empty()));
    for (name, value) in &fields {
        let plain = !value.chars().any(|c| c.is_control() || c.is_whitespace());
        require(plain && value.len() <= NAME_LIMIT, || {
            format!("{name} {value:?}: at most {NAME_LIMIT} bytes without blanks and control characters are expected")
        })?;
    }
    Ok(fields)
}

fn require(right: bool, what: impl FnOnce() -> String) -> Result<()> {
    if right { Ok(()) } else { Err(Error::invalid(what())) }
}

fn required_list(list: &str) -> Result<Vec<Arc<str>>> {
    let addrs = name_server::parse(list)?;
    require(!addrs.is_empty(), || {
        format!("the name server list {list:?} names none; host:port;host:port is expected")
    })?;
    Ok(addrs)
}

fn check_name(what: &str, name: Option<&str>) -> Result<()> {
    let Some(name) = name else { return Ok(()) };
    let plain = !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '@');
    require(plain && (1..=NAME_LIMIT).contains(&name.len()), || {
        format!("{what} {name:?}: 1 to {NAME_LIMIT} bytes without blanks, control characters and @ are expected")
    })
}

#[cfg(test)]
mod tests {
    use super::super::credentials::Credentials;
    use super::*;

    fn options(builder: ClientBuilder, environment: &[(&str, &str)]) -> Result<ClientOptions> {
        builder.options(|name| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn name_servers_come_from_the_setter_then_the_environment_then_discovery() {
        let environment = [("NAMESRV_ADDR", "env:1"), ("ROCKETMQ_NAMESRV_DOMAIN", "domain:99")];
        let set = options(ClientBuilder::new().name_servers("set"), &environment).unwrap();
        assert_eq!((&*set.name_servers[0], set.discovery), ("set:9876", None));
        let env = options(ClientBuilder::new(), &environment).unwrap();
        assert_eq!((&*env.name_servers[0], env.discovery), ("env:1", None));
        let discovered = options(ClientBuilder::new(), &[("NAMESRV_ADDR", " "), environment[1]]).unwrap();
        assert!(discovered.name_servers.is_empty());
        assert_eq!(discovered.discovery.unwrap().to_string(), "http://domain:99/rocketmq/nsaddr");
        let subgroup = [("ROCKETMQ_NAMESRV_DOMAIN_SUBGROUP", "mine")];
        let overridden = options(ClientBuilder::new().discovery_domain("set"), &subgroup).unwrap();
        assert_eq!(overridden.discovery.unwrap().to_string(), "http://set:8080/rocketmq/mine");
    }

    #[test]
    fn each_wrong_setting_is_refused_by_name() {
        let new = || ClientBuilder::new().name_servers("a:1");
        let cases = [
            (new().name_servers(" ; "), "names none"),
            (new().name_servers("a:x"), "port"),
            (new().request_timeout(Duration::ZERO), "request_timeout"),
            (new().connect_timeout(Duration::ZERO), "connect_timeout"),
            (new().route_interval(Duration::from_millis(1)), "route_interval"),
            (new().scan_interval(Duration::ZERO), "scan_interval"),
            (new().body_limit(0), "body_limit"),
            (new().frame_limit(MAX_FRAME + 1), "frame_limit"),
            (new().answer_limit(0), "answer_limit"),
            (new().route_limit(MOST_IN_BODY + 1), "route_limit"),
            (new().broker_limit(0), "broker_limit"),
            (new().member_limit(0), "member_limit"),
            (new().message_limit(0), "message_limit"),
            (new().property_limit(0), "property_limit"),
            (new().text_limit(0), "text_limit"),
            (new().pending_limit(0), "pending_limit"),
            (new().connection_limit(0), "connection_limit"),
            (new().server_request_limit(0), "server_request_limit"),
            (new().callback_threads(0), "callback_threads"),
            (new().callback_threads(257), "callback_threads"),
            (new().callback_queue(0), "callback_queue"),
            (new().instance_name(""), "instance_name"),
            (new().instance_name("a@b"), "instance_name"),
            (new().unit_name("a b"), "unit_name"),
            (new().namespace("a%b"), "namespace"),
            (new().namespace_v2("a b"), "ns "),
            (new().zone("z\n", "m"), "__ZONE_NAME"),
            (new().credentials(Credentials::new(" ", "secret")), "key is empty"),
            (new().credentials(Credentials::new("access", "")), "key is empty"),
            (new().credentials_interval(Duration::ZERO), "credentials_interval"),
            (
                new().credentials(Credentials::new("a", "b")).credentials_provider(|| Ok(Credentials::new("a", "b"))),
                "credentials_provider",
            ),
        ];
        for (builder, reason) in cases {
            let Err(error) = options(builder, &[]) else { panic!("a wrong setting was accepted: {reason}") };
            assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(reason), "{reason}: {error}");
        }
    }

    #[test]
    fn the_header_form_comes_from_the_setter_then_the_environment() {
        let environment = [("ROCKETMQ_SERIALIZE_TYPE", "ROCKETMQ")];
        let kind = |builder: ClientBuilder, environment: &[(&str, &str)]| {
            options(builder.name_servers("a"), environment).unwrap().remoting.header_kind
        };
        assert_eq!(kind(ClientBuilder::new(), &[]), HeaderKind::Json);
        assert_eq!(kind(ClientBuilder::new(), &environment), HeaderKind::Binary);
        assert_eq!(kind(ClientBuilder::new().binary_headers(false), &environment), HeaderKind::Json);
    }

    #[test]
    fn a_namespace_comes_from_the_setter_then_from_the_endpoint() {
        let endpoint = "http://MQ_INST_1_2.mq.example.com:80";
        let namespace = |builder: ClientBuilder, environment: &[(&str, &str)]| {
            let options = options(builder, environment).unwrap();
            (options.remoting.namespace.map(|namespace| namespace.name().to_string()), options.name_servers[0].clone())
        };
        let derived = (Some("MQ_INST_1_2".to_owned()), "MQ_INST_1_2.mq.example.com:80".into());
        assert_eq!(namespace(ClientBuilder::new().name_servers(endpoint), &[]), derived);
        assert_eq!(namespace(ClientBuilder::new(), &[("NAMESRV_ADDR", endpoint)]), derived);
        let set = ClientBuilder::new().name_servers(endpoint).namespace("mine");
        assert_eq!(namespace(set, &[]).0.as_deref(), Some("mine"));
        assert_eq!(namespace(ClientBuilder::new().name_servers(endpoint).namespace(""), &[]).0, None);
        assert_eq!(namespace(ClientBuilder::new().name_servers("a:1"), &[]).0, None);
    }

    #[test]
    fn namespace_v2_and_the_zone_are_fields_of_every_request() {
        let fields = |builder: ClientBuilder, environment: &[(&str, &str)]| {
            let fields = options(builder.name_servers("a:1"), environment).unwrap().remoting.fields;
            fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
        };
        let environment = [("ROCKETMQ_ZONE", " z1 "), ("ROCKETMQ_ZONE_MODE", "only")];
        assert!(fields(ClientBuilder::new(), &[]).is_empty());
        assert_eq!(fields(ClientBuilder::new().namespace_v2("n"), &[]), ["nsd=true", "ns=n"]);
        assert_eq!(fields(ClientBuilder::new(), &environment), ["__ZONE_NAME=z1", "__ZONE_MODE=only"]);
        let zone = ClientBuilder::new().zone("z2", "").namespace_v2("");
        assert_eq!(fields(zone, &environment), ["__ZONE_NAME=z2"], "the setter wins as a whole");
        assert!(fields(ClientBuilder::new().zone("", ""), &environment).is_empty());
    }

    #[cfg(not(feature = "acl"))]
    #[test]
    fn credentials_without_the_feature_are_not_silently_ignored() {
        let builder = ClientBuilder::new().name_servers("a").credentials(Credentials::new("access", "secret"));
        assert!(matches!(options(builder, &[]), Err(Error::Unsupported { .. })));
    }
}
