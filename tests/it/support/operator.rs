use std::io::{Read, Write};
use std::net::TcpStream;

use super::{PATIENCE, Scene};

/// An operator's tool, as brokers see it: one connection, one request.
pub(crate) struct Operator {
    stream: TcpStream,
}

/// What a broker answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The header as the broker wrote it: JSON, without blanks.
    pub(crate) header: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn is(&self, code: i32) -> bool {
        self.header.contains(&format!("\"code\":{code},"))
    }
}

impl Operator {
    /// Connects to the master of a broker.
    pub(crate) fn of(scene: &Scene, broker_name: &str) -> Operator {
        let route = scene.client.topic_route(&scene.topic).expect("a route");
        let broker = route.brokers().iter().find(|broker| broker.name() == broker_name).expect("the broker");
        Operator::at(&broker.addresses()[&0])
    }

    pub(crate) fn at(addr: &str) -> Operator {
        let stream = TcpStream::connect(addr).expect("the broker is up");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Operator { stream }
    }

    /// Sends a request and waits for the answer.
    pub(crate) fn ask(&mut self, code: i32, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
        let fields = fields.join(",");
        let header = format!(
            r#"{{"code":{code},"extFields":{{{fields}}},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":401}}"#
        );
        let len = u32::try_from(header.len()).expect("a short header");
        let frame = [&(len + 4).to_be_bytes()[..], &len.to_be_bytes()[..], header.as_bytes()].concat();
        self.stream.write_all(&frame).expect("the request is written");
        let whole = self.length();
        let header_len = self.length() & 0x00FF_FFFF;
        let mut text = |len: u32| {
            let mut bytes = vec![0; len as usize];
            self.stream.read_exact(&mut bytes).expect("the answer comes");
            String::from_utf8(bytes).expect("text")
        };
        Answer { header: text(header_len), body: text(whole - 4 - header_len) }
    }

    fn length(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.stream.read_exact(&mut bytes).expect("the answer comes");
        u32::from_be_bytes(bytes)
    }
}
