//! From one minor of Kubernetes to the next, while an application answers.

use crate::{
    http,
    lab::Scene,
    work::{Web, versions},
};
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Both are made by `./lab test` before it begins.
const OLD: &str = "1.36.3";
const NEW: &str = "1.37.2";
/// How long the application may fail to answer: the moment in which a pod that ends is still somebody's target.
const LONGEST_SILENCE: Duration = Duration::from_secs(1);
/// Two seconds between the end of a pod as an endpoint and the signal to its program (KEP-3960).
const ENDS_SLOWLY: &str = r#"{"spec": {"template": {"spec": {"containers": [
    {"name": "web", "lifecycle": {"preStop": {"sleep": {"seconds": 2}}}}
]}}}}"#;
/// A kubelet that starts with the old version only.
const BREAK: &str = "mkdir -p /etc/systemd/system/kubelet.service.d && \
    printf '[Service]\\nExecStartPre=/bin/grep -q /opt/lab/bin/kubelet /etc/systemd/system/kubelet.service\\n' \
    >/etc/systemd/system/kubelet.service.d/broken.conf && systemctl daemon-reload";
const MEND: &str = "rm -r /etc/systemd/system/kubelet.service.d && systemctl daemon-reload";

#[test]
#[ignore = "needs root and the programs of Kubernetes 1.36"]
fn a_running_lab_is_upgraded() {
    let scene = Scene::new();
    let lab = scene.lab("t-upgr");
    lab.up(&["--kubernetes", OLD, "--workers", "2"]);
    let web = Web::deploy(&lab);
    // As an application has to be that is moved under load: a pod that ends still answers those who have not heard of it.
    lab.kubectl(&["patch", "deployment", "web", "--patch", ENDS_SLOWLY]);
    lab.kubectl(&["rollout", "status", "deployment", "web", "--timeout=120s"]);
    lab.apply("web-budget.yaml");
    let plan = lab.json(&["upgrade", "--to", NEW, "--dry-run"]);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 5, "{plan}");
    let client = Client::start(web.node_port("cp-0"));

    // A step that fails is taken back, and the others stay.
    lab.ok(&["exec", "worker-1", "--", "sh", "-c", BREAK]);
    let failed = lab.run(&["upgrade", "--to", NEW]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for words in ["worker-1", "was taken back", "its kubelet is v1.36.3"] {
        assert!(failed.err.contains(words), "{words}: {failed:?}");
    }
    let expected = [("cp-0", NEW), ("worker-0", NEW), ("worker-1", OLD)];
    assert_eq!(versions(&lab), expected.map(of).into());
    assert_eq!(
        lab.get(&["node", "worker-1"])["spec"]["unschedulable"],
        Value::Null
    );
    lab.up(&[]).changed_nothing();
    let refused = lab.run(&["up", "--workers", "3"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    lab.ok(&["exec", "worker-1", "--", "sh", "-c", MEND]);

    // Killed while a node is drained, the next goes on.
    let mut run = lab.start(&["upgrade", "--to", NEW, "--output", "json"]);
    let drained = run.event(|event| event.machine == "worker-1" && event.step == "drain");
    assert!(drained.is_some(), "{:?}", run.kill());
    run.kill();
    let began = Instant::now();
    lab.ok(&["upgrade", "--to", NEW]);
    eprintln!(
        "the rest of the upgrade took {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let expected = [("cp-0", NEW), ("worker-0", NEW), ("worker-1", NEW)];
    assert_eq!(versions(&lab), expected.map(of).into());
    client.end();

    web.wait_ready();
    lab.check();
    let text = lab.ok(&["upgrade", "--to", NEW]);
    assert!(text.contains("nothing to do"), "{text}");
    lab.up(&[]).changed_nothing();
    let back = lab.run(&["upgrade", "--to", OLD]);
    assert!(back.err.contains("Kubernetes cannot go back"), "{back:?}");
    // A machine made after the upgrade is of the new version too, as is one that boots again.
    lab.up(&["--workers", "3"]);
    assert_eq!(versions(&lab)["worker-2"], format!("v{NEW}"));
    lab.down();
    scene.nothing_is_left();
}

fn of((node, version): (&str, &str)) -> (String, String) {
    (node.to_owned(), format!("v{version}"))
}

/// Somebody who asks the application all the time.
struct Client {
    ends: Arc<AtomicBool>,
    asks: JoinHandle<Vec<(Instant, bool)>>,
}

impl Client {
    fn start(address: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let asks = thread::spawn(move || {
            let mut answers = Vec::new();
            while !told.load(Ordering::Relaxed) {
                answers.push((Instant::now(), http::get(address, "/").is_ok()));
                thread::park_timeout(Duration::from_millis(20));
            }
            answers
        });
        Self { ends, asks }
    }

    /// Demands that the application has answered throughout.
    #[track_caller]
    fn end(self) {
        self.ends.store(true, Ordering::Relaxed);
        let answers = self.asks.join().unwrap();
        let failed = answers.iter().filter(|(_, ok)| !ok).count();
        let mut good = answers.iter().filter(|(_, ok)| *ok);
        let mut last = good.next().unwrap().0;
        let silence = good.map(|(at, _)| at.duration_since(std::mem::replace(&mut last, *at)));
        let silence = silence.max().unwrap();
        eprintln!(
            "upgrade: {failed} of {} requests failed, the longest silence was {:.2} s",
            answers.len(),
            silence.as_secs_f64()
        );
        assert!(answers.len() > 200, "too few requests to prove anything");
        assert!(silence <= LONGEST_SILENCE, "{silence:?}");
    }
}
