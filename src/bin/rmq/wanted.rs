use clap::Args;
use rocketmq_blocking::Filter;

/// Which messages of a topic are wanted.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// Only messages with one of these tags: "a || b". [default: all]
    #[arg(long, short, value_name = "TAGS", conflicts_with = "sql")]
    expression: Option<String>,

    /// Only messages whose properties satisfy an SQL-92 condition: "amount > 10 AND region = 'north'". Brokers need
    /// enablePropertyFilter=true, and take a condition they cannot read for all messages.
    #[arg(long, value_name = "EXPR")]
    sql: Option<String>,
}

impl Wanted {
    pub(crate) fn filter(&self) -> Filter {
        match (&self.sql, &self.expression) {
            (Some(condition), _) => Filter::sql(condition.as_str()),
            (None, Some(tags)) => Filter::tag(tags),
            (None, None) => Filter::all(),
        }
    }
}
