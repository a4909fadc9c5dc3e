use std::time::Duration;

use clap::Args;
use rocketmq_blocking::{Error, Filter, MessageView, Producer};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::failure::{Failure, complain, explain};
use crate::interrupt::Interrupt;
use crate::output::{Output, Received};
use crate::pull::start::{self, From};
use crate::pull::{Cursor, Read, Sink};
use crate::text;

/// Characters of a body that are shown for people.
const SHOWN: usize = 200;

/// Nobody waits for longer.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Answer requests to a topic with their own body, until interrupted.
///
/// It reads all queues of the topic, and commits for the group what it has read. A line has the id of the request and its
/// body. Messages that ask for no reply are passed over.
#[derive(Debug, Args)]
pub(crate) struct Reply {
    /// Topic of the requests. It must exist.
    #[arg(long, short)]
    topic: String,

    /// Consumer group, whose committed offsets are read and written, and producer group.
    #[arg(long, short, default_value = "rmq-reply")]
    group: String,

    /// Where to begin in each queue: at its first message, behind its last, or at an offset. [default: where the group
    /// has committed, else last]
    #[arg(long, value_name = "first|last|OFFSET")]
    from: Option<From>,

    /// End after so many replies.
    #[arg(long, short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Put this before the body.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    prefix: String,

    #[command(flatten)]
    cluster: Cluster,
}

impl Reply {
    pub(crate) fn run(&self, output: &mut Output) -> Result<(), Failure> {
        let interrupt = Interrupt::listen()?;
        let client = self.cluster.connect()?;
        let producer = client.producer(self.group.as_str()).start()?;
        // One pull of each queue may be under way.
        let consumer = client.pull_consumer(self.group.as_str()).window(65_536).start()?;
        let mut cursors = start::cursors(&consumer, &self.topic, self.from, From::Last)?;
        complain(&format!("answering requests to {} as {}; interrupt to end", self.topic, self.group));
        let read = Read {
            consumer: &consumer,
            filter: Filter::all(),
            wait: FOR_EVER,
            commit: true,
            interrupt: &interrupt,
            follow: None,
        };
        let mut desk =
            Desk { output, producer: &producer, prefix: &self.prefix, limit: self.count, replied: 0, failed: 0 };
        let done = read
            .run(&mut cursors, &mut desk)
            .and_then(|()| cursors.iter_mut().try_for_each(|cursor| cursor.commit(&consumer)));
        let (replied, failed) = (desk.replied, desk.failed);
        consumer.close()?;
        producer.close()?;
        client.close()?;
        done?;
        if !output.json() {
            complain(&format!("{} answered", text::counted(replied, "request")));
        }
        if failed > 0 || cursors.iter().any(Cursor::has_failed) { Err(Failure::Reported) } else { Ok(()) }
    }
}

/// Where requests are answered.
#[derive(Debug)]
struct Desk<'a> {
    output: &'a mut Output,
    producer: &'a Producer,
    prefix: &'a str,
    limit: Option<u64>,
    replied: u64,
    failed: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(flatten)]
    request: Received<'a>,
    reply_size: usize,
}

impl Sink for Desk<'_> {
    fn take(&mut self, request: &MessageView) -> Result<(), Failure> {
        if !request.expects_reply() {
            return Ok(());
        }
        match self.answer(request) {
            Ok(reply_size) => {
                self.replied += 1;
                let answered = Answered { request: Received::of(request), reply_size };
                self.output
                    .line(&answered, || format!("{}  {}", request.message_id(), text::body(request.body(), SHOWN)))
            }
            Err(error) => {
                self.failed += 1;
                complain(&format!("request {} unanswered: {}", request.message_id(), explain(&error)));
                Ok(())
            }
        }
    }

    fn count(&self) -> u64 {
        self.replied
    }

    fn limit(&self) -> Option<u64> {
        self.limit
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.output.flush()
    }
}

impl Desk<'_> {
    /// Sends the reply, and returns the size of its body.
    fn answer(&self, request: &MessageView) -> Result<usize, Error> {
        request.check_body()?;
        let body = [self.prefix.as_bytes(), request.body()].concat();
        let size = body.len();
        self.producer.send(request.reply(body)?)?;
        Ok(size)
    }
}
