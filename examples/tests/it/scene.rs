//! A directory to be asked about labs in, and the program itself, run as a user does.

use cluster_lab::{LabSpec, Places, StateDir};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The name of all labs here: should one come up after all, it touches nobody's.
pub(crate) const NAME: &str = "refused";

/// A home, a working directory and a directory for labs, all empty, removed in the end.
pub(crate) struct Scene {
    dir: tempfile::TempDir,
    env: BTreeMap<&'static str, String>,
    wrapper: Vec<String>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Some cases run as a user who is not the owner.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["home", "cwd"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let home = dir.path().join("home").display().to_string();
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let env = BTreeMap::from([("HOME", home), ("PATH", path.to_owned())]);
        Self {
            dir,
            env,
            wrapper: Vec::new(),
        }
    }

    /// With `text` as `cwd/lab.toml`.
    pub(crate) fn with_file(self, text: &str) -> Self {
        fs::write(self.cwd().join("lab.toml"), text).unwrap();
        self
    }

    /// With a lab of this specification in the directory of labs, as far as its record goes.
    pub(crate) fn with_lab(self, spec: &LabSpec) -> Self {
        let state = self.state();
        fs::create_dir_all(state.root()).unwrap();
        state.remember(spec).unwrap();
        self
    }

    /// With another environment; an empty value takes a variable away.
    pub(crate) fn with_env(mut self, name: &'static str, value: &str) -> Self {
        match value {
            "" => self.env.remove(name),
            _ => self.env.insert(name, value.to_owned()),
        };
        self
    }

    /// With these words before those of the program.
    pub(crate) fn inside(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// With mounts or networks of its own, made by `script` for sh(1); `$DIR` is the directory of the scene.
    pub(crate) fn inside_namespace(self, unshare: &[&str], script: &str) -> Self {
        let script = format!("{script}\nexec \"$@\"");
        let mut words = vec!["unshare"];
        words.extend(unshare);
        words.extend(["--", "sh", "-e", "-c", &script, "sh"]);
        let dir = self.dir().display().to_string();
        self.inside(&words).with_env("DIR", &dir)
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn cwd(&self) -> PathBuf {
        self.dir().join("cwd")
    }

    /// The directory of the lab that is asked for.
    pub(crate) fn state(&self) -> StateDir {
        let places = Places {
            state: self.dir().join("labs"),
            cache: PathBuf::new(),
            run: PathBuf::new(),
            bin_dir: None,
            path_dirs: Vec::new(),
        };
        places.lab(&NAME.parse().unwrap())
    }

    /// Runs the program exactly so.
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is run as a user does, also inside unshare and setpriv"
    )]
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        let own = [env!("CARGO_BIN_EXE_lab")]
            .into_iter()
            .chain(words.iter().copied());
        let all: Vec<&str> = self.wrapper.iter().map(String::as_str).chain(own).collect();
        let mut command = Command::new(all[0]);
        command
            .args(&all[1..])
            .env_clear()
            .envs(&self.env)
            .current_dir(self.cwd());
        command.output().unwrap()
    }

    /// Asks for something that has to be refused: with this status, with all these texts in the message, with
    /// nothing on standard output, and with no file made, changed or removed.
    #[track_caller]
    pub(crate) fn refuses(&self, words: &[&str], status: i32, texts: &[&str]) {
        let labs = self.dir().join("labs").display().to_string();
        let named = |word: &&str| words.contains(word);
        let mut all = vec!["--state-dir", &labs];
        if !["--name", "--file", "init"].iter().any(named) && !self.cwd().join("lab.toml").exists()
        {
            all.extend(["--name", NAME]);
        }
        all.extend(words);
        self.refuses_exactly(&all, status, texts);
    }

    /// As [`Scene::refuses`], with these words and no other.
    #[track_caller]
    pub(crate) fn refuses_exactly(&self, words: &[&str], status: i32, texts: &[&str]) {
        let output = self.unchanged(words);
        let message = String::from_utf8_lossy(&output.stderr);
        for text in texts {
            assert!(
                message.contains(text),
                "{words:?} lacks {text:?}: {message}"
            );
        }
        assert_eq!(output.status.code(), Some(status), "{words:?}: {message}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{words:?}");
    }

    /// Runs the program exactly so; it must neither make nor change nor remove a file.
    #[track_caller]
    pub(crate) fn unchanged(&self, words: &[&str]) -> Output {
        let before = tree(self.dir());
        let output = self.run(words);
        assert_eq!(tree(self.dir()), before, "{words:?} left something behind");
        output
    }
}

/// Every file below `dir` with its contents, every directory without.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
            all.insert(path, Vec::new());
        } else if path.is_file() {
            let contents = fs::read(&path).unwrap();
            all.insert(path, contents);
        }
    }
    all
}
