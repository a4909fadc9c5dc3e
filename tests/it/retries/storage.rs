//! Messages that were stored, but not as well as was asked for.

use std::sync::mpsc;

use rocketmq_blocking::embedded::{Cluster, Fault};
use rocketmq_blocking::{Producer, RequestCode, ResponseCode, SendResult, SendStatus};

use super::{BOTH, Stage, TOPIC, message};
use crate::support::{PATIENCE, client_builder, unique};

#[test]
fn degraded_storage_is_a_success_with_a_status() {
    let cases = [
        (ResponseCode::FLUSH_DISK_TIMEOUT, SendStatus::FlushDiskTimeout, "FLUSH_DISK_TIMEOUT"),
        (ResponseCode::FLUSH_SLAVE_TIMEOUT, SendStatus::FlushSlaveTimeout, "FLUSH_SLAVE_TIMEOUT"),
        (ResponseCode::SLAVE_NOT_AVAILABLE, SendStatus::SlaveNotAvailable, "SLAVE_NOT_AVAILABLE"),
    ];
    for (code, status, name) in cases {
        let stage = Stage::new(2);
        for broker in BOTH {
            stage.cluster.broker(broker).fault(Fault::error_after(code, "").on(RequestCode::SEND_MESSAGE_V2));
        }
        let sent = stage.producer.send(message()).unwrap();
        assert_eq!((sent.status(), sent.attempts(), stage.stored()), (status, 1, 1));
        assert!(sent.to_string().starts_with(name), "{sent}");
    }
}

#[test]
fn degraded_storage_is_tried_elsewhere_when_asked_for() {
    let ways: [&dyn Fn(&Producer) -> SendResult; 3] = [
        &|producer| producer.send(message()).unwrap(),
        &|producer| producer.prepare(message()).submit().unwrap().wait().unwrap(),
        &|producer| {
            let (done, ended) = mpsc::channel();
            producer.send_async(message(), move |result| done.send(result).unwrap()).unwrap();
            ended.recv_timeout(PATIENCE).unwrap().unwrap()
        },
    ];
    for send in ways {
        let cluster = Cluster::builder().brokers(2).topic(TOPIC, 1).start().unwrap();
        let client = client_builder().name_servers(cluster.name_server()).connect().unwrap();
        let producer = client.producer(unique("durable")).retry_when_not_ok(true).start().unwrap();
        let degraded = |broker: &str, times| {
            let fault = Fault::error_after(ResponseCode::FLUSH_DISK_TIMEOUT, "");
            cluster.broker(broker).fault(fault.on(RequestCode::SEND_MESSAGE_V2).times(times));
        };
        BOTH.iter().for_each(|broker| degraded(broker, 1));
        let sent = send(&producer);
        // Each broker answered once that it stored the message less durably; with no third broker that is the result.
        assert_eq!((sent.status(), sent.attempts()), (SendStatus::FlushDiskTimeout, 2), "{sent}");
        assert!(sent.may_be_duplicated());
        let sent = send(&producer);
        assert_eq!((sent.status(), sent.attempts()), (SendStatus::Ok, 1));
        assert_eq!(cluster.stored_count(TOPIC), 3);
        // One of two: whichever is asked first, the message ends up as durable as was asked for.
        degraded("broker-a", 1);
        let both = [send(&producer), send(&producer)];
        assert!(both.iter().all(|sent| sent.status() == SendStatus::Ok), "{both:?}");
        assert_eq!(cluster.stored_count(TOPIC), 6);
        // The other one cannot be reached: what is stored is stored.
        degraded("broker-a", 2);
        cluster.broker("broker-b").kill();
        cluster.broker("broker-b").registered(true);
        let sent = send(&producer);
        assert_eq!((sent.status(), sent.queue().broker_name()), (SendStatus::FlushDiskTimeout, "broker-a"), "{sent}");
    }
}
