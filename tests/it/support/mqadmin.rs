use std::process::Command;

use super::{live_variable, unique};

/// Runs Apache's admin tool of the version under test, and returns what it prints. It takes seconds.
#[track_caller]
pub(crate) fn mqadmin(arguments: &[&str]) -> String {
    run(None, arguments)
}

/// The same as a user of a cluster that checks rights.
#[cfg(feature = "acl")]
#[track_caller]
pub(crate) fn mqadmin_as(access_key: &str, secret_key: &str, arguments: &[&str]) -> String {
    run(Some(format!("accessKey: {access_key}\nsecretKey: {secret_key}\n")), arguments)
}

#[track_caller]
fn run(credentials: Option<String>, arguments: &[&str]) -> String {
    let lib = live_variable("LIB").expect("ROCKETMQ_LIVE_LIB must name the folder of Apache's jars");
    // It ends at once when it cannot read how to log.
    let home = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("mqadmin"));
    std::fs::create_dir_all(home.join("conf")).expect("a folder for the test");
    let quiet = r#"<configuration><root level="OFF"/></configuration>"#;
    let logging = home.join("conf/logback_tools.xml");
    std::fs::write(&logging, quiet).expect("a file for the test");
    if let Some(credentials) = credentials {
        std::fs::write(home.join("conf/tools.yml"), credentials).expect("a file for the test");
    }
    let output = Command::new("java")
        .arg("-Xmx128m")
        .arg(format!("-Duser.home={}", home.display()))
        .arg(format!("-Drmq.logback.configurationFile={}", logging.display()))
        .args(["-cp", &format!("{lib}/*"), "org.apache.rocketmq.tools.command.MQAdminStartup"])
        .args(arguments)
        .env("ROCKETMQ_HOME", &home)
        .output()
        .expect("java runs where the live tier does");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}
