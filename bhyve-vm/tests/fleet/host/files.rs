//! Files of the host, and the programs that look at them and change them.

use super::world::{Answer, World, failed, ok};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;

impl World {
    pub(super) fn file_program(&mut self, words: &[&str]) -> Answer {
        match *words {
            ["ls", "-d", "--", ref paths @ ..] => {
                let there = paths.iter().filter(|path| self.files.contains_key(**path));
                let text: String = there.clone().map(|path| format!("{path}\n")).collect();
                (i32::from(there.count() < paths.len()), text, String::new())
            }
            ["ls", "-1", "/dev/vmm"] if self.nodes.is_empty() => {
                failed(1, "ls: /dev/vmm: No such file or directory")
            }
            ["ls", "-1", "/dev/vmm"] => ok(self
                .nodes
                .iter()
                .map(|node| format!("{node}\n"))
                .collect::<String>()),
            ["find", top, "-mindepth", "1", "-maxdepth", "3"] => self.find(top),
            ["sha256", ref paths @ ..] => self.sha256(paths),
            ["tail", "-c", "65536", path] => match self.files.get(path) {
                Some((bytes, _)) => ok(String::from_utf8_lossy(bytes)),
                None => failed(1, format!("tail: {path}: No such file or directory")),
            },
            ["test", "-e", path] => (i32::from(!self.exists(path)), String::new(), String::new()),
            ["test", "!", "-e", path] => {
                (i32::from(self.exists(path)), String::new(), String::new())
            }
            ["dd", from, to, "bs=1M"] => self.dd(from, to),
            ["rm", "-f", "--", path] => {
                self.files.remove(path);
                ok("")
            }
            ["rm", "-r", "-f", "--", path] => {
                let below = format!("{path}/");
                self.files
                    .retain(|name, _| name != path && !name.starts_with(&below));
                ok("")
            }
            ["mv", "-f", from, to] => match self.files.remove(from) {
                Some(file) => {
                    self.files.insert(to.to_owned(), file);
                    ok("")
                }
                None => failed(1, format!("mv: {from}: No such file or directory")),
            },
            ["install", "-m", "600", from, to] => match self.files.get(from).cloned() {
                Some((bytes, _)) if self.is_directory(to.rsplit_once('/').unwrap().0) => {
                    self.files.insert(to.to_owned(), (bytes, 0o600));
                    ok("")
                }
                _ => failed(71, format!("install: {to}: No such file or directory")),
            },
            _ => panic!("no such program on this host: {words:?}"),
        }
    }

    pub(crate) fn write(&mut self, path: &str, bytes: Vec<u8>, mode: u32) {
        self.changes.push(format!("write {path}"));
        self.files.insert(path.to_owned(), (bytes, mode));
        if path.ends_with("/request") {
            self.take_request(path);
        }
    }

    fn exists(&self, path: &str) -> bool {
        let node = path.strip_prefix("/dev/vmm/");
        let volume = path.strip_prefix("/dev/zvol/");
        self.files.contains_key(path)
            || self.is_directory(path)
            || node.is_some_and(|node| self.nodes.contains(node))
            || volume.is_some_and(|volume| self.datasets.contains_key(volume))
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        let below = format!("{path}/");
        self.files.keys().any(|file| file.starts_with(&below))
            || self
                .datasets
                .values()
                .any(|dataset| dataset.mount_point.as_deref() == Some(path))
    }

    fn find(&self, top: &str) -> Answer {
        if !self.is_directory(top) {
            return failed(1, format!("find: {top}: No such file or directory"));
        }
        let mut found = BTreeSet::new();
        let mounts = self
            .datasets
            .values()
            .filter_map(|dataset| dataset.mount_point.as_ref());
        for path in self.files.keys().chain(mounts) {
            let Some(rest) = path.strip_prefix(&format!("{top}/")) else {
                continue;
            };
            let parts: Vec<&str> = rest.split('/').collect();
            for depth in 1..=parts.len().min(3) {
                found.insert(format!("{top}/{}", parts[..depth].join("/")));
            }
        }
        ok(found
            .into_iter()
            .map(|path| path + "\n")
            .collect::<String>())
    }

    fn sha256(&self, paths: &[&str]) -> Answer {
        let mut text = String::new();
        for path in paths {
            let Some((bytes, _)) = self.files.get(*path) else {
                return failed(1, format!("sha256: {path}: No such file or directory"));
            };
            writeln!(text, "SHA256 ({path}) = {:x}", Sha256::digest(bytes)).unwrap();
        }
        ok(text)
    }

    fn dd(&mut self, from: &str, to: &str) -> Answer {
        let from = from.strip_prefix("if=").unwrap();
        let volume = to.strip_prefix("of=/dev/zvol/").unwrap();
        let Some((bytes, _)) = self.files.get(from).cloned() else {
            return failed(1, format!("dd: {from}: No such file or directory"));
        };
        match self.datasets.get_mut(volume) {
            Some(dataset) => {
                dataset.contents = bytes;
                ok("")
            }
            None => failed(
                1,
                format!("dd: /dev/zvol/{volume}: No such file or directory"),
            ),
        }
    }

    /// What host-exec's script does for a big file.
    pub(super) fn upload(&mut self, verb: &str, words: &[&str], input: &[u8]) -> Answer {
        let (file, part) = (words[0], words[2].to_owned());
        let sum = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
        let come = self.files.get(&part).map_or(0, |(bytes, _)| bytes.len());
        if verb == "look" {
            let found = self.files.get(file).map(|(bytes, _)| sum(bytes));
            return ok(format!("{} {come}\n", found.unwrap_or("none".to_owned())));
        }
        self.changes.push(format!("upload {file}"));
        let mode = u32::from_str_radix(words[7], 8).unwrap();
        assert_eq!(words[4], come.to_string(), "the offset of {file}");
        let (mut bytes, _) = self.files.remove(&part).unwrap_or_default();
        bytes.extend(input);
        let found = sum(&bytes);
        if found == words[6] {
            self.files.insert(file.to_owned(), (bytes, mode));
        }
        ok(format!("{found}\n"))
    }

    /// A stream of a big file broke in the middle.
    pub(super) fn take_half(&mut self, words: &[String], input: &[u8]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["sh", "-c", _, "upload", "take", file, _, part, ..] = words[..] else {
            return;
        };
        if !self.files.contains_key(file) {
            let (bytes, _) = self.files.entry(part.to_owned()).or_default();
            bytes.extend(&input[..input.len() / 2]);
        }
    }
}
