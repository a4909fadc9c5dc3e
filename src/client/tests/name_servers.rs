use super::*;

#[test]
fn connecting_succeeds_whatever_the_name_server_answers() {
    let server = Server::start();
    Client::connect(&server.addr).unwrap().close().unwrap();
    assert_eq!(server.asked(RequestCode::GET_ROUTEINFO_BY_TOPIC).len(), 1);
}

#[test]
fn connecting_to_dead_name_servers_names_each_with_what_it_said() {
    let (one, other) = (refused(), refused());
    let started = Instant::now();
    let error = Client::connect(format!("{one};{other}")).unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(3300), "{:?}", started.elapsed());
    let text = error.to_string();
    assert!(text.contains(&one) && text.contains(&other) && text.contains("cannot connect"), "{text}");
    assert_eq!(error.outcome(), Outcome::NotSent);
}

#[test]
fn a_dead_or_silent_name_server_does_not_use_up_the_deadline() {
    let server = Server::start();
    server.route("T", "b", 1);
    let (_listener, silent) = silent();
    for bad in [silent, refused()] {
        // Whichever is asked first, two questions in a row meet the bad one at most once.
        for _ in 0..4 {
            let client = Client::builder().name_servers(format!("{bad};{}", server.addr)).build().unwrap();
            let core = client.core();
            core.routes().refresh(core, &topic("T"), within(1000)).unwrap();
            let started = Instant::now();
            core.routes().refresh(core, &topic("T"), within(1000)).unwrap();
            assert!(started.elapsed() < Duration::from_millis(400), "the choice did not stick");
            client.close().unwrap();
        }
    }
}

#[test]
fn a_silent_name_server_ends_each_call_at_its_deadline_as_not_sent() {
    let (_listener, addr) = silent();
    let client = Client::builder().name_servers(addr).build().unwrap();
    let core = client.core();
    let started = Instant::now();
    let (done, result) = crossbeam_channel::bounded(1);
    core.routes().get_async(core, &topic("A"), within(200), move |found| drop(done.send(found.unwrap_err())));
    let error = core.routes().get(core, &topic("A"), within(150)).unwrap_err();
    assert!(matches!(error, Error::Timeout { stage: Stage::Route, outcome: Outcome::NotSent, .. }), "{error:?}");
    let error = result.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(error.is_timeout() && error.outcome() == Outcome::NotSent, "{error:?}");
    // How exactly calls end is judged where nothing else runs: in `tests/faults`.
    let elapsed = started.elapsed();
    assert!((200..2000).contains(&elapsed.as_millis()), "{elapsed:?}");
    client.close().unwrap();
}

#[test]
fn they_are_discovered_over_http_when_none_are_given() {
    let server = Server::start();
    server.route("T", "b", 1);
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let domain = http.local_addr().unwrap().to_string();
    let addr = server.addr.clone();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = http.accept().unwrap();
        let mut request = [0; 1024];
        let count = stream.read(&mut request).unwrap();
        write!(stream, "HTTP/1.1 200 OK\r\nServer: test\r\n\r\n{addr};{addr}\nignored").unwrap();
        String::from_utf8_lossy(&request[..count]).into_owned()
    });
    let client = Client::builder().discovery_domain(domain).discovery_subgroup("group").unit_name("u1");
    let options = client.options(|_| None).unwrap();
    let client = Client::open(options).unwrap();
    client.core().routes().get(client.core(), &topic("T"), within(3000)).unwrap();
    assert!(asked.join().unwrap().starts_with("GET /rocketmq/group-u1?nofix=1 HTTP/1.1\r\n"));
    client.close().unwrap();
}

#[test]
fn a_discovery_that_finds_none_says_where_it_asked() {
    let domain = refused();
    let builder = Client::builder().discovery_domain(&domain);
    let client = Client::open(builder.options(|_| None).unwrap()).unwrap();
    let error = client.core().routes().get(client.core(), &topic("T"), within(3000)).unwrap_err();
    assert!(matches!(error, Error::NoNameServer { .. }), "{error:?}");
    assert!(error.to_string().contains(&format!("http://{domain}/rocketmq/nsaddr")), "{error}");
}
