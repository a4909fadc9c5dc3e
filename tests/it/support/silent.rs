use std::net::TcpListener;

/// A server that lets clients connect and never answers: the kernel accepts for it.
pub(crate) struct SilentServer {
    listener: TcpListener,
}

impl SilentServer {
    pub(crate) fn start() -> SilentServer {
        SilentServer { listener: TcpListener::bind("127.0.0.1:0").expect("a free port") }
    }

    pub(crate) fn addr(&self) -> String {
        self.listener.local_addr().expect("it is bound").to_string()
    }
}
