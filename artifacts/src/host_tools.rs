//! nft and iptables of this machine with their libraries, for the image of kube-proxy.
//!
//! Without a registry there is nowhere else to have them from: they are written in C, and no Go module or crate has
//! them. What is copied is what the machine itself runs, so it fits the machine's kernel.

use crate::{ImageFile, Places, build::path_text};
use host_exec::{Command, Host, LocalHost, RunError};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Reading the headers of a hundred files.
const LDD_TIMEOUT: Duration = Duration::from_secs(60);

/// The names under which kube-proxy calls iptables. On Debian they are links to one program, which goes by its name.
const IPTABLES: [&str; 6] = [
    "iptables",
    "iptables-restore",
    "iptables-save",
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
];

/// `/etc/protocols` of the image. Without it nft prints a protocol as its number, and kube-proxy, which writes names,
/// takes what an earlier one left for something else: it adds its elements, which are there, and then deletes the
/// others, which are the same (`nftElementStorage.cleanupLeftoverKeys`, pkg/proxy/nftables/proxier.go of 1.36 and 1.37).
/// So from its second start on no Service would answer.
pub(crate) const PROTOCOLS: &str = "tcp 6 TCP\nudp 17 UDP\nsctp 132 SCTP\n";

/// Where the tools lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostTools {
    /// `nft`.
    pub nft: Option<PathBuf>,
    /// `iptables`, with its other names beside it.
    pub iptables: Option<PathBuf>,
    /// `conntrack`, which kube-proxy before 1.32 calls when an endpoint of UDP goes.
    pub conntrack: Option<PathBuf>,
}

impl HostTools {
    /// Looks in `PATH`.
    pub(crate) fn find(places: &Places) -> Self {
        Self {
            nft: places.in_path("nft"),
            iptables: places.in_path("iptables"),
            conntrack: places.in_path("conntrack"),
        }
    }

    /// A tool without which kube-proxy does not work.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match (&self.nft, &self.iptables) {
            (None, _) => Some("nft"),
            (_, None) => Some("iptables"),
            _ => None,
        }
    }

    /// The files of the tools and of all libraries that they load, for an image, and the names of protocols that they
    /// print. Blocks only for reading.
    ///
    /// # Errors
    ///
    /// `ldd` fails. A file that cannot be read is an [`io::Error`] inside.
    pub(crate) async fn files(
        &self,
        here: &LocalHost,
    ) -> Result<io::Result<Vec<ImageFile>>, RunError> {
        let mut programs: BTreeMap<String, PathBuf> = BTreeMap::new();
        let single = [("nft", &self.nft), ("conntrack", &self.conntrack)];
        for (name, path) in single {
            if let Some(path) = path {
                programs.insert(format!("/usr/sbin/{name}"), path.clone());
            }
        }
        let mut modules = Vec::new();
        if let Some(iptables) = &self.iptables {
            let beside = |name: &str| iptables.with_file_name(name);
            let names = IPTABLES.iter().filter(|name| beside(name).exists());
            programs.extend(names.map(|name| (format!("/usr/sbin/{name}"), beside(name))));
        }
        let libraries = libraries(here, programs.values()).await?;
        // iptables loads its matches and targets by name from a directory beside the library.
        if let Some(xtables) = libraries.iter().find(|path| is_xtables(path)) {
            modules = modules_beside(xtables);
        }
        let of_modules = libraries_of_modules(here, &modules).await?;
        let same = |path: &PathBuf| (path_text(path), path.clone());
        let mut all = programs;
        all.extend(libraries.iter().map(same));
        all.extend(of_modules.iter().map(same));
        all.extend(modules.iter().map(same));
        let protocols = ImageFile {
            path: "/etc/protocols".to_owned(),
            contents: PROTOCOLS.as_bytes().to_vec(),
            mode: 0o644,
        };
        Ok(all.into_iter().map(read).chain([Ok(protocols)]).collect())
    }
}

fn read((path, from): (String, PathBuf)) -> io::Result<ImageFile> {
    let error = |source: io::Error| io::Error::new(source.kind(), format!("{path}: {source}"));
    Ok(ImageFile {
        contents: fs::read(&from).map_err(error)?,
        mode: 0o755,
        path,
    })
}

async fn libraries_of_modules(
    here: &LocalHost,
    modules: &[PathBuf],
) -> Result<Vec<PathBuf>, RunError> {
    if modules.is_empty() {
        return Ok(Vec::new());
    }
    libraries(here, modules.iter()).await
}

async fn libraries(
    here: &LocalHost,
    files: impl Iterator<Item = &PathBuf>,
) -> Result<Vec<PathBuf>, RunError> {
    let ldd = Command::new("ldd")
        .args(files.map(|path| path_text(path)))
        .timeout(LDD_TIMEOUT);
    let output = here.run(&ldd).await?;
    Ok(parse_ldd(&output.stdout_text()))
}

/// The files in the output of ldd(1), each once:
///
/// ```text
///     linux-vdso.so.1 (0x00007fe077f2c000)
///     libmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fe077c14000)
///     /lib64/ld-linux-x86-64.so.2 (0x00007fe077f2e000)
/// ```
fn parse_ldd(text: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let line = line.split_once(" => ").map_or(line, |(_, path)| path);
        let (path, _) = line.trim().split_once(" (")?;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    let mut paths: Vec<PathBuf> = text.lines().filter_map(path).collect();
    paths.sort();
    paths.dedup();
    paths
}

fn is_xtables(library: &Path) -> bool {
    let name = library.file_name().unwrap_or_default();
    name.to_string_lossy().starts_with("libxtables.so")
}

/// The directory `xtables` where the library really lies: with a merged `/usr` the linker names the other path, and
/// the library itself knows this one (`XTABLES_LIBDIR` of iptables).
fn modules_beside(library: &Path) -> Vec<PathBuf> {
    let real = library
        .canonicalize()
        .unwrap_or_else(|_| library.to_owned());
    let entries = fs::read_dir(real.with_file_name("xtables"));
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        .collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn libraries_are_read_from_ldd() {
        let text = "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x00007fe077f2c000)\n\
            \tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fe077c14000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007fe077f2e000)\n\
            /usr/sbin/conntrack:\n\
            \tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fe270d8e000)\n\
            \tnot a dynamic executable\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libmnl.so.0",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(parse_ldd(text), expected.map(PathBuf::from));
    }

    /// What kube-proxy asks nft for at its second start: what the first has left has to be its own, word for word.
    #[tokio::test]
    #[ignore = "needs root"]
    async fn nft_of_the_image_names_protocols() {
        let dir = tempfile::tempdir().expect("a directory");
        let here = LocalHost::new("here".parse().expect("a host name"));
        let search = ["/usr/sbin", "/usr/bin"].map(PathBuf::from);
        let places = Places::new(dir.path(), search.to_vec());
        let files = HostTools::find(&places).files(&here).await;
        for file in files.expect("ldd works").expect("files are read") {
            let path = dir.path().join(file.path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
            fs::write(&path, &file.contents).expect("it is written");
            let mode = fs::Permissions::from_mode(file.mode);
            fs::set_permissions(&path, mode).expect("it is permitted");
        }
        let script = r#"
            nft() { chroot "$1" /usr/sbin/nft --json "$2"; }
            nft "$1" "add table ip t"
            nft "$1" "add map ip t m { type ipv4_addr . inet_proto . inet_service : verdict; }"
            nft "$1" "add element ip t m { 10.0.0.1 . udp . 53 : drop, 10.0.0.1 . sctp . 9 : drop }"
            nft "$1" "list map ip t m""#;
        let listed = Command::new("unshare")
            .args(["--net", "--", "sh", "-e", "-c", script, "sh"])
            .arg(path_text(dir.path()));
        let listed = here.run(&listed).await.expect("nft works");
        let listed = listed.stdout_text();
        for element in [r#""udp", 53"#, r#""sctp", 9"#] {
            assert!(listed.contains(element), "{listed}");
        }
    }
}
