use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use rocketmq_blocking::embedded::Cluster;

use super::doctor;

/// Answers whatever it is asked with these bytes, or takes connections and says nothing.
fn stranger(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let addr = listener.local_addr().expect("it has an address").to_string();
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            match answer {
                Some(bytes) => {
                    let mut asked = [0; 1024];
                    // The other side may be gone.
                    let _ = stream.read(&mut asked);
                    let _ = stream.write_all(bytes);
                }
                None => kept.push(stream),
            }
        }
    });
    addr
}

#[test]
fn a_name_server_that_is_not_reached_says_how_and_why() {
    let refused = doctor("127.0.0.1:1", &[]);
    refused.failed("name-server", "connecting was refused", "NAMESRV_ADDR");
    refused.find("brokers", "skipped");
    doctor("no-such-host.invalid:9876", &[]).failed("name-server", "has no address here", "DNS");
}

#[test]
fn what_is_no_name_server_is_named() {
    for (answer, found, advice) in [
        (Some(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]), "it speaks HTTP", "dashboard"),
        (Some(b"SSH-2.0-OpenSSH_9.6\r\n"), "another protocol; its answer begins \"SSH-2.0-OpenSSH_\"", "9876"),
        (Some(b"\x15\x03\x01\0\x02\x02\x46"), "it speaks TLS, and was asked without", "--tls"),
        (Some(b""), "closes it without an answer", "--tls-cert"),
        (None, "does not answer", "hangs"),
    ] {
        doctor(&stranger(answer), &[]).failed("name-server", found, advice);
    }
    let cluster = Cluster::start().unwrap();
    let broker = cluster.broker("broker-a").addr().to_string();
    doctor(&broker, &[]).failed("name-server", "but no name server", "broker's address");
}

#[test]
fn a_name_server_without_brokers_is_found() {
    let cluster = Cluster::start().unwrap();
    cluster.broker("broker-a").registered(false);
    let advice = format!("namesrvAddr={}", cluster.name_server());
    doctor(cluster.name_server(), &[]).failed("name-server", "knows no broker", &advice);
}

#[test]
fn name_servers_that_disagree_and_one_that_is_down_are_found() {
    let (one, other) = (Cluster::start().unwrap(), Cluster::start().unwrap());
    let both = format!("{};{}", one.name_server(), other.name_server());
    doctor(&both, &[]).failed("name-servers-agree", "does not know broker-a at", "give every broker all of them");
    let same = Cluster::builder().name_servers(2).start().unwrap();
    doctor(same.name_server(), &[]).healthy();
    same.name_server_at(1).kill();
    let half = doctor(same.name_server(), &[]);
    half.failed("name-server", "refused", "name server runs");
    half.find("broker-address", "ok");
}
