use arbitrary::Arbitrary;
use rocketmq_blocking::embedded::Fault;
use rocketmq_blocking::{RequestCode, ResponseCode};

use super::millis;

/// What happens, step by step.
#[derive(Debug, Arbitrary)]
pub struct Script {
    pub(super) two_brokers: bool,
    pub(super) binary_headers: bool,
    /// Whether the servers are well again before the client is closed.
    pub(super) heal: bool,
    steps: Vec<Step>,
}

impl Script {
    /// The steps; no more than a run has time for.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().take(12)
    }
}

#[derive(Debug, Arbitrary)]
pub(super) enum Step {
    Call(Call),
    Deed(Server, Deed),
    Pause(u8),
    Push(Push),
    Lite(Lite),
    Transaction(Ending),
}

/// What is done to a consumer that is handed its messages.
#[derive(Debug, Arbitrary)]
pub(super) enum Push {
    /// The listener fails this often before it succeeds.
    Start {
        orderly: bool,
        failures: u8,
    },
    Suspend,
    Resume,
    Unsubscribe,
    Queues,
    Close,
}

/// What is done to a consumer that polls.
#[derive(Debug, Arbitrary)]
pub(super) enum Lite {
    Poll(Limit),
    Start { assigned: bool, auto_commit: bool, queue: u8 },
    SeekToBegin { queue: u8 },
    Seek { queue: u8, offset: u8 },
    Commit,
    Close,
}

impl Lite {
    /// The queue it is about, if it is about one.
    pub(super) fn queue(&self) -> u8 {
        match self {
            Lite::Start { queue, .. } | Lite::SeekToBegin { queue } | Lite::Seek { queue, .. } => *queue,
            Lite::Poll(_) | Lite::Commit | Lite::Close => 0,
        }
    }
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Ending {
    Commit,
    Rollback,
    /// The broker asks, and is told this.
    Asked {
        commit: bool,
    },
    /// Nobody ever knows.
    Open,
    CommitInClosure,
    RollbackInClosure,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Server {
    Name,
    First,
    Last,
}

/// What is done to a server.
#[derive(Debug, Arbitrary)]
pub(super) enum Deed {
    Fault(Mishap),
    Kill,
    Restart,
    Disconnect,
    GoAway,
    Refuse,
    NeverAccept,
    StopReading,
    ResumeReading,
    ClearFaults,
}

/// What the client is asked for, and within which time.
#[derive(Debug, Arbitrary)]
pub(super) enum Call {
    Send { way: Way, limit: Limit, queue: Option<u8>, size: u16 },
    Batch { limit: Limit, count: u8 },
    Pull { in_background: bool, limit: Limit, queue: u8, offset: u8, hold: bool },
    Commit { queue: u8, offset: u8, oneway: bool },
    Committed { queue: u8 },
    Offsets { queue: u8, of_time: bool },
    Queues,
    Close,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Way {
    Waiting,
    Callback,
    Pending,
    Oneway,
}

/// 20 to 275 ms.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) struct Limit(u8);

impl Limit {
    pub(super) fn time(self) -> std::time::Duration {
        millis(20 + u64::from(self.0))
    }
}

/// A fault, and which requests it picks.
#[derive(Debug, Arbitrary)]
pub(super) struct Mishap {
    kind: MishapKind,
    on: Option<On>,
    after: u8,
    times: u8,
}

#[derive(Debug, Arbitrary)]
enum MishapKind {
    Error(Refusal),
    ErrorAfter(Refusal),
    GoAway,
    Delay(u8),
    DropReply,
    NeverAnswer,
    Duplicate,
    Disconnect,
    Cut(u16),
    Half,
    ByteByByte,
    Garbage(Vec<u8>),
    Oversized,
    WrongOpaque,
    OtherConnection,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Refusal {
    Busy,
    Failed,
    Unsupported,
    NoPermission,
    NotFound,
    Unknown(i32),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum On {
    Send,
    Batch,
    Pull,
    Route,
    Heartbeat,
    Commit,
    Committed,
    MaxOffset,
    Unregister,
    Lock,
    Members,
    End,
}

impl Mishap {
    pub(super) fn fault(&self) -> Fault {
        let fault = match &self.kind {
            MishapKind::Error(refusal) => Fault::error(refusal.code(), "refused"),
            MishapKind::ErrorAfter(refusal) => Fault::error_after(refusal.code(), "refused"),
            MishapKind::GoAway => Fault::go_away(),
            MishapKind::Delay(by) => Fault::delay(millis(u64::from(*by))),
            MishapKind::DropReply => Fault::drop_reply(),
            MishapKind::NeverAnswer => Fault::never_answer(),
            MishapKind::Duplicate => Fault::duplicate_reply(),
            MishapKind::Disconnect => Fault::disconnect(),
            MishapKind::Cut(bytes) => Fault::cut(usize::from(*bytes)),
            MishapKind::Half => Fault::half_reply(),
            MishapKind::ByteByByte => Fault::byte_by_byte(),
            MishapKind::Garbage(bytes) => Fault::garbage(bytes.clone()),
            MishapKind::Oversized => Fault::oversized(),
            MishapKind::WrongOpaque => Fault::wrong_opaque(),
            MishapKind::OtherConnection => Fault::other_connection(),
        };
        let fault = fault.after(usize::from(self.after % 4)).times(1 + usize::from(self.times % 4));
        match self.on {
            Some(on) => fault.on(on.code()),
            None => fault,
        }
    }
}

impl Refusal {
    /// Never success: a message would be acknowledged that was not stored.
    fn code(self) -> ResponseCode {
        match self {
            Refusal::Busy => ResponseCode::SYSTEM_BUSY,
            Refusal::Failed => ResponseCode::SYSTEM_ERROR,
            Refusal::Unsupported => ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
            Refusal::NoPermission => ResponseCode::NO_PERMISSION,
            Refusal::NotFound => ResponseCode::TOPIC_NOT_EXIST,
            // 10 to 12 say that a message is stored, only not everywhere.
            Refusal::Unknown(code) => ResponseCode(if [0, 10, 11, 12].contains(&code) { 1 } else { code }),
        }
    }
}

impl On {
    fn code(self) -> RequestCode {
        match self {
            On::Send => RequestCode::SEND_MESSAGE_V2,
            On::Batch => RequestCode::SEND_BATCH_MESSAGE,
            On::Pull => RequestCode::PULL_MESSAGE,
            On::Route => RequestCode::GET_ROUTEINFO_BY_TOPIC,
            On::Heartbeat => RequestCode::HEART_BEAT,
            On::Commit => RequestCode::UPDATE_CONSUMER_OFFSET,
            On::Committed => RequestCode::QUERY_CONSUMER_OFFSET,
            On::MaxOffset => RequestCode::GET_MAX_OFFSET,
            On::Unregister => RequestCode::UNREGISTER_CLIENT,
            On::Lock => RequestCode::LOCK_BATCH_MQ,
            On::Members => RequestCode::GET_CONSUMER_LIST_BY_GROUP,
            On::End => RequestCode::END_TRANSACTION,
        }
    }
}
