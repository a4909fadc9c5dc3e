//! A guide: which producer and which consumer, and the least that has to be written for each.
//!
//! | to send | to consume |
//! | --- | --- |
//! | [one message, and wait](#sending) | [by a listener](#push-consumers) |
//! | [many at the same time](#sending-asynchronously) | [by a listener, in order](#push-consumers-in-order) |
//! | [many at once](#batches) | [everything, in every process](#broadcasting) |
//! | [in order](#sending-in-order) | [by a listener, queues shared message by message (pop)](#push-consumers-over-pop) |
//! | [to be delivered later](#delayed-messages) | [in a loop, with commits](#lite-pull-consumers) |
//! | [together with a database](#transactions) | [message by message, each acknowledged](#simple-consumers) |
//! | [and have an answer](#request-and-reply) | [from an offset the program keeps](#pull-consumers) |
//!
//! All examples run: `client` is connected to an embedded cluster in them, and would be the same with
//! `Client::connect("10.0.0.1:9876")`. What a failed send means is in [the overview](crate#when-a-send-fails).
//!
//! # Sending
//!
//! For most. A send returns when the broker has stored the message, or fails and says whether it may have. One
//! [`Producer`](crate::Producer) serves any number of threads.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! let producer = client.producer("orders").start()?;
//! let sent = producer.send(Message::builder("OrderTopic", "hello").tag("paid").key("order-17"))?;
//! println!("{} as {}", sent.queue(), sent.message_id());
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! Nobody who must know waits for [`send_oneway`](crate::Producer::send_oneway): no broker answers it.
//!
//! # Sending asynchronously
//!
//! For throughput on few threads. The answer goes to a callback, or is [waited for](crate::PendingSend::wait) later; a
//! [window](crate::ProducerBuilder::async_window) bounds what is under way.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! let producer = client.producer("orders").async_window(1_000, 16 << 20).start()?;
//! producer.send_async(Message::new("OrderTopic", "hello"), |result| match result {
//!     Ok(sent) => println!("{sent}"),
//!     Err(failed) => eprintln!("{failed}; {} is given back", failed.message.topic()),
//! })?;
//! let pending = producer.prepare(Message::new("OrderTopic", "hello")).submit()?;
//! println!("{}", pending.wait()?);
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Batches
//!
//! For many small messages of one topic: they are stored together or not at all, and in one queue.
//! [`split_batch`](crate::split_batch) cuts a list that is too long for one request; [`AutoBatch`](crate::AutoBatch) gathers
//! what many threads send at the same time.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use rocketmq_blocking::{AutoBatch, split_batch};
//!
//! let producer = client.producer("orders").start()?;
//! let messages: Vec<Message> = (0..1_000).map(|n| Message::new("OrderTopic", format!("order {n}"))).collect();
//! for batch in split_batch(messages, 1 << 20) {
//!     producer.send_batch(batch)?;
//! }
//! let gathering = client.producer("orders-auto").auto_batch(AutoBatch::default()).start()?;
//! gathering.send(Message::new("OrderTopic", "one of many"))?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Sending in order
//!
//! Order holds within a queue: what belongs together goes to the same one, chosen by a [selector](crate::select), one after the
//! other. Consumers then need [a listener in order](#push-consumers-in-order).
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use rocketmq_blocking::select;
//!
//! let producer = client.producer("orders").start()?;
//! for step in ["created", "paid", "sent"] {
//!     producer.prepare(Message::new("OrderTopic", step)).select(select::by_hash("order-17")).send()?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Delayed messages
//!
//! Brokers 5.0 and later deliver at any time, and can be [told](crate::Producer::recall) to forget it until then; older ones know
//! 18 levels of delay only, and deliver what names a time at once.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use std::time::Duration;
//!
//! let producer = client.producer("orders").start()?;
//! producer.send(Message::builder("OrderTopic", "for 4.x too").delay_level(3))?;
//! let later = producer.send(Message::builder("OrderTopic", "later").deliver_after(Duration::from_secs(3600)))?;
//! if let Some(handle) = later.recall_handle() {
//!     producer.recall("OrderTopic", handle)?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Transactions
//!
//! A message becomes visible when a local transaction commits. A broker that hears nothing asks the `check` of any producer of
//! the group, which has to find out: from the database, not from memory.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use rocketmq_blocking::TransactionResolution::{Commit, Rollback, Unknown};
//!
//! # fn look_up(_: &str) -> Option<bool> { None }
//! # fn store(_: &str) -> Result<(), ()> { Ok(()) }
//! let check = |half: &rocketmq_blocking::MessageView| match look_up(half.keys().next().unwrap_or_default()) {
//!     Some(true) => Commit,
//!     Some(false) => Rollback,
//!     None => Unknown,
//! };
//! let producer = client.transaction_producer("orders").check(check).start()?;
//! let message = Message::builder("OrderTopic", "paid").key("order-17");
//! producer.send(message, |_sent| if store("order-17").is_ok() { Commit } else { Rollback })?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Request and reply
//!
//! A request waits for the reply that some consumer makes of it.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use std::time::Duration;
//!
//! use rocketmq_blocking::{ConsumeFromWhere, MessageView};
//!
//! let answers = client.producer("prices").start()?;
//! let service = client
//!     .push_consumer("prices")
//!     .subscribe("PriceTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start(move |requests: &[MessageView]| -> rocketmq_blocking::Result<()> {
//!         for request in requests.iter().filter(|message| message.expects_reply()) {
//!             answers.send(request.reply("17 cents")?)?;
//!         }
//!         Ok(())
//!     })?;
//! let producer = client.producer("shop").start()?;
//! let reply = producer.request(Message::new("PriceTopic", "tea"), Duration::from_secs(20))?;
//! assert_eq!(reply.body_text(), Some("17 cents"));
//! # service.close()?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Push consumers
//!
//! For most. The members of a group share the queues; the listener runs on threads of the consumer's, and says what became of
//! the messages. What fails comes again, later and later, and in the end becomes a dead letter.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! use rocketmq_blocking::{ConsumeFromWhere, ConsumeResult, MessageView};
//!
//! let (seen, wait) = std::sync::mpsc::channel();
//! let consumer = client
//!     .push_consumer("billing")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .threads(4..=16)
//!     .start(move |messages: &[MessageView]| match seen.send(messages.len()) {
//!         Ok(()) => ConsumeResult::Success,
//!         Err(_) => ConsumeResult::Retry,
//!     })?;
//! wait.recv().unwrap();
//! println!("{}", consumer.close_within(Duration::from_secs(10))?);
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Push consumers in order
//!
//! Each queue is consumed by one thread at a time, of one member of the group at a time. What fails holds its queue up until it
//! succeeds, or has failed [often enough](crate::PushConsumerBuilder::max_reconsume_times).
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use rocketmq_blocking::{ConsumeFromWhere, MessageView};
//!
//! let (seen, wait) = std::sync::mpsc::channel();
//! let consumer = client
//!     .push_consumer("ledger")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start_orderly(move |messages: &[MessageView]| seen.send(messages[0].queue_offset()))?;
//! assert_eq!(wait.recv(), Ok(0));
//! consumer.close()?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Broadcasting
//!
//! Every member gets every message, and keeps its offsets in a file (or an [`OffsetStore`](crate::OffsetStore)) of its own. What
//! fails does not come again.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use rocketmq_blocking::{ConsumeFromWhere, MessageModel, MessageView};
//!
//! # let folder = std::env::temp_dir().join(format!("rocketmq-guide-{}", std::process::id()));
//! let (seen, wait) = std::sync::mpsc::channel();
//! let consumer = client
//!     .push_consumer("caches")
//!     .message_model(MessageModel::Broadcasting)
//!     .offset_folder(&folder)
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start(move |messages: &[MessageView]| seen.send(messages.len()))?;
//! wait.recv().unwrap();
//! consumer.close()?;
//! # let _ = std::fs::remove_dir_all(&folder);
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Push consumers over pop
//!
//! Brokers (5.0 and later) hand out messages instead of queues: more members than queues have work, and a member that hangs holds
//! nobody up. What is not consumed in time comes again.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use rocketmq_blocking::{ConsumeFromWhere, MessageRequestMode, MessageView};
//!
//! client.set_message_request_mode("OrderTopic", "mailers", MessageRequestMode::Pop, 0)?;
//! let (seen, wait) = std::sync::mpsc::channel();
//! let consumer = client
//!     .push_consumer("mailers")
//!     .allocation_by_broker()
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start(move |messages: &[MessageView]| seen.send(messages.len()))?;
//! wait.recv().unwrap();
//! consumer.close()?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Lite pull consumers
//!
//! For a loop of the program's own: queues are shared as among push consumers, messages come when they are asked for, and can be
//! [gone back to](crate::LitePullConsumer::seek).
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! use rocketmq_blocking::ConsumeFromWhere;
//!
//! let consumer = client
//!     .lite_pull_consumer("reports")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .auto_commit(false)
//!     .start()?;
//! let messages = consumer.poll(Duration::from_secs(20))?;
//! assert_eq!(messages.len(), 1);
//! consumer.commit()?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Simple consumers
//!
//! For work whose length nobody knows before: each message is [received](crate::SimpleConsumer::receive), may be
//! [kept for longer](crate::SimpleConsumer::change_invisible_duration), and is acknowledged by itself, on any thread, in any order.
//! Brokers 5.0 and later.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! use rocketmq_blocking::ConsumeFromWhere;
//!
//! let consumer = client
//!     .simple_consumer("thumbnails")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start()?;
//! for message in consumer.receive(16, Duration::from_secs(30))? {
//!     consumer.ack(&message)?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Pull consumers
//!
//! For whoever keeps offsets elsewhere, or reads a queue that no group has a claim to. [`PullSchedule`](crate::PullSchedule)
//! adds sharing among members, and threads.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("setup").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! let consumer = client.pull_consumer("audit").start()?;
//! for queue in consumer.fetch_queues("OrderTopic")? {
//!     let offset = consumer.committed_offset(&queue)?.unwrap_or(0);
//!     let found = consumer.prepare_pull(&queue, offset).max(16).wait(Duration::from_millis(100)).fetch()?;
//!     consumer.commit_offset(&queue, found.next_offset())?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
