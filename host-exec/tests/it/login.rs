//! Logins that are refused, by us or by the host: each says what to do.

use crate::sshd::Sshd;
use host_exec::{
    Command, ControlDirectory, Host, LocalHost, LoginRefusal, RunError, RunErrorKind, SshHost, poll,
};
use std::{fs, path::Path, process::Stdio};

/// The key that the server shows: its kind and fingerprint.
async fn shown_key(sshd: &Sshd) -> String {
    let here = LocalHost::new("here".parse().unwrap());
    let key = sshd.dir.path().join("host.pub");
    let keygen = Command::new("ssh-keygen").args(["-lf", key.to_str().unwrap()]);
    let line = here.run(&keygen).await.unwrap().stdout_text().into_owned();
    format!("ssh-ed25519 {}", line.split(' ').nth(1).unwrap())
}

async fn refusal(host: &SshHost) -> LoginRefusal {
    let error = host.output(&Command::new("true")).await.unwrap_err();
    let RunErrorKind::Refused(refusal) = *error.kind else {
        panic!("{error}")
    };
    refusal
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn host_keys_are_never_blindly_accepted() {
    let sshd = Sshd::start().await;
    let (key, dir) = (shown_key(&sshd).await, sshd.dir.path());
    let address = format!("[127.0.0.1]:{}", sshd.port);
    let file = |name: &str| dir.join(name).display().to_string();

    // A user whose configuration takes every key: not for us.
    let config = format!(
        "StrictHostKeyChecking no\nUserKnownHostsFile {}\nGlobalKnownHostsFile none\n\
         NoHostAuthenticationForLocalhost yes\nIdentityFile {}\n",
        file("nobody"),
        file("user")
    );
    fs::write(dir.join("config"), config).unwrap();
    let theirs = sshd.plain_host().with_config_file(file("config"));
    let by_hand = format!("ssh -F {} -p {} 127.0.0.1", file("config"), sshd.port);
    let expected = LoginRefusal::UnknownHostKey {
        address: address.clone(),
        shown: key.clone(),
        by_hand,
    };
    assert_eq!(refusal(&theirs).await, expected);
    assert!(!dir.join("nobody").exists(), "the key was written down");

    // Only the file that was named counts.
    fs::copy(dir.join("known_hosts"), dir.join("nobody")).unwrap();
    theirs.run(&Command::new("true")).await.unwrap();
    theirs.disconnect().await.unwrap();
    fs::write(dir.join("empty"), "").unwrap();
    let expected = LoginRefusal::ForeignHostKey {
        address: address.clone(),
        shown: key.clone(),
        file: file("empty").into(),
    };
    let pinned = theirs.with_known_hosts_file(file("empty"));
    assert_eq!(refusal(&pinned).await, expected);

    let other = fs::read_to_string(dir.join("other.pub")).unwrap();
    fs::write(dir.join("changed"), format!("# lab\n{address} {other}")).unwrap();
    let expected = LoginRefusal::ChangedHostKey {
        address,
        shown: key,
        at: file("changed") + ":2",
    };
    let changed = sshd.host_with("user", "changed");
    assert_eq!(refusal(&changed).await, expected);
    let error = changed.output(&Command::new("true")).await.unwrap_err();
    assert!(error.to_string().contains("has CHANGED"), "{error}");
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_host_key_can_be_known_by_another_name() {
    let sshd = Sshd::start().await;
    let key = fs::read_to_string(sshd.dir.path().join("host.pub")).unwrap();
    fs::write(sshd.dir.path().join("named"), format!("cp-0 {key}")).unwrap();
    let host = sshd.host_with("user", "named");
    assert!(matches!(
        refusal(&host).await,
        LoginRefusal::ForeignHostKey { .. }
    ));
    let host = host.with_host_key_alias("cp-0".parse().unwrap());
    host.run(&Command::new("true")).await.unwrap();
    host.disconnect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs sshd"]
async fn a_user_who_is_not_let_in_is_named() {
    let sshd = Sshd::start().await;
    let refused = refusal(&sshd.host_with("other", "known_hosts")).await;
    let said = refused.to_string();
    let LoginRefusal::PermissionDenied {
        user,
        address,
        methods,
    } = refused
    else {
        panic!("{refused}")
    };
    let here = LocalHost::new("here".parse().unwrap());
    let me = here.run(&Command::new("id").arg("-un")).await.unwrap();
    assert_eq!(user, me.stdout_text().trim_end());
    assert_eq!((&*address, &*methods), ("127.0.0.1", "publickey"));
    assert!(
        said.contains("ssh-add") && said.contains("PermitRootLogin"),
        "{said}"
    );
}

#[tokio::test]
async fn paths_that_ssh_would_expand_are_refused() {
    for bad in ["/tmp/%h", "/tmp/${HOME}", "key", "/tmp/a\"b", "/tmp/a\nb"] {
        let host = SshHost::new(
            "far".parse().unwrap(),
            "192.0.2.1".parse().unwrap(),
            ControlDirectory::new("/tmp/lab-never-made").unwrap(),
        );
        for host in [
            host.clone().with_identity_file(bad),
            host.clone().with_known_hosts_file(bad),
            host.clone().with_config_file(bad),
        ] {
            let error = host.output(&Command::new("true")).await.unwrap_err();
            let said = error.to_string();
            assert!(said.contains("which ssh would expand"), "{said}");
        }
    }
    assert!(!std::path::Path::new("/tmp/lab-never-made").exists());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn a_host_through_another_is_no_way_around_the_host_keys() {
    let (outer, inner) = (Sshd::start().await, Sshd::start().await);
    fs::write(outer.dir.path().join("empty"), "").unwrap();
    let jump = outer.host_with("user", "empty");
    let host = inner.host().through(&jump);
    assert!(matches!(
        refusal(&host).await,
        LoginRefusal::ForeignHostKey { file, .. } if file == outer.dir.path().join("empty")
    ));
    let host = inner.host().through(&outer.host());
    let foreign = host.with_known_hosts_file(outer.dir.path().join("empty"));
    assert!(matches!(
        refusal(&foreign).await,
        LoginRefusal::ForeignHostKey { .. }
    ));
    outer.host().disconnect().await.unwrap();
}

/// An agent that ends with this value.
struct Agent(std::process::Child);

impl Agent {
    #[expect(clippy::disallowed_methods, reason = "it has to outlive one call")]
    async fn start(socket: &Path, key: &Path) -> Self {
        let child = std::process::Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self(child);
        let here = LocalHost::new("here".parse().unwrap());
        let add = Command::new("ssh-add").args(["-q", key.to_str().unwrap()]);
        let add = add.env("SSH_AUTH_SOCK", socket.to_str().unwrap());
        let wait = poll::Wait::new("key in the agent", crate::LONG);
        let added = poll::until(&wait, || async {
            let output = here.output(&add).await?;
            Ok::<_, RunError>(match output.status.success() {
                true => poll::Attempt::Ready(()),
                false => poll::Attempt::NotYet(output.stderr_text().into_owned()),
            })
        });
        added.await.unwrap();
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An alias, a key that only the agent has, a jump host, forwardings and a remote command: the first three count,
/// the others are not for us.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs sshd"]
async fn configuration_agent_and_jump_hosts_of_the_user_count() {
    let (outer, inner) = (Sshd::start().await, Sshd::start().await);
    let dir = outer.dir.path();
    // One login for both, and the file of the key is gone.
    fs::copy(
        dir.join("authorized_keys"),
        inner.dir.path().join("authorized_keys"),
    )
    .unwrap();
    let agent = Agent::start(&dir.join("agent"), &dir.join("user")).await;
    fs::remove_file(dir.join("user")).unwrap();
    let known = [&outer, &inner]
        .map(|sshd| fs::read_to_string(sshd.dir.path().join("known_hosts")).unwrap());
    fs::write(dir.join("known"), known.concat()).unwrap();
    let config = format!(
        "Host lab\n Port {}\n ProxyJump bastion\n LocalForward 127.0.0.1:1 127.0.0.1:1\n RemoteCommand false\n\
         Host bastion\n Port {}\n\
         Host *\n HostName 127.0.0.1\n IdentityAgent {}\n UserKnownHostsFile {}\n",
        inner.port,
        outer.port,
        dir.join("agent").display(),
        dir.join("known").display()
    );
    fs::write(dir.join("config"), config).unwrap();
    let host = SshHost::new(
        "far".parse().unwrap(),
        "lab".parse().unwrap(),
        ControlDirectory::new(dir.join("cm")).unwrap(),
    )
    .with_config_file(dir.join("config"));
    host.run(&Command::new("true")).await.unwrap();
    assert_eq!((outer.logins(), inner.logins()), (1, 1));
    host.disconnect().await.unwrap();
    drop(agent);
    host.run(&Command::new("true")).await.unwrap_err();
}
