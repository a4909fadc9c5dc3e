//! A synchronous, blocking client for Apache RocketMQ, without an async runtime.
//!
//! It speaks the remoting protocol (name server 9876, broker 10911) to brokers from 4.x to the newest 5.x. It
//! sends and consumes in every way there is, administers clusters, signs what it asks, and encrypts.
//!
//! ```no_run
//! use rocketmq_blocking::{Client, Message};
//!
//! fn main() -> rocketmq_blocking::Result<()> {
//!     let client = Client::connect("127.0.0.1:9876")?;
//!     let producer = client.producer("orders").start()?;
//!     let sent = producer.send(Message::new("OrderTopic", "hello"))?;
//!     println!("{sent}");
//!     producer.close()
//! }
//! ```
//!
//! The [`guide`] has an example for every kind of producer and consumer, and says when to take which.
//!
//! # Connecting
//!
//! A [`Client`] is one identity towards a cluster and one set of connections. Clone it freely: clones share everything.
//! [`Client::connect`] takes the name servers and makes sure that one answers; [`Client::builder`] sets everything else
//! ([`ClientBuilder`]), such as [`Credentials`] and an address map for brokers behind Docker or NAT. Without an address
//! the builder reads `NAMESRV_ADDR`, and without that it discovers the name servers over HTTP, as Java does. Producers
//! and consumers are made from a client, each for a group, which a client may start once of each kind. Every handle is
//! `Send + Sync`.
//!
//! # Security
//!
//! [`ClientBuilder::credentials`] signs every request, and [`ClientBuilder::credentials_provider`] takes keys that change
//! while the client runs. A refusal is [`Error::is_refused`], and is never retried. With the feature `tls` and its builder
//! setting `tls` all connections are encrypted, and servers are verified. What servers may send is bounded, by settings of
//! the [`ClientBuilder`], and [`ClientStats`] counts what went beyond. `docs/security.md` has the limits and says against
//! whom all this protects.
//!
//! # Sending
//!
//! A [`Message`] has a topic, a body, and through a [`MessageBuilder`] a tag, keys, properties and a delay. A
//! [`Producer`] sends it with one of these verbs; each takes options when the message is [prepared](Producer::prepare)
//! first ([`PreparedSend`]): a timeout, a queue, a selector (ready-made ones in [`select`]), a number of retries.
//!
//! | verb | blocks until | result |
//! | --- | --- | --- |
//! | [`send`](Producer::send) | the message is stored | [`SendResult`] with a [`SendStatus`] |
//! | [`send_batch`](Producer::send_batch) | all messages are stored, as one unit; see [`split_batch`] | one [`SendResult`] for all |
//! | [`send_async`](Producer::send_async) | a place among the sends under way is free | to a callback |
//! | [`submit`](PreparedSend::submit) | a place among the sends under way is free | a [`PendingSend`] to wait on |
//! | [`send_oneway`](Producer::send_oneway) | the operating system has the message | none: the broker does not answer |
//!
//! A call ends at its deadline. For a send that is 3 s unless set otherwise, for everything together: the route,
//! connecting, all attempts, waiting for the answer.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster, select};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! use std::time::Duration;
//!
//! let producer = client.producer("orders").retries(2).start()?;
//! let message = Message::builder("OrderTopic", "hello").tag("paid").key("order-17").property("region", "north");
//! let sent = producer.prepare(message).select(select::by_hash("order-17")).timeout(Duration::from_secs(1)).send()?;
//! assert_eq!(sent.attempts(), 1);
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! A [`SendHook`] is told of every send, with its [`SendContext`] and [`SendMode`], before and after
//! ([`ProducerBuilder::hook`]); a check hook can refuse one ([`ProducerBuilder::check_hook`]).
//!
//! # When a send fails
//!
//! A failed send returns a [`SendError`]: the reason, and the message given back. `?` turns it into an [`Error`].
//! [`Error::outcome`] says what became of the message:
//!
//! | [`Outcome`] | means | what to do |
//! | --- | --- | --- |
//! | [`NotSent`](Outcome::NotSent) | no byte of it left, or it was refused locally | send it again, it cannot be there twice |
//! | [`Rejected`](Outcome::Rejected) | the broker said no and did not store it | later if [`Error::is_retryable`], else change what it complains about |
//! | [`Unknown`](Outcome::Unknown) | it may be stored | send it again if consumers can bear it twice, else [look](Client::query_messages) for its key first |
//!
//! A send that was tried several times fails with [`Error::Exhausted`], which keeps every [`Attempt`] and why there was
//! no further one ([`Exhaustion`]). A timeout names the [`Stage`] it happened in, a refusal the server's
//! [`ResponseCode`]. A send that succeeded after an attempt of unknown outcome says so in
//! [`SendResult::may_be_duplicated`].
//!
//! All other calls return the crate's [`Result`] with an [`Error`], which has an outcome as well.
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, Producer, embedded::Cluster};
//! use rocketmq_blocking::{Outcome, SendError};
//!
//! # fn example(producer: &Producer) {
//! match producer.send(Message::new("OrderTopic", "hello")) {
//!     Ok(sent) => println!("{sent}"),
//!     Err(SendError { error, message, .. }) => match error.outcome() {
//!         Outcome::NotSent => println!("not sent, {} can be sent again: {error}", message.topic()),
//!         Outcome::Rejected => println!("refused: {error}"),
//!         Outcome::Unknown => println!("may be stored: {error}"),
//!     },
//! }
//! # }
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # example(&client.producer("orders").start()?);
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Sending asynchronously
//!
//! Callbacks run on the client's callback threads, exactly once, and may do what they like, closing the producer
//! included. What is under way is bounded by number and by bytes ([`ProducerBuilder::async_window`]); a full window
//! makes the sender wait, and the `try_` forms fail with [`Error::Busy`] instead. A [`PendingSend`] that fails gives a
//! [`PendingError`], which `?` turns into an [`Error`].
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, PendingSend, SendError, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # let producer = client.producer("orders").start()?;
//! producer.send_async(Message::new("OrderTopic", "hello"), |result| match result {
//!     Ok(sent) => println!("{sent}"),
//!     Err(failed) => eprintln!("{failed}"),
//! })?;
//!
//! let pending: Vec<PendingSend> = (0..100)
//!     .map(|number| producer.prepare(Message::new("OrderTopic", format!("order {number}"))).submit())
//!     .collect::<Result<_, SendError>>()?;
//! for send in pending {
//!     println!("{}", send.wait()?);
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Transactions
//!
//! A [`TransactionProducer`] stores a message where no consumer sees it, lets the local transaction run, and makes the
//! message visible when that commits. A broker that is not told the end asks any producer of the group, whose check
//! answers with a [`TransactionResolution`]. A [`Transaction`] is committed or rolled back by its owner;
//! [`send`](TransactionProducer::send) takes the local transaction as a closure and returns a
//! [`TransactionSendResult`].
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, TransactionResolution, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! let producer = client.transaction_producer("orders").check(|_half| TransactionResolution::Unknown).start()?;
//! let transaction = producer.begin(Message::new("OrderTopic", "hello"))?;
//! // … the local transaction …
//! transaction.commit()?;
//!
//! let done = producer.send(Message::new("OrderTopic", "hello"), |_half| TransactionResolution::Commit)?;
//! assert!(done.end_error().is_none());
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Listening
//!
//! A [`PushConsumer`] hands the messages of its topics to a listener, on several threads, and shares the queues with the other
//! members of its group. The listener says whether they are consumed ([`ConsumeResult`], nothing, or a `Result`): what fails
//! comes again, later and later, and in the end becomes a dead letter. [`start_orderly`](PushConsumerBuilder::start_orderly)
//! gives it each queue in order. [`PushConsumer::queues`] says of every queue how far it is, and why if it stands still.
//! A [`ConsumeHook`] sees each call of the listener with its [`ConsumeContext`] and its end, a [`Consumption`]; a
//! [`FilterHook`] drops messages before; [`on_offset_reset`](PushConsumerBuilder::on_offset_reset) is told of every
//! [`OffsetReset`] with its [`ResetReason`]. How many listeners run follows the load within a range of [`Threads`].
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("orders").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use rocketmq_blocking::{ConsumeFromWhere, MessageView};
//!
//! let (seen, bodies) = std::sync::mpsc::channel();
//! let consumer = client
//!     .push_consumer("billing")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start(move |messages: &[MessageView]| seen.send(messages[0].body_text().map(str::to_owned)))?;
//! assert_eq!(bodies.recv().unwrap().as_deref(), Some("hello"));
//! consumer.close()?;
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! With [`MessageModel::Broadcasting`] every member gets every message and keeps its offsets in a file of its own; an
//! [`OffsetStore`] keeps them anywhere else.
//!
//! # Polling
//!
//! A [`LitePullConsumer`] shares queues like a push consumer, or has those it is [assigned](LitePullConsumer::assign), and gives
//! messages to whoever asks: [`poll`](LitePullConsumer::poll) for many, iteration for one after the other. It can be moved
//! ([`seek`](LitePullConsumer::seek)) and paused, and a message counts as consumed when the next is asked for, or when
//! [`commit`](LitePullConsumer::commit) says so.
//!
//! ```
//! # use rocketmq_blocking::{Client, ConsumeFromWhere, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("orders").start()?.send(Message::new("OrderTopic", "hello"))?;
//! let tail = client.lite_pull_consumer("tail").subscribe("OrderTopic", "*");
//! let tail = tail.consume_from_where(ConsumeFromWhere::FirstOffset).start()?;
//! for message in &tail {
//!     assert_eq!(message?.body_text(), Some("hello"));
//! #   break;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Receiving
//!
//! A [`SimpleConsumer`] receives messages one call at a time ([`receive`](SimpleConsumer::receive)) and acknowledges each by
//! itself. What is not acknowledged in time comes again, to whoever in the group asks next; a member that is slow or stuck
//! holds nobody up. Made by a [`SimpleConsumerBuilder`]; needs brokers 5.0 or later.
//! [`Client::set_message_request_mode`] makes push consumers that let brokers share out queues work in the same way
//! ([`MessageRequestMode`]).
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("orders").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! use rocketmq_blocking::ConsumeFromWhere;
//!
//! let consumer = client
//!     .simple_consumer("billing")
//!     .subscribe("OrderTopic", "*")
//!     .consume_from_where(ConsumeFromWhere::FirstOffset)
//!     .start()?;
//! for message in consumer.receive(16, Duration::from_secs(60))? {
//!     assert_eq!(message.body_text(), Some("hello"));
//!     consumer.ack(&message)?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Pulling
//!
//! A [`PullConsumer`] reads a [`MessageQueue`] from an offset that the caller keeps. A [`PullResult`] has the messages,
//! each a [`MessageView`] with its [`Properties`], and says where the next pull begins, whatever its [`PullStatus`].
//! [`prepare_pull`](PullConsumer::prepare_pull) adds options ([`PreparedPull`]): a [`Filter`], how much, and how long
//! the broker may wait for a message. The group's offsets at the broker are read and written with
//! [`committed_offset`](PullConsumer::committed_offset) and [`commit_offset`](PullConsumer::commit_offset).
//!
//! ```
//! # use rocketmq_blocking::{Client, Message, embedded::Cluster};
//! # let cluster = Cluster::start()?;
//! # let client = Client::connect(cluster.name_server())?;
//! # client.producer("orders").start()?.send(Message::new("OrderTopic", "hello"))?;
//! use std::time::Duration;
//!
//! let consumer = client.pull_consumer("audit").start()?;
//! for queue in consumer.fetch_queues("OrderTopic")? {
//!     let offset = consumer.committed_offset(&queue)?.unwrap_or(0);
//!     let wait = Duration::from_millis(100);
//!     let found = consumer.prepare_pull(&queue, offset).filter("paid || refunded").max(16).wait(wait).fetch()?;
//!     for message in found.messages() {
//!         println!("{message}");
//!     }
//!     consumer.commit_offset(&queue, found.next_offset())?;
//! }
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Asking and answering
//!
//! [`Producer::request`] sends a message and waits for the reply that some consumer makes with [`MessageView::reply`];
//! [`Producer::request_async`] hands it to a callback. [`Producer::recall`] takes back a message that is to be delivered
//! later.
//!
//! # Topics, offsets and look-ups
//!
//! A client creates topics ([`Client::create_topic`]; with a [`TopicType`] and other options [`Client::prepare_topic`], a
//! [`PreparedTopic`]), lists queues ([`Client::publish_queues`],
//! [`Client::subscribe_queues`]), shows a topic's route ([`Client::topic_route`], a [`TopicRoute`] of [`BrokerRoute`]s), tells
//! offsets ([`Client::min_offset`], [`Client::max_offset`],
//! [`Client::search_offset`]) and finds messages by either id or by key ([`Client::view_message`],
//! [`Client::find_message`], [`Client::query_messages`], which gives a [`QueryResult`]). An [`OffsetMessageId`] says
//! where a broker stored a message.
//!
//! # Groups
//!
//! [`Client::admin`] gives an [`Admin`], who looks at consumer groups and moves them: how far each queue is and who has it
//! ([`GroupProgress`] of [`QueueProgress`]), who is connected and what the group wants ([`GroupMembers`] of [`GroupMember`]s and
//! [`GroupSubscription`]s), and other offsets ([`Admin::reset_group`] with [`ResetTo`], which gives a [`GroupReset`]).
//! Settings of groups are [`GroupConfig`]s; what became of a message in each group is a [`MessageTrack`]; users and what they may do
//! are [`User`]s and [`Acl`]s. What each broker keeps by itself comes [`OnBrokers`].
//!
//! # Administering
//!
//! The same [`Admin`] shows the brokers a name server knows ([`ClusterView`] of [`ClusterBroker`]s, each with its
//! [`BrokerRole`]), what they say of themselves ([`BrokerRuntime`], [`WorkQueue`]), count ([`BrokerCounter`],
//! [`CountedPeriod`]) and are set to ([`ServerConfig`], [`NameServerConfigs`]); a topic's settings ([`TopicConfigs`] of
//! [`TopicConfig`], [`StaticMapping`] of [`MappedPart`]s) and contents ([`TopicStats`] of [`QueueStats`]). It changes topics
//! ([`Admin::change_topic`], a [`TopicChange`]), deletes them, changes settings, keeps values at the name servers, and asks
//! servers anything else ([`Admin::request`], which gives an [`AdminResponse`]).
//!
//! # Message trace
//!
//! With [`ProducerBuilder::trace`] a producer records what became of each message, where RocketMQ's own tools find it
//! (`mqadmin queryMsgTraceById`, the dashboard). Records travel in the background, as messages of a topic that brokers have
//! when they are started with `traceTopicEnable=true`; trouble with them never delays or fails a send. See [`Trace`].
//!
//! # Closing
//!
//! Dropping the last handle closes, and so does `close`, from any thread and as often as you like: no more work is
//! taken, what is under way may finish, the brokers are told, threads and connections end. After it returns none is
//! left. `close_within` sets how long work may take to finish and returns a [`CloseReport`]. Closing a client closes
//! its producers and consumers. In a callback, which runs on one of the client's own threads, closing only signals and
//! does not wait. Whatever is used after it was closed fails with [`Error::Closed`].
//!
//! # Statistics
//!
//! [`Producer::stats`] returns [`ProducerStats`]: messages by outcome ([`Stored`] by status), retries, how long sends took
//! ([`Latency`]), what is in flight, the brokers that are avoided ([`BrokerStats`], [`BrokerState`]), and counts of what
//! else a producer does ([`BatchingStats`], [`TransactionStats`], [`RequestStats`], [`TraceStats`]). [`Client::stats`]
//! returns [`ClientStats`]: connections ([`ConnectionStats`], [`ConnectionState`]), bytes, timeouts, and answers nobody
//! waits for. [`PushConsumer::stats`] returns [`ConsumerStats`]: what became of messages, in all and by topic
//! ([`TopicConsumption`]), latencies, lag, threads ([`ThreadStats`]). All are plain values with a text for people; counting
//! costs a send about fifty instructions and no lock.
//!
//! # Testing without a server
//!
//! With the feature `embedded` the crate brings a RocketMQ cluster that lives in the memory of the process, starts in
//! milliseconds, and can be told to fail in many ways.
#![cfg_attr(feature = "embedded", doc = " See [`embedded`].")]
//!
//! ```
//! use rocketmq_blocking::embedded::Cluster;
//! use rocketmq_blocking::{Client, Message};
//!
//! let cluster = Cluster::start()?;
//! let client = Client::connect(cluster.name_server())?;
//! client.producer("orders").start()?.send(Message::new("OrderTopic", "hello"))?;
//! assert_eq!(cluster.stored("OrderTopic")[0].body_text(), Some("hello"));
//! # Ok::<(), rocketmq_blocking::Error>(())
//! ```
//!
//! # Logging
//!
//! Trouble in the background, such as a broker that cannot be reached, goes to the `log` crate's macros: once when it
//! begins and once when it ends. Secrets appear in no log, error or `Debug` output.
//!
//! # Features
//!
//! | feature | default | adds |
//! | --- | --- | --- |
//! | `acl` | yes | signed requests ([`Credentials`]): the crates hmac, sha1 and base64 |
//! | `embedded` | no | the module `embedded`; no further crates |
//! | `lz4` | no | bodies compressed with LZ4, in both directions ([`Compression`]): the crate lz4_flex, pure Rust |
//! | `tls` | no | encrypted connections (`Tls`): the crates rustls, with ring, which needs a C compiler, and rustls-native-certs |
//! | `zstd` | no | bodies compressed with Zstandard, in both directions: the crate zstd, which needs a C compiler |
//! | `cli` | no | the program `rmq`: clap, indicatif and ctrlc; and `embedded`, `lz4`, `tls` and `zstd` |
//!
//! The feature `bench` belongs to the crate's own benchmarks; what it opens may change at any time.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
// The models are of the connection: what stands on it is left out, which is most of the time that building takes.
#![cfg_attr(loom, allow(dead_code, unreachable_pub, unused_imports, reason = "nobody is there to use it"))]

#[cfg(not(loom))]
mod admin;
#[cfg(all(feature = "bench", not(loom)))]
#[doc(hidden)]
pub mod bench;
mod channel;
#[cfg(not(loom))]
mod client;
mod code;
#[cfg(not(loom))]
mod consumer;
#[cfg(test)]
mod effort;
#[cfg(all(feature = "embedded", not(loom)))]
#[cfg_attr(docsrs, doc(cfg(feature = "embedded")))]
pub mod embedded;
mod error;
#[cfg(all(any(fuzzing, test), feature = "embedded", not(loom)))]
#[doc(hidden)]
pub mod fuzz;
pub mod guide;
mod job_queue;
mod message;
#[cfg(not(loom))]
mod producer;
// Every header encodes and decodes: the client uses one side, the embedded cluster the other, tests and benches both.
#[cfg_attr(not(all(test, feature = "embedded")), allow(dead_code, reason = "a build without the server uses one side"))]
mod protocol;
mod remoting;
mod sorted;
mod thread;
#[cfg(not(loom))]
mod trace;

#[cfg(not(loom))]
pub use admin::{
    Acl, AclAction, AclDecision, AclPolicy, AclRule, Admin, AdminResponse, BrokerCounter, BrokerRole, BrokerRuntime,
    ClusterBroker, ClusterView, CountedPeriod, DirectConsumption, DirectOutcome, GroupConfig, GroupMember,
    GroupMembers, GroupOffsets, GroupProgress, GroupReset, GroupSubscription, KnownNames, MappedPart, MessageTrack,
    NameServerConfigs, OnBroker, OnBrokers, PlainAccount, PlainAccounts, ProducerGroups, QueueProgress, QueueStats,
    QueueTimeSpan, ResetTo, RetryPolicy, RunningMember, RunningPop, RunningQueue, RunningTopic, ServerConfig,
    StaticMapping, TimeSpanReport, TopicChange, TopicConfig, TopicConfigs, TopicStats, TrackStatus, User, UserStatus,
    UserType, WorkQueue,
};
#[cfg(all(feature = "tls", not(loom)))]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use client::Tls;
#[cfg(not(loom))]
pub use client::{
    BrokerRoute, Client, ClientBuilder, ClientStats, CloseReport, ConnectionState, ConnectionStats, Credentials,
    Latency, PreparedTopic, QueryResult, SendContext, SendHook, SendMode, SendResult, SendStatus, TopicRoute,
    TraceStats,
};
pub use code::{RequestCode, ResponseCode};
#[cfg(not(loom))]
pub use consumer::allocation;
#[cfg(not(loom))]
pub use consumer::{
    ConsumeContext, ConsumeFromWhere, ConsumeHook, ConsumeResult, ConsumerStats, Consumption, Filter, FilterHook,
    LitePullConsumer, LitePullConsumerBuilder, LocalFileOffsetStore, MessageModel, Messages, OffsetReset, OffsetStore,
    PreparedPull, ProcessQueue, PullAgain, PullConsumer, PullConsumerBuilder, PullResult, PullSchedule, PullStatus,
    PushConsumer, PushConsumerBuilder, ResetReason, SimpleConsumer, SimpleConsumerBuilder, Standing, ThreadStats,
    Threads, TopicConsumption,
};
pub use error::{Attempt, Error, Exhaustion, Limit, Outcome, QueueCommit, Result, Stage};
pub use message::{Message, MessageBuilder, MessageQueue, MessageView, OffsetMessageId, Properties, TopicType};
#[cfg(not(loom))]
pub use producer::{
    AutoBatch, BatchingStats, BrokerState, BrokerStats, PendingError, PendingSend, PreparedSend, Producer,
    ProducerBuilder, ProducerStats, RequestStats, SendError, Sendable, Stored, Transaction, TransactionProducer,
    TransactionProducerBuilder, TransactionResolution, TransactionSendResult, TransactionStats, select, split_batch,
};
#[cfg(not(loom))]
pub use trace::Trace;

pub use protocol::compress::Compression;
pub use protocol::rpc::assignment::MessageRequestMode;

#[cfg(test)]
pub(crate) use effort::{large_rounds, large_sampled, rounds, sampled};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the examples of the guide to testing.
#[cfg(doctest)]
#[doc = include_str!("../docs/testing.md")]
struct Testing;

/// Compiles the example of the guide for those who come from Java or Go.
#[cfg(doctest)]
#[doc = include_str!("../docs/migrating.md")]
struct Migrating;
