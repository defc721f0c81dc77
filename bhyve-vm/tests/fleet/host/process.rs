//! daemon(8) with a supervisor and bhyve under it, ps(1), pkill(1) and bhyvectl(8).

use super::world::{Answer, World, failed, ok};
use std::fmt::Write as _;

impl World {
    pub(super) fn process_program(&mut self, words: &[&str]) -> Answer {
        match *words {
            [
                "ps",
                "-axww",
                "-o",
                "pid=",
                "-o",
                "etimes=",
                "-o",
                "rss=",
                "-o",
                "command=",
            ] => {
                let mut text = String::new();
                for (pid, title) in &self.processes {
                    writeln!(text, "{pid:5} 60 2048 {title}").unwrap();
                }
                ok(text)
            }
            ["pkill", "-TERM", "-L", "-F", file] => self.stop_supervisor(file),
            ["pkill", _, "-fx", title] => self.kill(title),
            // The supervisor has ended its recorder.
            ["pkill", "-TERM", "-F", file, "-f", _] => {
                failed(1, format!("pkill: Cannot open pidfile `{file}'"))
            }
            ["bhyvectl", vm, verb] => self.bhyvectl(vm.strip_prefix("--vm=").unwrap(), verb),
            [
                "daemon",
                "-c",
                "-f",
                "-P",
                pid_file,
                "-o",
                _,
                "-t",
                title,
                "/bin/sh",
                script,
            ] => self.daemon(pid_file, title, script),
            _ => panic!("{words:?} is not known here"),
        }
    }

    fn spawn(&mut self, title: String) -> u32 {
        self.next_pid += 1;
        self.processes.insert(self.next_pid, title);
        self.next_pid
    }

    fn pid_of(&self, title: &str) -> Option<u32> {
        let mut processes = self.processes.iter();
        processes
            .find(|(_, found)| *found == title)
            .map(|(pid, _)| *pid)
    }

    fn end(&mut self, title: &str) -> bool {
        let pid = self.pid_of(title);
        pid.is_some_and(|pid| self.processes.remove(&pid).is_some())
    }

    fn daemon(&mut self, pid_file: &str, title: &str, script: &str) -> Answer {
        let supervisor = format!("/bin/sh {script}");
        if let Some(pid) = self.pid_of(&supervisor) {
            return failed(3, format!("daemon: process already running, pid: {pid}"));
        }
        let directory = script.strip_suffix("/supervise").unwrap();
        if !self.files.contains_key(script) || !self.is_directory(directory) {
            return failed(1, format!("daemon: {script}: No such file or directory"));
        }
        let pid = self.spawn(format!("daemon: {title}[0]"));
        let text = format!("{pid}\n").into_bytes();
        self.files.insert(pid_file.to_owned(), (text, 0o600));
        let pid = self.spawn(supervisor);
        self.event(directory, &format!("supervising pid={pid}"));
        let name = title.strip_prefix("lab: ").unwrap();
        match self.pid_of(&format!("bhyve: {name}")) {
            Some(pid) => self.event(directory, &format!("adopted pid={pid}")),
            None => self.bhyve(directory, name),
        }
        ok("")
    }

    /// One run of bhyve: it opens what its arguments name, and has a node then.
    fn bhyve(&mut self, directory: &str, name: &str) {
        let boot = self.boot(directory) + 1;
        let console = format!("\n--- boot {boot} ---\nBdsDxe: starting Boot0001\n");
        let log = self
            .files
            .entry(format!("{directory}/console"))
            .or_default();
        log.0.extend(console.into_bytes());
        self.event(directory, "starting");
        let complaint = self
            .bhyve_fails
            .map(str::to_owned)
            .or_else(|| self.missing(directory));
        let stderr = complaint.clone().unwrap_or_default();
        self.files
            .insert(format!("{directory}/stderr"), (stderr.into_bytes(), 0o600));
        if complaint.is_some() {
            self.event(directory, "started pid=0");
            self.event(
                directory,
                "exited status=4 ran=0 asked=nothing node=no said=complaint console=nothing cause=host-fault",
            );
            self.event(directory, "failed cause=host-fault");
            self.forget(directory, name);
            return;
        }
        let pid = self.spawn(format!("bhyve: {name}"));
        self.nodes.insert(name.to_owned());
        let text = format!("{pid}\n").into_bytes();
        self.files
            .insert(format!("{directory}/bhyve.pid"), (text, 0o600));
        self.event(directory, &format!("started pid={pid}"));
    }

    /// What bhyve says of the first disk or interface that is not there.
    fn missing(&self, directory: &str) -> Option<String> {
        let (script, _) = self.files.get(&format!("{directory}/supervise"))?;
        let script = String::from_utf8_lossy(script);
        let call = script
            .lines()
            .find(|line| line.starts_with("bhyve_command()"))?;
        for word in call.split(' ') {
            let parts: Vec<&str> = word.split(',').collect();
            match parts[..] {
                [_, "virtio-blk", path, ..] => {
                    let volume = path.strip_prefix("/dev/zvol/");
                    let there = match volume {
                        Some(volume) => self.datasets.contains_key(volume),
                        None => self.files.contains_key(path),
                    };
                    if !there {
                        return Some(format!("bhyve: Could not open backing file: {path}\n"));
                    }
                }
                [_, "virtio-net", tap, ..] if !self.interfaces.contains_key(tap) => {
                    return Some(format!("bhyve: open of tap device /dev/{tap} failed\n"));
                }
                _ => {}
            }
        }
        None
    }

    pub(super) fn vm_has(&self, title: &str, device: &str) -> bool {
        let name = title.strip_prefix("bhyve: ").unwrap();
        let end = format!("/{name}/supervise");
        let mut scripts = self.files.iter().filter(|(path, _)| path.ends_with(&end));
        scripts.any(|(_, (text, _))| String::from_utf8_lossy(text).contains(device))
    }

    fn boot(&self, directory: &str) -> usize {
        let (bytes, _) = self
            .files
            .get(&format!("{directory}/events"))
            .cloned()
            .unwrap_or_default();
        String::from_utf8(bytes)
            .unwrap()
            .matches(" starting\n")
            .count()
    }

    fn event(&mut self, directory: &str, what: &str) {
        self.time += 1;
        let line = format!("{} {} {what}\n", self.time, self.boot(directory));
        let file = self.files.entry(format!("{directory}/events")).or_default();
        file.0.extend(line.into_bytes());
    }

    /// The supervisor takes its leave.
    fn forget(&mut self, directory: &str, name: &str) {
        self.end(&format!("/bin/sh {directory}/supervise"));
        self.end(&format!("daemon: lab: {name}[0]"));
        self.files.remove(&format!("/var/run/lab-{name}.pid"));
        self.files.remove(&format!("{directory}/bhyve.pid"));
        self.files.remove(&format!("{directory}/request"));
    }

    fn name_of(&self, directory: &str) -> String {
        directory.rsplit('/').next().unwrap().to_owned()
    }

    fn stop_vm(&mut self, directory: &str, word: &str) {
        let name = self.name_of(directory);
        self.event(directory, &format!("requested what={word}"));
        self.end(&format!("bhyve: {name}"));
        let asked = if word == "kill" {
            "force-power-off"
        } else {
            "power-button"
        };
        let cause = if word == "kill" {
            "ended-by-us"
        } else {
            "guest-powered-off"
        };
        self.event(
            directory,
            &format!("exited status=1 ran=60 asked={asked} node=yes said=nothing console=nothing cause={cause}"),
        );
        if word == "reboot" {
            self.event(directory, "restarting after=0 used=0");
            self.files.remove(&format!("{directory}/request"));
            self.bhyve(directory, &name);
            return;
        }
        self.nodes.remove(&name);
        self.event(directory, &format!("stopped cause={cause}"));
        self.forget(directory, &name);
    }

    /// A request is read by the supervisor, if there is one.
    pub(super) fn take_request(&mut self, path: &str) {
        let directory = path.strip_suffix("/request").unwrap().to_owned();
        if self
            .pid_of(&format!("/bin/sh {directory}/supervise"))
            .is_some()
        {
            let word = String::from_utf8(self.files[path].0.clone()).unwrap();
            self.stop_vm(&directory, word.trim());
        }
    }

    fn stop_supervisor(&mut self, file: &str) -> Answer {
        let name = file
            .strip_prefix("/var/run/lab-")
            .and_then(|rest| rest.strip_suffix(".pid"));
        let end = format!("/{}/supervise", name.unwrap());
        let titles = self.processes.values();
        let script = titles.filter_map(|title| title.strip_prefix("/bin/sh "));
        let script = script
            .map(str::to_owned)
            .find(|script| script.ends_with(&end));
        match script {
            Some(script) => {
                self.stop_vm(script.strip_suffix("/supervise").unwrap(), "stop");
                ok("")
            }
            None => failed(
                1,
                format!("pkill: Cannot open pidfile `{file}': No such file or directory"),
            ),
        }
    }

    fn kill(&mut self, title: &str) -> Answer {
        let found = self.end(title);
        (i32::from(!found), String::new(), String::new())
    }

    fn bhyvectl(&mut self, vm: &str, verb: &str) -> Answer {
        if !self.nodes.contains(vm) {
            return failed(1, format!("VM:{vm} is not created."));
        }
        match verb {
            "--force-poweroff" => drop(self.end(&format!("bhyve: {vm}"))),
            "--destroy" => drop(self.nodes.remove(vm)),
            _ => panic!("bhyvectl {verb} is not known here"),
        }
        ok("")
    }
}
