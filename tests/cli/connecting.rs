//! The flags that all commands share.

use std::fs;
use std::path::PathBuf;

use crate::program::{Cluster, Ended, Running, rmq, unique};

/// A file in the folder for temporary ones, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn file(text: &str, mode: u32) -> Scratch {
        let path = std::env::temp_dir().join(unique("Keys"));
        fs::write(&path, text).expect("a file can be written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its permissions can be set");
        }
        Scratch(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path that is text")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn send(cluster: &Cluster, more: &[&str]) -> Ended {
    cluster.run(&[&["send", "--topic", "T", "--body", "x"], more].concat())
}

#[cfg(feature = "acl")]
#[test]
fn keys_come_from_a_file_that_others_cannot_read() {
    let cluster = Cluster::embedded(&["--access-key", "who", "--secret-key", "hush-hush"]);
    for text in ["accessKey: who\nsecretKey: hush-hush\n", "ROCKETMQ_ACCESS_KEY=who\nROCKETMQ_SECRET_KEY='hush-hush'\n"]
    {
        let file = Scratch::file(text, 0o600);
        let ended = send(&cluster, &["--credentials-file", file.path()]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let refused = [
        (Scratch::file("accessKey: who\nsecretKey: hush-wrong\n", 0o600), "signature"),
        (Scratch::file("accessKey: who\n", 0o600), "no secret key in the file"),
        (Scratch::file("# nothing\n", 0o600), "has no keys"),
        (Scratch::file("accessKey: who\nhush\n", 0o600), "line 2"),
        #[cfg(unix)]
        (Scratch::file("accessKey: who\nsecretKey: hush-hush\n", 0o644), "chmod 600"),
    ];
    for (file, why) in refused {
        let ended = send(&cluster, &["--credentials-file", file.path()]);
        assert_ne!(ended.status, Some(0), "{why}");
        assert!(ended.stderr.contains(why) && !ended.stderr.contains("hush"), "{why}: {}", ended.stderr);
    }
    let missing = send(&cluster, &["--credentials-file", "/nowhere/keys"]);
    assert!(missing.status == Some(1) && missing.stderr.contains("/nowhere/keys"), "{}", missing.stderr);
}

#[cfg(feature = "acl")]
#[test]
fn a_file_that_was_named_wins_over_the_environment() {
    let cluster = Cluster::embedded(&["--access-key", "who", "--secret-key", "hush-hush"]);
    let file = Scratch::file("accessKey: who\nsecretKey: hush-hush\n", 0o600);
    let mut command = cluster.command(&["send", "--topic", "T", "--body", "x", "--credentials-file", file.path()]);
    command.env("ROCKETMQ_ACCESS_KEY", "other").env("ROCKETMQ_SECRET_KEY", "hush-other");
    let ended = Running::start(command).end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn wrong_use_of_the_shared_flags_exits_with_2_and_shows_no_secret() {
    let cluster = Cluster::at("127.0.0.1:1");
    for wrong in [
        &["--secret-key", "hush"][..],
        &["--access-key", "who"],
        &["--secretkey", "hush"],
        &["--secret-key", "hush", "--credentials-file", "f"],
        &["--access-key", "who", "--secret-key", "hush", "--security-token"],
        &["--address-map", "10.0.0.5"],
        &["--address-map", "10.0.0.5:x=127.0.0.1"],
    ] {
        let ended = send(&cluster, wrong);
        assert_eq!(ended.status, Some(2), "{wrong:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("hush"), "{wrong:?}: {}", ended.stderr);
    }
    let mut help = rmq(&["send", "--help"]);
    for name in ["ROCKETMQ_ACCESS_KEY", "ROCKETMQ_SECRET_KEY", "ROCKETMQ_SECURITY_TOKEN"] {
        help.env(name, "hush");
    }
    let help = Running::start(help).end().stdout;
    assert!(help.contains("[env: ROCKETMQ_SECURITY_TOKEN]") && !help.contains("hush"), "{help}");
}

#[test]
fn a_broker_is_reached_at_the_address_it_is_mapped_to() {
    let cluster = Cluster::embedded(&["--topic", "T:1"]);
    let route = cluster.objects(&["topic", "route", "T"]).remove(0);
    let advertised = route["brokers"][0]["addresses"]["0"].as_str().expect("an address").to_owned();
    let mapped = |to: &str| send(&cluster, &["--address-map", &format!("{advertised}={to}"), "--timeout", "1s"]);
    let nowhere = mapped("127.0.0.1:1");
    assert!(nowhere.status == Some(1) && nowhere.stderr.contains("127.0.0.1:1"), "{}", nowhere.stderr);
    let port = advertised.rsplit(':').next().expect("a port");
    let reached = mapped(&format!("localhost:{port}"));
    assert_eq!(reached.status, Some(0), "{}", reached.stderr);
}
