//! A containerd root directory with the lab's images in it, made once and cloned into every machine.
//!
//! Importing 85 MB of images costs two seconds of processor time per machine, just when the API server wants it;
//! a clone ([`clone_root`](crate::clone_root)) takes a tenth of a second.

use crate::{
    ImageSet, Places, Sha256, StoreError, Version,
    build::path_text,
    lock::Stamp,
    store::{self, writing},
    version::first_version_in,
};
use host_exec::{
    Command, EventSink, Host, LocalHost, RunError,
    poll::{self, Attempt, Wait, WaitError},
};
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

/// The step's name in events.
const STEP: &str = "containerd root";

/// The namespace of containerd in which its CRI plugin, and so the kubelet, looks for images.
pub const CONTAINERD_NAMESPACE: &str = "k8s.io";

/// The label of an image that the kubelet's garbage collection leaves alone (KEP-4191; containerd,
/// `labels.PinnedImageLabelKey`).
pub const PINNED: &str = "io.cri-containerd.pinned=pinned";

/// containerd opens its socket within 0.2 s; this is for a machine a hundred times slower.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Unpacking 85 MB takes 2 s.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(300);

/// Longer than all imports together; then containerd is ended in any case.
const DAEMON_TIMEOUT: Duration = Duration::from_secs(1800);

/// A containerd root that could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerdError {
    /// A program is not installed.
    #[error("there is no {program} in PATH; on Debian and Ubuntu: apt-get install {package}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// The private containerd ended, or never answered.
    #[error("the private containerd for {} does not run; its directory has to be on a real file system, not on an overlay: {said}", .dir.display())]
    Daemon {
        /// Its directory.
        dir: PathBuf,
        /// What it said, or what was seen.
        said: String,
    },
    /// An image cannot be imported.
    #[error("cannot import {}", .archive.display())]
    Import {
        /// Its archive.
        archive: PathBuf,
        /// What `ctr` said.
        #[source]
        source: RunError,
    },
    /// The imported images cannot be listed, or one is not among them.
    #[error("the containerd root in {} lacks {missing}", .dir.display())]
    Incomplete {
        /// The directory.
        dir: PathBuf,
        /// The image.
        missing: String,
    },
    /// The cache cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The programs that make a root.
struct Tools {
    containerd: PathBuf,
    ctr: PathBuf,
    unshare: PathBuf,
    setpriv: PathBuf,
}

/// Returns a containerd root directory that has the images unpacked for the overlayfs snapshotter, in the namespace
/// of the kubelet, pinned against its garbage collection. Makes it if there is none for these images and this
/// containerd; else it only looks. Needs root.
///
/// # Errors
///
/// containerd is not installed or does not run, an import fails, the disk is full.
pub async fn containerd_root(
    here: &LocalHost,
    images: &ImageSet,
    places: &Places,
    events: &dyn EventSink,
) -> Result<PathBuf, ContainerdError> {
    let tools = Tools {
        containerd: tool(places, "containerd", "containerd")?,
        ctr: tool(places, "ctr", "containerd")?,
        unshare: tool(places, "unshare", "util-linux")?,
        setpriv: tool(places, "setpriv", "util-linux")?,
    };
    let roots = places.cache_dir.join("containerd");
    let key = key(&tools, images)?;
    let root = roots.join(key.short());
    if root.is_dir() {
        return Ok(root);
    }
    events.started("", STEP);
    let _turn = store::exclusive(&roots, STEP, events).await?;
    if root.is_dir() {
        return Ok(root);
    }
    // A socket's path may have 107 bytes (unix(7)), and the cache may lie deep: run-time files go to /run.
    let run_name = Sha256::of(root.to_string_lossy().as_bytes());
    let daemon = Daemon {
        here,
        tools: &tools,
        building: roots.join(format!(".{}.part", key.short())),
        run_dir: Path::new("/run").join(format!("lab-import-{}", run_name.short())),
    };
    daemon.clean()?;
    let what = || format!("importing {} images", images.images.len());
    let imported = daemon.import_all(images);
    store::with_heartbeat(events, STEP, what, imported).await?;
    let finished = daemon.building.join("root");
    fs::rename(&finished, &root).map_err(writing(&root))?;
    daemon.clean()?;
    events.done("", STEP, &root.display().to_string());
    Ok(root)
}

fn tool(
    places: &Places,
    program: &'static str,
    package: &'static str,
) -> Result<PathBuf, ContainerdError> {
    let found = places.in_path(program);
    found.ok_or(ContainerdError::Missing { program, package })
}

/// What a root depends on. The stamp of the program stands for its version: asking it takes longer than all else.
fn key(tools: &Tools, images: &ImageSet) -> Result<Sha256, ContainerdError> {
    let stamp = Stamp::of(&tools.containerd).map_err(writing(&tools.containerd))?;
    let mut text = format!("{stamp:?}\n");
    for image in &images.images {
        text.push_str(&format!(
            "{} {}\n",
            image.reference,
            image.archive.display()
        ));
    }
    Ok(Sha256::of(text.as_bytes()))
}

/// Reads the output of `containerd --version`.
/// Sample: `containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3`; those of other builds have
/// a `v` in front of the number.
pub fn parse_containerd_version(stdout: &str) -> Option<Version> {
    first_version_in(stdout.strip_prefix("containerd ")?)
}

/// A containerd of our own, with its own root, state and socket.
struct Daemon<'a> {
    here: &'a LocalHost,
    tools: &'a Tools,
    building: PathBuf,
    run_dir: PathBuf,
}

impl Daemon<'_> {
    /// Removes what this or a killed run has left.
    fn clean(&self) -> Result<(), StoreError> {
        store::remove(&self.building)?;
        store::remove(&self.run_dir)
    }

    fn socket(&self) -> String {
        path_text(&self.run_dir.join("containerd.sock"))
    }

    /// Configuration version 2, which containerd 1.3 to 2.x read (containerd-config.toml(5)).
    /// Without the plugin `opt`, which would make /opt/containerd on the host, and those of the kubelet.
    fn config(&self) -> String {
        let quoted = |path: &Path| format!("{:?}", path_text(path));
        format!(
            "version = 2\nroot = {root}\nstate = {state}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n\n\
             [grpc]\n  address = {socket:?}\n",
            root = quoted(&self.building.join("root")),
            state = quoted(&self.run_dir.join("state")),
            socket = self.socket(),
        )
    }

    async fn import_all(&self, images: &ImageSet) -> Result<(), ContainerdError> {
        store::directory(self.building.join("root"))?;
        store::directory(self.run_dir.clone())?;
        let config = self.building.join("config.toml");
        store::write_atomically(&config, self.config().as_bytes())?;
        let run = Command::new(path_text(&self.tools.unshare))
            // Mounts that it makes while it unpacks end with it and are never seen outside.
            .args(["--mount", "--propagation", "slave"])
            // If this program is killed, so is containerd: the next run starts from nothing.
            .args([&path_text(&self.tools.setpriv), "--pdeathsig", "KILL"])
            .args([
                &path_text(&self.tools.containerd),
                "--config",
                &path_text(&config),
            ])
            .timeout(DAEMON_TIMEOUT);
        {
            let daemon = self.here.output(&run);
            tokio::pin!(daemon);
            tokio::select! {
                ended = &mut daemon => {
                    let said = match ended {
                        Ok(output) => last_lines(&output.stderr_text()),
                        Err(e) => e.to_string(),
                    };
                    return Err(self.failed(said));
                }
                imported = self.import_each(images) => imported?,
            }
            // Dropping the future kills containerd. Nothing is lost: its databases are transactional (bbolt),
            // and `ctr` returned from every change.
        }
        self.wait_for_end().await
    }

    async fn import_each(&self, images: &ImageSet) -> Result<(), ContainerdError> {
        let wait = Wait::new("answer from containerd", START_TIMEOUT);
        let answer = poll::until(&wait, || async {
            match self.here.run(&self.ctr(&["version"])).await {
                Ok(_) => Ok::<_, std::convert::Infallible>(Attempt::Ready(())),
                Err(e) => Ok(Attempt::NotYet(e.to_string())),
            }
        });
        answer.await.map_err(|e| self.failed(e.to_string()))?;
        for image in &images.images {
            let (archive, reference) = (path_text(&image.archive), image.reference.as_str());
            let import = ["images", "import", "--snapshotter", "overlayfs", &archive];
            let pin = ["images", "label", reference, PINNED];
            for arguments in [&import[..], &pin[..]] {
                let command = self.ctr(arguments).timeout(IMPORT_TIMEOUT);
                let done = self.here.run(&command).await;
                done.map_err(|source| ContainerdError::Import {
                    archive: image.archive.clone(),
                    source,
                })?;
            }
        }
        self.check(images).await
    }

    /// Every image is there under its own name.
    async fn check(&self, images: &ImageSet) -> Result<(), ContainerdError> {
        let listed = self.here.run(&self.ctr(&["images", "ls", "-q"])).await;
        let listed = listed.map_err(|e| self.failed(e.to_string()))?;
        let text = listed.stdout_text();
        for image in &images.images {
            if !text.lines().any(|line| line == image.reference.as_str()) {
                return Err(ContainerdError::Incomplete {
                    dir: self.building.clone(),
                    missing: image.reference.to_string(),
                });
            }
        }
        Ok(())
    }

    /// containerd holds a lock on its database (flock(2), by bbolt) as long as it lives.
    async fn wait_for_end(&self) -> Result<(), ContainerdError> {
        let path = (self.building.join("root")).join("io.containerd.metadata.v1.bolt/meta.db");
        let database = File::open(&path).map_err(writing(&path))?;
        let wait = Wait::new("end of containerd", START_TIMEOUT);
        let ended = poll::until(&wait, || {
            std::future::ready(match database.try_lock() {
                Ok(()) => Ok(Attempt::Ready(())),
                Err(TryLockError::WouldBlock) => Ok(Attempt::NotYet("it still runs".to_owned())),
                Err(TryLockError::Error(e)) => Err(StoreError::new(&path, e)),
            })
        });
        ended.await.map_err(|e| match e {
            WaitError::Failed(e) => e.into(),
            timed_out => self.failed(timed_out.to_string()),
        })
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        Command::new(path_text(&self.tools.ctr))
            .args([
                "--address",
                &self.socket(),
                "--namespace",
                CONTAINERD_NAMESPACE,
            ])
            .args(arguments.iter().copied())
    }

    fn failed(&self, said: String) -> ContainerdError {
        ContainerdError::Daemon {
            dir: self.building.clone(),
            said,
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
