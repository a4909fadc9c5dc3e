//! Pulling: the four answers, long polls, and what may be asked.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rocketmq_blocking::{Error, Message, MessageQueue, Producer, PullConsumer, PullStatus, ResponseCode};

use crate::support::{PATIENCE, Scene, body, eventually, noise};

/// Fills a queue with numbered messages and waits until they can be pulled.
fn fill(scene: &Scene, producer: &Producer, queue: &MessageQueue, count: usize) {
    for number in 0..count {
        let message =
            Message::builder(&*scene.topic, format!("{number}")).tag(if number % 2 == 0 { "even" } else { "odd" });
        producer.prepare(message).queue(queue).send().unwrap();
    }
    scene.arrived_in(queue, count);
}

fn pulled(consumer: &PullConsumer, queue: &MessageQueue, offset: i64) -> (PullStatus, usize, i64, i64, i64) {
    let result = consumer.pull(queue, offset).unwrap();
    (result.status(), result.messages().len(), result.next_offset(), result.min_offset(), result.max_offset())
}

#[test]
fn each_of_the_four_answers_names_next_minimum_and_maximum() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    fill(&scene, &producer, &queue, 5);
    assert_eq!(pulled(&consumer, &queue, 0), (PullStatus::Found, 5, 5, 0, 5));
    assert_eq!(pulled(&consumer, &queue, 3), (PullStatus::Found, 2, 5, 0, 5));
    assert_eq!(pulled(&consumer, &queue, 5), (PullStatus::NoNewMessage, 0, 5, 0, 5));
    assert_eq!(pulled(&consumer, &queue, 6), (PullStatus::OffsetIllegal, 0, 5, 0, 5));
    assert_eq!(pulled(&consumer, &queue, 1_000_000), (PullStatus::OffsetIllegal, 0, 5, 0, 5));
    let unwanted = consumer.prepare_pull(&queue, 1).filter("no_such_tag").fetch().unwrap();
    assert_eq!((unwanted.status(), unwanted.next_offset()), (PullStatus::NoMatchedMessage, 5));
    assert!(unwanted.messages().is_empty());
}

#[test]
fn an_empty_queue_has_no_new_message_at_0_and_no_other_offset() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (scene.queue(), scene.consumer());
    assert_eq!(pulled(&consumer, &queue, 0), (PullStatus::NoNewMessage, 0, 0, 0, 0));
    assert_eq!(pulled(&consumer, &queue, 7), (PullStatus::OffsetIllegal, 0, 0, 0, 0));
}

#[test]
fn pulled_messages_come_in_order_and_no_more_than_asked_for() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    fill(&scene, &producer, &queue, 40);
    let first = consumer.pull(&queue, 0).unwrap();
    assert_eq!((first.messages().len(), first.next_offset()), (32, 32), "32 unless asked otherwise");
    let three = consumer.prepare_pull(&queue, 10).max(3).fetch().unwrap();
    assert_eq!(three.messages().iter().map(body).collect::<Vec<_>>(), ["10", "11", "12"]);
    assert_eq!(three.next_offset(), 13);
    assert!(three.to_string().contains("3 messages, next offset 13"), "{three}");
    let odd = consumer.prepare_pull(&queue, 0).filter("odd").max(4).fetch().unwrap();
    assert_eq!(odd.messages().iter().map(body).collect::<Vec<_>>(), ["1", "3", "5", "7"]);
    assert_eq!(odd.next_offset(), 8);
    assert!(odd.messages().iter().all(|view| view.queue() == &queue));
}

#[test]
fn a_limit_in_bytes_may_be_ignored_and_never_hides_a_message() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    for number in 0..4 {
        producer.prepare(Message::new(&*scene.topic, noise(10_000, number))).queue(&queue).send().unwrap();
    }
    scene.arrived_in(&queue, 4);
    // Apache's brokers do not look at it, 5.5.0 included.
    for bytes in [1, 25_000, 100_000] {
        let result = consumer.prepare_pull(&queue, 0).max_bytes(bytes).fetch().unwrap();
        assert_eq!((result.messages().len(), result.next_offset()), (4, 4), "at most {bytes} bytes");
    }
}

#[test]
fn a_long_poll_is_woken_by_a_message() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    // A send reaches the broker before or after the poll does; either way the poll must bring it, long before its end.
    let hold = Duration::from_secs(60);
    thread::scope(|scope| {
        let poll = scope.spawn(|| consumer.prepare_pull(&queue, 0).wait(hold).fetch().unwrap());
        thread::sleep(Duration::from_millis(300));
        producer.prepare(scene.message("wake up")).queue(&queue).send().unwrap();
        let began = Instant::now();
        let result = poll.join().unwrap();
        assert_eq!((result.status(), result.next_offset()), (PullStatus::Found, 1));
        assert_eq!(body(&result.messages()[0]), "wake up");
        assert!(began.elapsed() < Duration::from_secs(20), "the poll went on for {:?}", began.elapsed());
    });
}

#[test]
fn a_long_poll_is_woken_only_by_a_message_it_wants() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    let send = |tag: &str| {
        producer.prepare(Message::builder(&*scene.topic, tag.to_owned()).tag(tag)).queue(&queue).send().unwrap();
    };
    thread::scope(|scope| {
        let poll = scope.spawn(|| {
            // A broker may answer before with "none of these matched"; the next pull then goes on behind them.
            let mut offset = 0;
            loop {
                let result = consumer.prepare_pull(&queue, offset).filter("b").wait(PATIENCE).fetch().unwrap();
                offset = result.next_offset();
                if result.status() != PullStatus::NoMatchedMessage {
                    return result;
                }
            }
        });
        thread::sleep(Duration::from_millis(200));
        send("a");
        send("b");
        let result = poll.join().unwrap();
        assert_eq!((result.status(), result.next_offset()), (PullStatus::Found, 2));
        assert_eq!(result.messages().iter().map(body).collect::<Vec<_>>(), ["b"]);
    });
}

#[test]
fn a_long_poll_ends_by_itself_when_nothing_arrives() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (scene.queue(), scene.consumer());
    let (hold, began) = (Duration::from_secs(1), Instant::now());
    let result = consumer.prepare_pull(&queue, 0).wait(hold).fetch().unwrap();
    assert_eq!((result.status(), result.next_offset()), (PullStatus::NoNewMessage, 0));
    // Brokers look for the end of a hold every five seconds.
    assert!(began.elapsed() >= Duration::from_millis(900), "the poll was not held: {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn a_long_poll_at_a_wrong_offset_is_answered_at_once() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (scene.queue(), scene.consumer());
    let began = Instant::now();
    let result = consumer.prepare_pull(&queue, 9).wait(Duration::from_secs(30)).fetch().unwrap();
    assert_eq!((result.status(), result.next_offset()), (PullStatus::OffsetIllegal, 0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn closing_the_consumer_ends_a_long_poll() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (scene.queue(), scene.consumer());
    thread::scope(|scope| {
        let poll = scope.spawn(|| consumer.prepare_pull(&queue, 0).wait(Duration::from_secs(60)).fetch());
        thread::sleep(Duration::from_millis(200));
        let began = Instant::now();
        consumer.close().unwrap();
        let ended = poll.join().unwrap();
        assert!(matches!(ended, Err(Error::Closed { .. })), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    });
    assert!(matches!(consumer.pull(&queue, 0), Err(Error::Closed { .. })));
    consumer.close().unwrap();
}

#[test]
fn an_asynchronous_pull_calls_back_once_on_a_callback_thread() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    fill(&scene, &producer, &queue, 3);
    let (done, called_back) = mpsc::channel();
    let callback = move |result| done.send((thread::current().name().map(str::to_owned), result)).unwrap();
    consumer.prepare_pull(&queue, 1).max(1).fetch_async(callback).unwrap();
    let (name, result) = called_back.recv_timeout(PATIENCE).unwrap();
    assert!(name.as_deref().is_some_and(|name| name.starts_with("mq-callback")), "{name:?}");
    let result = result.unwrap();
    assert_eq!(result.messages().iter().map(body).collect::<Vec<_>>(), ["1"]);
    assert!(called_back.recv().is_err(), "the callback was dropped after its one call");
}

#[test]
fn an_asynchronous_long_poll_is_woken_by_a_message_and_may_pull_again() {
    let scene = Scene::with_queues(1);
    let (queue, producer) = (scene.queue(), scene.producer());
    let consumer = std::sync::Arc::new(scene.consumer());
    let (done, called_back) = mpsc::channel();
    let (again, next_queue) = (consumer.clone(), queue.clone());
    let callback = move |first: rocketmq_blocking::Result<rocketmq_blocking::PullResult>| {
        let first = first.unwrap();
        let second = again.prepare_pull(&next_queue, first.next_offset()).wait(PATIENCE);
        done.send(first).unwrap();
        second.fetch_async(move |second| done.send(second.unwrap()).unwrap()).unwrap();
    };
    consumer.prepare_pull(&queue, 0).wait(PATIENCE).fetch_async(callback).unwrap();
    for number in 0..2 {
        producer.prepare(scene.message(format!("{number}"))).queue(&queue).send().unwrap();
        let result = called_back.recv_timeout(PATIENCE).unwrap();
        assert_eq!((result.status(), result.next_offset()), (PullStatus::Found, number + 1));
        assert_eq!(body(&result.messages()[0]), format!("{number}"));
    }
}

#[test]
fn arguments_out_of_range_are_refused_before_anything_leaves() {
    let client = crate::support::client_to_nowhere();
    let consumer = client.pull_consumer("it_arguments").timeout(Duration::from_millis(300)).start().unwrap();
    let queue = MessageQueue::new("T", "b", 0);
    let refused = |result: rocketmq_blocking::Result<rocketmq_blocking::PullResult>, what: &str| {
        assert!(matches!(result, Err(Error::Invalid { .. })), "{what}: {result:?}");
    };
    refused(consumer.pull(&queue, -1), "offset");
    refused(consumer.pull(&MessageQueue::new("T", "b", -1), 0), "queue number");
    refused(consumer.pull(&MessageQueue::new("", "b", 0), 0), "topic");
    refused(consumer.prepare_pull(&queue, 0).max(0).fetch(), "no message");
    refused(consumer.prepare_pull(&queue, 0).max(1025).fetch(), "too many messages");
    refused(consumer.prepare_pull(&queue, 0).max_bytes(0).fetch(), "no byte");
    refused(consumer.prepare_pull(&queue, 0).filter("||").fetch(), "filter");
    refused(consumer.prepare_pull(&queue, 0).timeout(Duration::ZERO).fetch(), "timeout");
    let never = |_| panic!("called back although refused");
    assert!(matches!(consumer.prepare_pull(&queue, -1).fetch_async(never), Err(Error::Invalid { .. })));
    assert!(consumer.commit_offset(&queue, -1).is_err());
}

#[test]
fn queues_and_topics_that_do_not_exist_are_told_apart() {
    let scene = Scene::with_queues(1);
    let (queue, consumer) = (scene.queue(), scene.consumer());
    let beyond = MessageQueue::new(&*scene.topic, queue.broker_name(), 1);
    let error = consumer.pull(&beyond, 0).unwrap_err();
    println!("{error}");
    assert!(matches!(error.code(), Some(ResponseCode::INVALID_PARAMETER | ResponseCode::SYSTEM_ERROR)), "{error}");
    let error = consumer.pull(&MessageQueue::new(&*scene.topic, "no-such-broker", 0), 0).unwrap_err();
    assert!(matches!(error, Error::NoBroker { .. }), "{error}");
    let unknown = format!("{}_unknown", scene.topic);
    let error = consumer.pull(&MessageQueue::new(&*unknown, queue.broker_name(), 0), 0).unwrap_err();
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
}

#[test]
fn two_consumers_pull_the_same_messages_independently() {
    let scene = Scene::with_queues(1);
    let (queue, producer) = (scene.queue(), scene.producer());
    fill(&scene, &producer, &queue, 10);
    let (one, two) = (scene.consumer(), scene.reader());
    assert_ne!(one.group(), two.group());
    thread::scope(|scope| {
        for consumer in [&one, &two] {
            scope.spawn(|| {
                for offset in 0..10 {
                    let result = consumer.prepare_pull(&queue, offset).max(1).fetch().unwrap();
                    assert_eq!(body(&result.messages()[0]), offset.to_string());
                }
            });
        }
    });
    one.commit_offset(&queue, 10).unwrap();
    assert_eq!(one.committed_offset(&queue).unwrap(), Some(10));
    assert_ne!(two.committed_offset(&queue).unwrap(), Some(10), "groups have offsets of their own");
}

#[test]
fn one_consumer_serves_many_threads() {
    let scene = Scene::with_queues(2);
    let (producer, consumer) = (scene.producer(), scene.consumer());
    for number in 0..20 {
        producer.send(scene.message(format!("{number}"))).unwrap();
    }
    scene.arrived(20);
    let counts: Vec<usize> = thread::scope(|scope| {
        let queues = scene.queues();
        let threads: Vec<_> = queues
            .into_iter()
            .map(|queue| {
                let consumer = &consumer;
                scope.spawn(move || consumer.pull(&queue, 0).unwrap().messages().len())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(counts.iter().sum::<usize>(), 20);
}

#[test]
fn a_caller_that_follows_next_offset_sees_every_message_once() {
    let scene = Scene::with_queues(1);
    let (queue, producer, consumer) = (scene.queue(), scene.producer(), scene.consumer());
    let (mut offset, mut seen) = (0, Vec::new());
    for round in 0..4 {
        for number in 0..5 {
            producer.prepare(scene.message(format!("{}", round * 5 + number))).queue(&queue).send().unwrap();
        }
        eventually(PATIENCE, || {
            let result = consumer.prepare_pull(&queue, offset).max(3).fetch().unwrap();
            offset = result.next_offset();
            seen.extend(result.messages().iter().map(body));
            if seen.len() >= (round + 1) * 5 { Ok(()) } else { Err(format!("{seen:?}")) }
        });
    }
    assert_eq!(seen, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}
