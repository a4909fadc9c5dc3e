//! A broker's second port, two below its own (Java: the VIP channel), where Apache's brokers serve everything but pulls and
//! pops.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use super::broker::Broker;
use super::call::{Call, Handled};
use super::link::Link;
use super::listen;
use super::server::Service;
use crate::code::RequestCode;
use crate::error::{Error, Result};

/// How many ports are tried until one has its neighbour free.
const ATTEMPTS: usize = 50;

/// What a broker serves at its second port.
pub(super) struct Vip(pub(super) Arc<Broker>);

impl Service for Vip {
    fn serve(&self, call: &mut Call<'_>) -> Handled {
        match call.frame.request_code() {
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => call.unsupported(),
            _ => self.0.serve(call),
        }
    }

    fn left(&self, link: &Arc<Link>) {
        self.0.left(link);
    }

    /// The first port says whether the broker is up.
    fn up(&self, _up: bool) {}

    fn tick(&self, _now: Instant) -> Option<Instant> {
        None
    }
}

/// Where one server of a broker listens.
pub(super) struct Listening {
    pub(super) listener: TcpListener,
    pub(super) addr: SocketAddr,
    pub(super) second: Option<(TcpListener, SocketAddr)>,
}

/// Listens on `port`, 0 for one of its own choosing, and with `vip` on the port two below as well.
pub(super) fn listen(ip: IpAddr, port: u16, vip: bool) -> Result<Listening> {
    let mut tried = 1;
    loop {
        let listener = listen::first(ip, port)?;
        let addr = listen::address(&listener)?;
        if !vip {
            return Ok(Listening { listener, addr, second: None });
        }
        // Port 0 would be chosen by the system.
        let below = addr.port().saturating_sub(2).max(1);
        let found = if listen::is_taken(below) { Err(taken(below)) } else { listen::first(ip, below) };
        match found {
            Ok(second) => {
                let second_addr = listen::address(&second)?;
                return Ok(Listening { listener, addr, second: Some((second, second_addr)) });
            }
            Err(error) => {
                listen::release(addr.port());
                if port != 0 || tried == ATTEMPTS {
                    return Err(error);
                }
                tried += 1;
            }
        }
    }
}

fn taken(port: u16) -> Error {
    Error::invalid(format!("cannot listen on port {port}: another server of this process has it"))
}
