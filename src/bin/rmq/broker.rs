use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};

use clap::Args;
use rocketmq_blocking::embedded::Cluster;
use serde::Serialize;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::keys::Keys;
use crate::output::Output;

/// Name servers listen here unless told otherwise.
const DEFAULT_PORT: u16 = 9876;

/// Run an embedded cluster for development: a name server and brokers, in memory, until interrupted.
///
/// Its first line says where the name server and the brokers listen. Nothing it is sent outlives it. Topics are created on
/// first use, as Apache's brokers do unless configured otherwise. With an access key and a secret key, requests must be
/// signed with them.
#[derive(Debug, Args)]
pub(crate) struct Broker {
    /// Address of the name server, host:port; the port defaults to 9876, and 0 chooses a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9876", value_parser = address)]
    listen: SocketAddr,

    /// Address brokers listen on and are known by. [default: that of the name server]
    #[arg(long, value_name = "IP")]
    broker_ip: Option<IpAddr>,

    /// Port of the first broker; others take the ports behind it. 0 chooses free ones.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    broker_port: u16,

    /// Number of brokers, 1 to 26: broker-a, broker-b, …
    #[arg(long, value_name = "N", default_value_t = 1)]
    brokers: usize,

    /// Create a topic with so many queues on each broker at the start; may be repeated. Without a number it has 4.
    #[arg(long, value_name = "NAME[:QUEUES]", value_parser = topic)]
    topic: Vec<(String, u16)>,

    /// Refuse messages of topics that do not exist, instead of creating them.
    #[arg(long)]
    no_auto_create: bool,

    /// Largest body of a message or batch, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 20)]
    message_limit: usize,

    /// Bytes of messages each broker keeps; beyond, the oldest are dropped.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    store_limit: usize,

    #[command(flatten)]
    keys: Keys,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let with_port = || (text, DEFAULT_PORT).to_socket_addrs();
    let mut found = text.to_socket_addrs().or_else(|_| with_port()).map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "the name has no address".to_owned())
}

fn topic(text: &str) -> Result<(String, u16), String> {
    let Some((name, queues)) = text.rsplit_once(':') else { return Ok((text.to_owned(), 4)) };
    match queues.parse() {
        Ok(queues @ 1..) => Ok((name.to_owned(), queues)),
        _ => Err("the number of queues must be 1 to 65535".to_owned()),
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    name_server: &'a str,
    brokers: Vec<Listening>,
}

#[derive(Debug, Serialize)]
struct Listening {
    name: String,
    address: String,
}

impl Broker {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let cluster = self.start()?;
        let brokers = cluster.broker_names().into_iter().map(|name| {
            let address = cluster.broker(&name).addr().to_string();
            Listening { name, address }
        });
        let started = Started { name_server: cluster.name_server(), brokers: brokers.collect() };
        output.line(&started, || started.people())?;
        if !output.json() {
            output.line(&started, || {
                format!(
                    "For development: it keeps messages in memory only. Try:  rmq send -n {} --topic Hello --body hello\n\
                     Interrupt (Ctrl-C) to end it.",
                    started.name_server
                )
            })?;
        }
        output.flush()?;
        interrupt.wait();
        cluster.close();
        Ok(())
    }

    fn start(&self) -> Result<Cluster, Failure> {
        let any_ip = self.listen.ip().is_unspecified();
        let own_ip = if any_ip { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.listen.ip() };
        let mut builder = Cluster::builder()
            .name_server(self.listen.to_string())
            .brokers(self.brokers)
            .broker_ip(self.broker_ip.unwrap_or(own_ip))
            .broker_port(self.broker_port)
            .auto_create_topics(!self.no_auto_create)
            .message_limit(self.message_limit)
            .store_limit(self.store_limit)
            .recorded_requests(0);
        for (name, queues) in &self.topic {
            builder = builder.topic(name.as_str(), *queues);
        }
        if let Some(found) = self.keys.find()? {
            builder = builder.credentials(found.access_key, found.secret_key.reveal());
        }
        Ok(builder.start()?)
    }
}

impl Started<'_> {
    fn people(&self) -> String {
        let brokers: Vec<String> =
            self.brokers.iter().map(|broker| format!("{} {}", broker.name, broker.address)).collect();
        format!("Embedded RocketMQ cluster: name server {}, {}", self.name_server, brokers.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_lack_its_port() {
        for (text, addr) in [("127.0.0.1:0", "127.0.0.1:0"), ("127.0.0.1", "127.0.0.1:9876"), ("[::1]:7", "[::1]:7")] {
            assert_eq!(address(text), Ok(addr.parse().unwrap()));
        }
        assert!(address("127.0.0.1:x").is_err());
    }

    #[test]
    fn a_topic_may_have_a_number_of_queues() {
        assert_eq!(topic("Orders"), Ok(("Orders".to_owned(), 4)));
        assert_eq!(topic("Orders:16"), Ok(("Orders".to_owned(), 16)));
        for wrong in ["Orders:0", "Orders:", "Orders:x", "Orders:70000"] {
            assert!(topic(wrong).is_err(), "{wrong}");
        }
    }
}
