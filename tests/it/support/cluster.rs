use std::sync::OnceLock;

use rocketmq_blocking::{ClientBuilder, embedded};

use super::client_builder;

/// A cluster of two brokers that create topics on first use and take SQL filters.
pub(crate) struct Cluster {
    pub(crate) name_server: String,
    /// The version of Apache's server, or the one whose behaviour the embedded cluster has.
    pub(crate) version: String,
}

impl Cluster {
    pub(crate) fn is_embedded(&self) -> bool {
        live_variable("NAME_SERVER").is_none()
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        client_builder().name_servers(&self.name_server)
    }
}

/// The cluster under test, the same for all tests of the process. A server that was asked for and is missing is a failure.
pub(crate) fn cluster() -> &'static Cluster {
    &both().0
}

/// The embedded cluster, if that is under test.
pub(crate) fn embedded_cluster() -> Option<&'static embedded::Cluster> {
    both().1.as_ref()
}

fn both() -> &'static (Cluster, Option<embedded::Cluster>) {
    static BOTH: OnceLock<(Cluster, Option<embedded::Cluster>)> = OnceLock::new();
    BOTH.get_or_init(|| live().map_or_else(|| embedded(1.0), |live| (live, None)))
}

/// The same, or an embedded cluster whose delay levels take a tenth of their time: the first retry comes after one second, the
/// second after three.
pub(crate) fn hasty_cluster() -> &'static Cluster {
    static HASTY: OnceLock<(Cluster, Option<embedded::Cluster>)> = OnceLock::new();
    if cluster().is_embedded() { &HASTY.get_or_init(|| embedded(0.1)).0 } else { cluster() }
}

/// A variable of the live tier, if that was asked for.
pub(crate) fn live_variable(name: &str) -> Option<String> {
    std::env::var(format!("ROCKETMQ_LIVE_{name}")).ok().filter(|value| !value.is_empty())
}

fn live() -> Option<Cluster> {
    let name_server = live_variable("NAME_SERVER")?;
    let version = live_variable("VERSION").expect("ROCKETMQ_LIVE_VERSION must say which server it is");
    client_builder()
        .name_servers(&name_server)
        .connect()
        .expect("the server that ROCKETMQ_LIVE_NAME_SERVER names must be there");
    Some(Cluster { name_server, version })
}

/// Lives as long as the process. It behaves as Apache's 5.5.0.
fn embedded(delay_level_scale: f64) -> (Cluster, Option<embedded::Cluster>) {
    let builder = embedded::Cluster::builder().brokers(2).delay_level_scale(delay_level_scale);
    let cluster = builder.start().expect("an embedded cluster");
    let name_server = cluster.name_server().to_owned();
    (Cluster { name_server, version: "5.5.0".to_owned() }, Some(cluster))
}
