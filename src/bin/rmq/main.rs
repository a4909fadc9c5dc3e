//! `rmq`: sends, reads, looks up and measures messages of a RocketMQ cluster, and runs an embedded one.
#![forbid(unsafe_code)]

mod acl;
mod address_map;
mod administer;
mod begin;
mod bench;
mod broker;
mod client_log;
mod cluster;
mod columns;
mod confirm;
mod consume;
mod credentials_file;
mod doctor;
mod duration;
mod failure;
mod group;
mod histogram;
mod interrupt;
mod keys;
mod message;
mod moment;
mod output;
mod producer;
mod producing;
mod progress;
mod pull;
mod recall;
mod reply;
mod request;
mod secret;
mod send;
mod table;
mod tail;
mod text;
mod tls;
mod topic;
mod usage;
mod wanted;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::output::Output;

/// Sends, reads, looks up and measures messages of an Apache RocketMQ cluster, and administers it.
///
/// Durations are written with a unit: 500ms, 3s, 2m, 1h. Sizes are in bytes.
///
/// Exit status:
///     0   all was done
///     1   something failed; what and why is on standard error
///     2   wrong usage
///   130   sending or measuring was interrupted before it was done
#[derive(Debug, Parser)]
#[command(name = "rmq", version, propagate_version = true, verbatim_doc_comment)]
struct Arguments {
    /// Print JSON, one object a line, instead of text for people.
    #[arg(long, global = true)]
    json: bool,

    /// Show on standard error what the client logs; twice: all of it.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Broker(broker::Broker),
    Send(send::Send),
    Pull(pull::Pull),
    Tail(tail::Tail),
    Consume(consume::Consume),
    Request(request::Request),
    Reply(reply::Reply),
    Recall(recall::Recall),
    #[command(subcommand)]
    Topic(topic::Topic),
    #[command(subcommand)]
    Message(message::Message),
    #[command(subcommand)]
    Group(group::Group),
    #[command(subcommand, name = "cluster")]
    Administer(administer::Administer),
    #[command(subcommand)]
    Producer(producer::Producer),
    #[command(subcommand)]
    Acl(acl::Acl),
    #[command(subcommand)]
    Bench(bench::Bench),
    Doctor(doctor::Doctor),
}

fn main() -> ExitCode {
    let Arguments { json, verbose, command } = Arguments::parse();
    client_log::show(verbose);
    let mut output = Output::new(json);
    let done = match command {
        Command::Broker(broker) => broker.run(&mut output),
        Command::Send(send) => send.run(&mut output),
        Command::Tail(tail) => tail.run(&mut output),
        Command::Pull(pull) => pull.run(&mut output),
        Command::Consume(consume) => consume.run(&mut output),
        Command::Request(request) => request.run(&mut output),
        Command::Reply(reply) => reply.run(&mut output),
        Command::Recall(recall) => recall.run(&mut output),
        Command::Topic(topic) => topic.run(&mut output),
        Command::Message(message) => message.run(&mut output),
        Command::Group(group) => group.run(&mut output),
        Command::Producer(producer) => producer.run(&mut output),
        Command::Acl(acl) => acl.run(&mut output),
        Command::Administer(administer) => administer.run(&mut output),
        Command::Bench(bench) => bench.run(&mut output),
        Command::Doctor(doctor) => doctor.run(&mut output),
    };
    match done.and_then(|()| output.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
