use super::*;

#[test]
fn one_explicit_identity_is_one_core_and_other_settings_are_refused() {
    let server = Server::start();
    let named = |builder: ClientBuilder| builder.instance_name("lifecycle-shared").build();
    let first = named(server.builder()).unwrap();
    let second = named(server.builder()).unwrap();
    assert!(Arc::ptr_eq(first.core(), second.core()));
    let error = named(server.builder().heartbeat_interval(Duration::from_secs(7))).unwrap_err();
    assert!(error.to_string().contains("heartbeat_interval"), "{error}");
    #[cfg(feature = "acl")]
    {
        let error = named(server.builder().credentials(Credentials::new("a", "hush"))).unwrap_err();
        assert!(error.to_string().contains("credentials") && !error.to_string().contains("hush"), "{error}");
    }
    let elsewhere = named(Client::builder().name_servers("127.0.0.1:1")).unwrap();
    assert!(!Arc::ptr_eq(first.core(), elsewhere.core()), "another cluster");
    first.close().unwrap();
    let third = named(server.builder()).unwrap();
    assert!(!Arc::ptr_eq(second.core(), third.core()), "a core that closed is never handed out");
    assert!(!Arc::ptr_eq(server.client().core(), server.client().core()), "by default each is its own");
}

#[test]
fn closing_closes_members_tells_the_brokers_and_fails_what_comes_later() {
    let server = Server::start();
    server.route("T", "b", 1);
    let client = server.client();
    let core = client.core().clone();
    core.routes().get(&core, &topic("T"), within(3000)).unwrap();
    let (order, closed) = crossbeam_channel::unbounded();
    let mut memberships = Vec::new();
    for (kind, group) in [(GroupKind::Producer, "p"), (GroupKind::Consumer, "c")] {
        let order = order.clone();
        let close = Box::new(move || {
            order.send(group).unwrap();
            CloseReport { complete: false, finished: 2, abandoned: 1, persisted: 3 }
        });
        memberships.push(core.groups().join(&core, Member { close, ..member(kind, group) }).unwrap());
    }
    eventually("heartbeats arrive", || !server.asked(RequestCode::HEART_BEAT).is_empty());
    let report = client.close_within(Duration::from_secs(2)).unwrap();
    let sum = CloseReport { complete: true, finished: 4, abandoned: 2, persisted: 6 };
    assert_eq!(report, sum, "the members' reports together; nothing was left in the end");
    assert_eq!(closed.try_iter().collect::<Vec<_>>(), ["c", "p"], "consumers first");
    assert_eq!(server.asked(RequestCode::UNREGISTER_CLIENT).len(), 2);
    assert!(matches!(core.check_open(), Err(Error::Closed { outcome: Outcome::NotSent })));
    let error = core.routes().refresh(&core, &topic("T"), within(3000)).unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert!(core.callbacks().is_err());
    assert_eq!(client.close_within(Duration::from_secs(2)).unwrap(), report);
    assert_eq!(core.remoting().waiting(), 0);
}

#[test]
fn closing_ends_what_waits_for_a_silent_server() {
    let (_listener, addr) = silent();
    let client = Client::builder().name_servers(addr).build().unwrap();
    let core = client.core();
    let (done, result) = crossbeam_channel::bounded(1);
    core.routes().get_async(core, &topic("T"), within(60_000), move |found| drop(done.send(found)));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| core.routes().get(core, &topic("T"), within(60_000)));
        eventually("connected", || !core.remoting().connected().is_empty());
        assert!(client.close_within(Duration::from_millis(200)).unwrap().complete);
        assert_eq!(waiting.join().unwrap().unwrap_err().outcome(), Outcome::NotSent);
    });
    assert_eq!(result.recv_timeout(Duration::from_secs(5)).unwrap().unwrap_err().outcome(), Outcome::NotSent);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn a_callback_may_close_the_client_or_drop_its_last_handle() {
    for drops in [false, true] {
        let server = Server::start();
        let client = server.client();
        let core = client.core().clone();
        let (done, ended) = crossbeam_channel::bounded(1);
        core.callbacks().unwrap().run(move || {
            let started = Instant::now();
            if drops {
                drop(client)
            } else {
                assert!(!client.close_within(Duration::ZERO).unwrap().complete)
            }
            done.send(started.elapsed()).unwrap();
        });
        assert!(ended.recv_timeout(Duration::from_secs(5)).unwrap() < Duration::from_secs(1));
        // The closing holds the core no longer, nor does any thread.
        eventually("the closing went on to its end", || Arc::strong_count(&core) == 1);
        assert!(core.remoting().connected().is_empty());
    }
}

#[test]
fn two_closes_at_once_both_return_when_all_is_over() {
    let server = Server::start();
    let client = server.client();
    let running = Arc::new(AtomicUsize::new(0));
    let (counting, (release, held)) = (running.clone(), crossbeam_channel::bounded::<()>(0));
    client.core().callbacks().unwrap().run(move || {
        counting.fetch_add(1, Ordering::SeqCst);
        let _ = held.recv();
        std::thread::sleep(Duration::from_millis(50));
        counting.fetch_sub(1, Ordering::SeqCst);
    });
    eventually("the callback runs", || running.load(Ordering::SeqCst) == 1);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let report = client.close_within(Duration::from_secs(5)).unwrap();
                assert!(report.complete && report.finished == 1, "{report:?}");
                assert_eq!(running.load(Ordering::SeqCst), 0);
            });
        }
        drop(release);
    });
}

#[test]
fn a_callback_that_does_not_end_is_reported_and_does_not_hold_up_closing() {
    let server = Server::start();
    let client = server.builder().callback_threads(1).build().unwrap();
    let (release, held) = crossbeam_channel::bounded::<()>(0);
    let callbacks = client.core().callbacks().unwrap();
    callbacks.run(move || assert!(held.recv().is_err()));
    callbacks.run(|| ());
    let started = Instant::now();
    let report = client.close_within(Duration::from_millis(100)).unwrap();
    assert!(!report.complete && report.abandoned == 2, "{report:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    drop(release);
}

#[test]
fn a_callback_that_panics_disturbs_nobody() {
    let server = Server::start();
    let client = server.client();
    let (done, ended) = crossbeam_channel::bounded(4);
    let callbacks = client.core().callbacks().unwrap();
    for number in 0..4 {
        let done = done.clone();
        callbacks
            .run(move || if number % 2 == 0 { panic!("expected by this test") } else { done.send(number).unwrap() });
    }
    for _ in 0..2 {
        ended.recv_timeout(Duration::from_secs(5)).unwrap();
    }
    assert!(!callbacks.is_callback_thread());
    client.close().unwrap();
}

#[test]
fn dropping_the_last_handle_closes() {
    let server = Server::start();
    let client = server.client();
    let core = client.core().clone();
    core.routes().watch(&topic("T"));
    let clone = client.clone();
    drop(client);
    core.check_open().unwrap();
    drop(clone);
    assert!(core.check_open().is_err());
    assert_eq!(Arc::strong_count(&core), 1, "a thread still holds the core");
}
