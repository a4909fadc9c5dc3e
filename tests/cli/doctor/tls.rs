use rocketmq_blocking::embedded::{Cluster, ServerTls};

use super::doctor;

macro_rules! pem {
    ($file:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/", $file))
    };
}

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/authority.pem");
const OTHER_AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/other-authority.pem");
const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/client.pem");
const CLIENT_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/client.key");

fn server() -> ServerTls {
    ServerTls::pem(pem!("server.pem"), pem!("server.key"))
}

#[test]
fn encryption_that_is_expected_or_not_is_found() {
    let cluster = Cluster::builder().tls(server()).topic("T", 1).start().unwrap();
    doctor(cluster.name_server(), &["--topic", "T", "--tls-ca", AUTHORITY]).healthy();
    doctor(cluster.name_server(), &[]).failed("name-server", "it speaks TLS, and was asked without", "--tls");
    let unknown = doctor(cluster.name_server(), &["--tls-ca", OTHER_AUTHORITY]);
    unknown.failed("name-server", "not among the roots", "--tls-ca");
    let other_name = doctor(cluster.name_server(), &["--tls-ca", AUTHORITY, "--tls-server-name", "elsewhere.example"]);
    other_name.failed("name-server", "elsewhere.example", "--tls-server-name");
    doctor(cluster.name_server(), &["--topic", "T", "--tls-insecure"]).healthy();
    let plain = Cluster::start().unwrap();
    doctor(plain.name_server(), &["--tls"]).failed("name-server", "it does not speak TLS", "leave --tls away");
}

#[test]
fn a_certificate_of_the_client_is_shown_when_it_is_demanded() {
    let tls = server().client_roots_pem(pem!("authority.pem"));
    let cluster = Cluster::builder().tls(tls).topic("T", 1).start().unwrap();
    let shown = ["--tls-ca", AUTHORITY, "--tls-cert", CLIENT, "--tls-key", CLIENT_KEY];
    doctor(cluster.name_server(), &shown).healthy();
    doctor(cluster.name_server(), &shown[..2]).failed("name-server", "it speaks TLS", "--tls-cert");
}
