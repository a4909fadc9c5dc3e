use std::str::FromStr;

use rocketmq_blocking::PullConsumer;

use super::cursor::Cursor;
use crate::failure::Failure;

/// Where reading begins in each queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    First,
    Last,
    Offset(i64),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<From, Self::Err> {
        match text {
            "first" => Ok(From::First),
            "last" => Ok(From::Last),
            offset => match offset.parse() {
                Ok(offset @ 0..) => Ok(From::Offset(offset)),
                _ => Err("first, last, or an offset from 0 on is expected"),
            },
        }
    }
}

/// Makes a cursor for each queue of the topic. `None` begins where the group has committed, else at `new`.
pub(crate) fn cursors(
    consumer: &PullConsumer,
    topic: &str,
    from: Option<From>,
    new: From,
) -> Result<Vec<Cursor>, Failure> {
    let queues = consumer.fetch_queues(topic)?;
    let mut cursors = Vec::with_capacity(queues.len());
    for queue in queues {
        let committed = if from.is_none() { consumer.committed_offset(&queue)? } else { None };
        let offset = match (committed, from.unwrap_or(new)) {
            (Some(offset), _) | (None, From::Offset(offset)) => offset,
            (None, From::First) => consumer.min_offset(&queue)?,
            (None, From::Last) => consumer.max_offset(&queue)?,
        };
        cursors.push(Cursor::new(queue, offset));
    }
    Ok(cursors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_begins_at_an_end_or_an_offset() {
        let cases = [("first", From::First), ("last", From::Last), ("0", From::Offset(0)), ("17", From::Offset(17))];
        for (text, from) in cases {
            assert_eq!(text.parse(), Ok(from));
        }
        for wrong in ["", "-1", "First", "1.5", "middle"] {
            assert!(wrong.parse::<From>().is_err(), "{wrong}");
        }
    }
}
