//! Brokers that do not take back what failed.

use rocketmq_blocking::embedded::{Cluster, Fault, Injected};
use rocketmq_blocking::{
    Client, ConsumeFromWhere, ConsumeResult, Message, MessageView, PushConsumer, RequestCode, ResponseCode,
};

use crate::support::{Inbox, LONG, body, client_builder, eventually};

/// A broker that refuses what consumers hand back, with three messages of which the second fails once.
struct Refusing {
    cluster: Cluster,
    consumer: PushConsumer,
    inbox: Inbox,
    faults: Vec<Injected>,
    _client: Client,
}

fn refusing(codes: &[RequestCode]) -> Refusing {
    let cluster = Cluster::builder().topic("T", 1).delay_level_scale(0.1).start().unwrap();
    let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
    let producer = client.producer("g").start().unwrap();
    (0..3).for_each(|number| drop(producer.send(Message::new("T", number.to_string())).unwrap()));
    let refusal = |code| Fault::error(ResponseCode::SYSTEM_ERROR, "the disk is full").on(code);
    let faults = codes.iter().map(|code| cluster.broker("broker-a").fault(refusal(*code))).collect();
    let inbox = Inbox::default();
    let listener = inbox.clone();
    let builder = client.push_consumer("g").subscribe("T", "*").consume_from_where(ConsumeFromWhere::FirstOffset);
    let consumer = builder
        .persist_interval(std::time::Duration::from_millis(200))
        .start(move |messages: &[MessageView]| {
            listener.take_in(messages);
            let fails = body(&messages[0]) == "1" && messages[0].reconsume_times() == 0;
            if fails { ConsumeResult::Retry } else { ConsumeResult::Success }
        })
        .unwrap();
    Refusing { cluster, consumer, inbox, faults, _client: client }
}

#[test]
fn what_a_broker_does_not_take_back_is_sent_to_the_retry_topic_anew() {
    let scene = refusing(&[RequestCode::CONSUMER_SEND_MSG_BACK]);
    scene.inbox.wait(4);
    assert_eq!((scene.inbox.times("1"), scene.faults[0].fired()), (vec![0, 1], 1));
    let sent = scene.cluster.requests_of(RequestCode::SEND_MESSAGE_V2);
    let of = |topic: &str| sent.iter().find(|one| one.field("b") == Some(topic)).and_then(|one| one.field("a"));
    assert_eq!(of("%RETRY%g"), Some("CLIENT_INNER_PRODUCER"));
    let again = scene.inbox.messages().pop().unwrap();
    assert_eq!((again.topic(), body(&again)), ("T", "1".to_owned()));
}

#[test]
fn what_is_taken_back_in_no_way_is_kept_and_offered_again() {
    let scene = refusing(&[RequestCode::CONSUMER_SEND_MSG_BACK, RequestCode::SEND_MESSAGE_V2]);
    let broker = scene.cluster.broker("broker-a");
    eventually(LONG, || if scene.faults[1].fired() > 0 { Ok(()) } else { Err("it is not sent anew") });
    scene.inbox.wait(3);
    eventually(LONG, || match broker.committed("g", "T", 0) {
        Some(1) => Ok(()),
        other => Err(format!("{other:?} is committed, with the second message unfinished")),
    });
    assert_eq!(scene.consumer.queues().unwrap().iter().map(|one| one.cached).sum::<usize>(), 1);
    scene.faults.iter().for_each(Injected::remove);
    scene.inbox.wait(4);
    assert_eq!(scene.inbox.times("1"), [0, 1]);
    eventually(LONG, || match broker.committed("g", "T", 0) {
        Some(3) => Ok(()),
        other => Err(format!("{other:?} is committed")),
    });
}
