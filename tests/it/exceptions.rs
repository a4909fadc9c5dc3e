//! What goes wrong, and how it is said.

use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, Message, Outcome};

use crate::support::{NOWHERE, PATIENCE, Scene, SilentServer, client_builder, client_to_nowhere, scene, unique};

#[test]
fn a_topic_that_nobody_may_create_by_sending_has_no_route() {
    let scene = scene();
    // Without a template topic there is nothing to make the topic from, as with `autoCreateTopicEnable=false`.
    let producer = scene.client.producer(&*scene.group).template_topic(unique("template")).start().unwrap();
    let check = |error: &Error| {
        assert!(matches!(error, Error::NoRoute { topic, .. } if **topic == *scene.topic), "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent);
    };
    check(&producer.send(scene.message("x")).unwrap_err().error);
    check(&producer.send_oneway(scene.message("x")).unwrap_err().error);
    check(&producer.prepare(scene.message("x")).submit().unwrap().wait().unwrap_err().into());
    let selected = producer.prepare(scene.message("x")).select(|_, _| panic!("there is nothing to select")).send();
    check(&selected.unwrap_err().error);
}

#[test]
fn a_wrong_name_server_is_an_error_of_the_connection_within_the_deadline() {
    let producer = client_to_nowhere().producer("it_wrong").timeout(Duration::from_secs(2)).start().unwrap();
    let began = Instant::now();
    let failed = producer.send(Message::new("T", "x")).unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(2_500), "{:?}", began.elapsed());
    assert_eq!((failed.error.outcome(), failed.message.body_text()), (Outcome::NotSent, Some("x")));
    assert!(failed.error.is_retryable() && failed.to_string().contains(NOWHERE), "{failed}");
}

#[test]
fn a_silent_name_server_ends_a_call_at_its_deadline() {
    let silent = SilentServer::start();
    let client =
        client_builder().name_servers(silent.addr()).request_timeout(Duration::from_millis(400)).build().unwrap();
    let producer = client.producer("it_silent").timeout(Duration::from_millis(500)).start().unwrap();
    let timed = |call: &dyn Fn() -> Error, limit: u64| {
        let began = Instant::now();
        let error = call();
        assert!(error.is_timeout() && error.outcome() == Outcome::NotSent, "{error}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(limit - 100), "{took:?}: {error}");
        assert!(took < Duration::from_millis(limit + 1_000), "{took:?}: {error}");
    };
    timed(&|| producer.send(Message::new("T", "x")).unwrap_err().error, 500);
    timed(&|| producer.send_oneway(Message::new("T", "x")).unwrap_err().error, 500);
    timed(&|| client.publish_queues("T").unwrap_err(), 400);
}

#[test]
fn the_timeout_of_a_send_is_the_producers_unless_it_has_its_own() {
    let silent = SilentServer::start();
    let client = client_builder().name_servers(silent.addr()).build().unwrap();
    let producer = client.producer("it_timeouts").timeout(Duration::from_secs(60)).start().unwrap();
    let began = Instant::now();
    let failed = producer.prepare(Message::new("T", "x")).timeout(Duration::from_millis(200)).send().unwrap_err();
    assert!(failed.error.is_timeout(), "{failed}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn three_seconds_are_the_default_timeout() {
    let silent = SilentServer::start();
    let client = client_builder().name_servers(silent.addr()).build().unwrap();
    let producer = client.producer("it_default").start().unwrap();
    let began = Instant::now();
    let failed = producer.send(Message::new("T", "x")).unwrap_err();
    let took = began.elapsed();
    assert!(failed.error.is_timeout(), "{failed}");
    assert!((Duration::from_millis(2_900)..Duration::from_millis(4_000)).contains(&took), "{took:?}");
}

#[test]
fn a_closed_producer_refuses_everything() {
    let scene = Scene::with_queues(1);
    let producer = scene.producer();
    producer.send(scene.message("x")).unwrap();
    producer.close().unwrap();
    let closed = |error: &Error| {
        assert!(matches!(error, Error::Closed { outcome: Outcome::NotSent }), "{error}");
        assert!(!error.is_retryable());
    };
    closed(&producer.send(scene.message("y")).unwrap_err().error);
    closed(&producer.send_oneway(scene.message("y")).unwrap_err().error);
    closed(&producer.send_batch(vec![scene.message("y")]).unwrap_err().error);
    closed(&producer.send_async(scene.message("y"), |_| panic!("called back although refused")).unwrap_err().error);
    closed(&producer.prepare(scene.message("y")).submit().map(drop).unwrap_err().error);
    assert_eq!(scene.arrived(1)[0].body_text(), Some("x"), "the client is open");
}

#[test]
fn an_error_turns_into_the_crates_own_with_a_question_mark() {
    fn send(producer: &rocketmq_blocking::Producer) -> rocketmq_blocking::Result<()> {
        producer.send(Message::new("T", ""))?;
        producer.prepare(Message::new("T", "x")).submit()?.wait()?;
        Ok(())
    }
    let producer = client_to_nowhere().producer("it_question").start().unwrap();
    assert!(matches!(send(&producer), Err(Error::Invalid { .. })));
}

#[test]
fn errors_have_a_source_and_can_be_shown() {
    use std::error::Error as _;
    let error = client_builder().name_servers(NOWHERE).connect().unwrap_err();
    assert!(!error.to_string().is_empty() && !format!("{error:?}").is_empty());
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().address_map(|_| NOWHERE.to_owned()).build().unwrap();
    let failed = scene.producer().send_oneway(scene.message("x")).unwrap_err();
    assert!(failed.source().is_some_and(|error| error.source().is_some()), "{failed:?}");
    assert!(!failed.to_string().contains("refused"), "the cause is not repeated in the text: {failed}");
}

#[test]
fn a_send_whose_attempts_all_fail_lists_them() {
    let mut scene = Scene::with_queues(1);
    scene.client = scene.cluster.builder().address_map(|_| NOWHERE.to_owned()).build().unwrap();
    let producer = scene.client.producer(&*scene.group).timeout(PATIENCE).start().unwrap();
    let failed = producer.send(scene.message("x")).unwrap_err();
    let Error::Exhausted { attempts, .. } = &failed.error else { panic!("{failed}") };
    assert_eq!(attempts.len(), 3, "three attempts by default: {failed}");
    assert_ne!(attempts[0].broker_name, attempts[1].broker_name, "the second attempt avoids the broker of the first");
    assert!(attempts.iter().all(|attempt| matches!(attempt.error, Error::Connect { .. })), "{failed}");
    assert_eq!((failed.error.outcome(), failed.error.is_retryable()), (Outcome::NotSent, true));
    let one = producer.prepare(scene.message("x")).retries(0).send().unwrap_err();
    assert!(!matches!(&one.error, Error::Exhausted { attempts, .. } if attempts.len() > 1), "{one}");
}
