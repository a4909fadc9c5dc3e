//! One bare socket and one thread: what the machine allows, without client or codec.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rocketmq_blocking::bench::{Codec, Form};

use crate::server::SIZE;

/// The frames that the client sends, over a plain socket.
pub(crate) struct Floor {
    stream: TcpStream,
    input: Vec<u8>,
    send: Vec<u8>,
    oneway: Vec<u8>,
    pull: Vec<u8>,
}

impl Floor {
    pub(crate) fn new(addr: SocketAddr) -> Floor {
        let stream = TcpStream::connect(addr).expect("the server is there");
        stream.set_nodelay(true).expect("a socket takes that");
        let codec = Codec::new(Form::Json, "Bench");
        let (mut send, mut oneway, mut pull) = (Vec::new(), Vec::new(), Vec::new());
        codec.encode_send(&mut send, 123_456, false, &[b'x'; SIZE]).expect("it fits");
        codec.encode_send(&mut oneway, 123_456, true, &[b'x'; SIZE]).expect("it fits");
        codec.encode_pull(&mut pull, 123_456, false).expect("it fits");
        Floor { stream, input: vec![0; 1 << 20], send, oneway, pull }
    }

    /// Writes `depth` sends at once and reads as many answers.
    pub(crate) fn sends(&mut self, depth: usize) {
        let requests = self.send.repeat(depth);
        self.exchange(&requests, depth);
    }

    /// Writes `depth` pulls at once and reads as many answers.
    pub(crate) fn pulls(&mut self, depth: usize) {
        let requests = self.pull.repeat(depth);
        self.exchange(&requests, depth);
    }

    /// One write a frame, as for a lone caller who wants to know that the kernel took it.
    pub(crate) fn oneway(&mut self) {
        self.stream.write_all(&self.oneway).expect("the server reads");
    }

    fn exchange(&mut self, requests: &[u8], answers: usize) {
        self.stream.write_all(requests).expect("the server reads");
        let (mut filled, mut at, mut left) = (0, 0, answers);
        while left > 0 {
            filled += self.stream.read(&mut self.input[filled..]).expect("the server answers");
            while let Some(word) = self.input[at..filled].first_chunk::<4>() {
                let end = at + 4 + u32::from_be_bytes(*word) as usize;
                if end > filled {
                    break;
                }
                at = end;
                left -= 1;
            }
            if at == filled {
                (at, filled) = (0, 0);
            }
        }
    }
}
