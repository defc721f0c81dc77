//! A host whose services are processes of the caller.

use crate::conformance;
use host_exec::{
    Command, File, Host, ProcessHost,
    poll::{self, Attempt, Wait},
    systemd::{self, UnitName, UnitState},
};
use std::{convert::Infallible, net::TcpListener, path::Path, time::Duration};

/// A service that writes a word of its environment and its argument, and then lives on.
const UNIT: &str = "[Service]\nType=notify\nEnvironmentFile=/etc/say.env\nExecStart=/bin/sh /etc/say.sh \\\n  there\n";
const SCRIPT: &str = "echo $HELLO $1\nexec sleep 60\n";

fn unit() -> UnitName {
    "say.service".parse().unwrap()
}

/// `ExecStart=` names real paths, so the script's is put there.
async fn prepare(host: &ProcessHost, directory: &Path) {
    let script = directory.join("etc/say.sh");
    let text = UNIT.replace("/etc/say.sh", &script.display().to_string());
    let files = [
        File::public("/etc/systemd/system/say.service", text),
        File::public("/etc/say.env", "HELLO=hello\n"),
        File::public(script, SCRIPT),
    ];
    for file in &files {
        host.write_file(file).await.unwrap();
    }
}

async fn state(host: &ProcessHost) -> UnitState {
    let mut states = systemd::states(host, &[unit()]).await.unwrap();
    states.remove(&unit()).unwrap()
}

async fn wait_for(what: &str, look: impl AsyncFn() -> bool) {
    let look = async || {
        Ok::<_, Infallible>(match look().await {
            true => Attempt::Ready(()),
            false => Attempt::NotYet("not yet".into()),
        })
    };
    let wait = Wait::new(what, Duration::from_secs(20));
    poll::until(&wait, look).await.unwrap();
}

#[tokio::test]
async fn a_service_is_a_process_from_start_to_stop() {
    let directory = tempfile::tempdir().unwrap();
    let host = ProcessHost::new("here".parse().unwrap(), directory.path());
    assert_eq!(state(&host).await.load, "not-found");
    let missing = systemd::start(&host, &[unit()]).await.unwrap_err();
    assert!(missing.to_string().contains("say.service"), "{missing}");

    prepare(&host, directory.path()).await;
    assert!(!state(&host).await.is_up());
    systemd::start(&host, &[unit()]).await.unwrap();
    systemd::enable(&host, &[unit()]).await.unwrap();
    let up = state(&host).await;
    assert!(up.is_up() && up.is_enabled(), "{up}");
    let log = directory.path().join("var/log/say.log");
    wait_for("its word", async || {
        std::fs::read_to_string(&log).is_ok_and(|text| text == "hello there\n")
    })
    .await;

    systemd::start(&host, &[unit()]).await.unwrap();
    systemd::stop(&host, &[unit()]).await.unwrap();
    let down = state(&host).await;
    assert_eq!(
        (down.active.as_str(), down.result.as_str()),
        ("inactive", "success")
    );
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        "hello there\n",
        "started once"
    );
}

#[tokio::test]
async fn a_service_that_ends_by_itself_has_failed_and_can_be_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let host = ProcessHost::new("here".parse().unwrap(), directory.path());
    let unit_file = |program: &str| {
        let text = format!("[Service]\nExecStart={program}\n");
        File::public("/etc/systemd/system/say.service", text)
    };
    host.write_file(&unit_file("/bin/false")).await.unwrap();
    systemd::start(&host, &[unit()]).await.unwrap();
    wait_for("its end", async || state(&host).await.active == "failed").await;
    assert_eq!(state(&host).await.result, "exit-code");
    host.write_file(&unit_file("/bin/sleep 60")).await.unwrap();
    systemd::restart(&host, &[unit()]).await.unwrap();
    assert!(state(&host).await.is_up());
}

#[tokio::test]
async fn a_service_that_is_killed_is_gone_at_once_and_stays_down() {
    let directory = tempfile::tempdir().unwrap();
    let host = ProcessHost::new("here".parse().unwrap(), directory.path());
    host.kill(&unit()).await.expect("there is none");
    assert_eq!(host.process_id(&unit()).await, None);
    let text = "[Service]\nExecStart=/bin/sleep 60\n";
    let file = File::public("/etc/systemd/system/say.service", text);
    host.write_file(&file).await.unwrap();
    systemd::start(&host, &[unit()]).await.unwrap();
    assert!(state(&host).await.is_up());
    let process = host.process_id(&unit()).await.unwrap();
    let here = std::path::PathBuf::from(format!("/proc/{process}"));
    assert!(here.exists());
    host.kill(&unit()).await.unwrap();
    assert!(!here.exists());
    assert_eq!(host.process_id(&unit()).await, None);
    let killed = state(&host).await;
    assert_eq!(
        (killed.active.as_str(), killed.result.as_str()),
        ("failed", "signal")
    );
    host.kill(&unit()).await.expect("it has ended");
    systemd::start(&host, &[unit()]).await.unwrap();
    assert!(state(&host).await.is_up());
}

#[tokio::test]
async fn keeps_the_promises_of_a_host() {
    let directory = tempfile::tempdir().unwrap();
    let host = ProcessHost::new("here".parse().unwrap(), directory.path());
    conformance::check(&host, directory.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    conformance::check_dial(&host, listener, address).await;
}

#[tokio::test]
async fn files_are_kept_below_the_directory_and_programs_see_this_machine() {
    let directory = tempfile::tempdir().unwrap();
    let host = ProcessHost::new("here".parse().unwrap(), directory.path());
    let file = File::secret("/etc/x/key", "secret");
    host.write_file(&file).await.unwrap();
    let real = directory.path().join("etc/x/key");
    assert_eq!(std::fs::read(&real).unwrap(), b"secret");
    assert_eq!(host.read_file(&real).await.unwrap().unwrap(), b"secret");
    assert_eq!(host.file_mode(&file.path).await.unwrap(), Some(file.mode));
    host.remove_file(&file.path).await.unwrap();
    assert_eq!(host.read_file(&file.path).await.unwrap(), None);
    let output = host.run(&Command::new("uname")).await.unwrap();
    assert!(!output.stdout.is_empty());
}
