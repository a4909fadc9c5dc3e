//! What is done to the servers, and when they were back.

use std::process::Command;
use std::time::Duration;

use crate::cables::Network;
use crate::senders::Stop;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    Kill,
    Halt,
    Restart,
    Silence,
    Cut,
    MasterDown,
}

impl Fault {
    pub(crate) const ALL: [Fault; 6] =
        [Fault::Kill, Fault::Halt, Fault::Restart, Fault::Silence, Fault::MasterDown, Fault::Cut];

    pub(crate) fn describe(self) -> &'static str {
        match self {
            Fault::Kill => "kill −9 and restart of a broker",
            Fault::Halt => "SIGSTOP, 5 s later SIGCONT",
            Fault::Restart => "orderly restart of a broker",
            Fault::Silence => "network to a broker silent for 6 s",
            Fault::Cut => "all connections cut and none accepted for 5 s",
            Fault::MasterDown => "kill −9 of a master with a slave, restart 6 s later",
        }
    }
}

/// A broker of the site.
#[derive(Debug, Clone)]
pub(crate) struct Broker {
    pub(crate) name: String,
    pub(crate) addr: String,
}

/// The servers, as `tests/live/run` has started them.
pub(crate) struct Site {
    pub(crate) name_server: String,
    /// Masters, sorted by name; the last one has a slave.
    pub(crate) masters: Vec<Broker>,
    pub(crate) slave: Broker,
    data: String,
    restart: String,
}

impl Site {
    /// The site, if the environment names one.
    pub(crate) fn from_environment() -> Option<Site> {
        let variable =
            |name: &str| std::env::var(format!("ROCKETMQ_LIVE_{name}")).ok().filter(|value| !value.is_empty());
        let needed = |name: &str| variable(name).unwrap_or_else(|| panic!("ROCKETMQ_LIVE_{name} must be set"));
        let name_server = variable("SOAK_NAME_SERVER")?;
        let data = needed("DATA");
        let broker = |name: &str| {
            let at = std::fs::read_to_string(format!("{data}/{name}.at")).expect("where the broker listens");
            let addr = at.split_whitespace().nth(1).expect("its address").to_owned();
            Broker { name: name.to_owned(), addr }
        };
        let masters = ["broker-1", "broker-2", "broker-3"].map(broker).to_vec();
        Some(Site { name_server, masters, slave: broker("broker-3-slave"), restart: needed("RESTART"), data })
    }

    pub(crate) fn addrs(&self) -> Vec<String> {
        let brokers = self.masters.iter().chain([&self.slave]).map(|broker| broker.addr.clone());
        std::iter::once(self.name_server.clone()).chain(brokers).collect()
    }

    fn signal(&self, broker: &Broker, signal: &str) {
        let pid = std::fs::read_to_string(format!("{}/{}.pid", self.data, broker.name)).expect("its number");
        let done = Command::new("kill").args([signal, pid.trim()]).status().expect("it can be called");
        assert!(done.success(), "{} is there", broker.name);
    }

    fn restart(&self, arguments: &[&str]) {
        let done = Command::new(&self.restart).args(arguments).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Carries out the `number`-th fault, and returns when the servers are back; says which masters it concerned.
    pub(crate) fn suffer(&self, fault: Fault, number: usize, network: &mut Network) -> Vec<usize> {
        let pause = |seconds| {
            Stop::default().pause(Duration::from_secs(seconds));
        };
        let last = self.masters.len() - 1;
        let which = if fault == Fault::MasterDown { last } else { number % self.masters.len() };
        let broker = &self.masters[which];
        match fault {
            Fault::Kill => self.restart(&[&broker.name]),
            Fault::Restart => self.restart(&["--orderly", &broker.name]),
            Fault::Halt => {
                self.signal(broker, "-STOP");
                pause(5);
                self.signal(broker, "-CONT");
            }
            Fault::MasterDown => {
                self.signal(broker, "-KILL");
                pause(6);
                self.restart(&[&broker.name]);
            }
            Fault::Silence => {
                network.make("silence", std::slice::from_ref(&broker.addr));
                pause(6);
                network.make("mend", std::slice::from_ref(&broker.addr));
            }
            Fault::Cut => {
                let all = network.all();
                network.make("cut", &all);
                pause(5);
                network.make("mend", &all);
                return (0..=last).collect();
            }
        }
        vec![which]
    }
}
